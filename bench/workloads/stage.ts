/** What the workloads are made of: the clients, the models, the origins. */
import type { Clients, S3Place } from '../clients.ts';
import type { Fixtures } from '../fixtures.ts';
import type { Far } from '../origin/far.ts';
import type { Minio } from '../origin/minio.ts';
import type { Nginx } from '../origin/nginx.ts';
import type { Scale } from '../scale.ts';

export interface Stage {
  readonly clients: Clients;
  readonly fixtures: Fixtures;
  readonly scale: Scale;
  readonly nginx: Nginx;
  readonly far: Far;
  /** Absent where MinIO is missing, or not wanted by any workload that was asked for. */
  readonly minio?: Minio;
  /** A folder for lists and the like. */
  readonly work: string;
}

export const BOTH = ['shared', 'pinned'] as const;
export const SHARED = ['shared'] as const;
export const MIB = 2 ** 20;
export const GIB = 2 ** 30;

/** nginx as an S3, plain and TLS. */
export function s3Of({ nginx }: Stage): { plain: S3Place; tls: S3Place } {
  return {
    plain: { endpoint: nginx.http },
    tls: { endpoint: nginx.https, ca: nginx.ca },
  };
}
