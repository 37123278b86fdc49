/**
 * A small, honest S3 in this process: real sockets, real signatures, real XML. It reads the way Amazon's does and can be
 * told to misbehave. Used by the tests and the demo; nothing is written to disk.
 */
import { createServer, type RequestListener } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { S3Credentials } from './s3-auth.ts';
import type { S3Request } from './s3-request.ts';
import type { Fault } from './s3-send.ts';
import { Service } from './s3-service.ts';
import type { BucketOptions, PutOptions, VirtualContent } from './s3-store.ts';

export type { S3Credentials } from './s3-auth.ts';
export type { ChecksumName, ChecksumType } from './s3-checksums.ts';
export type { S3Request } from './s3-request.ts';
export type { Fault } from './s3-send.ts';
export type { BucketOptions, PutOptions, VirtualContent } from './s3-store.ts';

export type S3Action =
  | 's3:ListAllMyBuckets'
  | 's3:ListBucket'
  | 's3:GetBucketLocation'
  | 's3:GetObject'
  | 's3:GetObjectAttributes';

export interface S3Options {
  /** Names, or more. `put` adds what is missing. */
  readonly buckets?: readonly (string | BucketOptions)[];
  readonly publicBuckets?: readonly string[];
  /** Default: one key, `test` with secret `secret`. */
  readonly credentials?: readonly S3Credentials[];
  /** Default `us-east-1`. */
  readonly region?: string;
  /** How a wrong region is told: `signature` (400 AuthorizationHeaderMalformed, default) or `redirect` (301 PermanentRedirect). */
  readonly regionError?: 'signature' | 'redirect';
  /** Entries in a page of a listing, at most. Default 1000. */
  readonly pageSize?: number;
  /** The last page of a listing of several pages is empty and has no `Contents`. */
  readonly emptyLastPage?: boolean;
  /** Says no to some of those who are known. `accessKeyId` is undefined for anonymous ones. */
  readonly allow?: (
    action: S3Action,
    bucket: string,
    key: string,
    accessKeyId: string | undefined,
  ) => boolean;
  /** What goes wrong with this request; undefined: nothing. */
  readonly faults?: (request: S3Request) => Fault | undefined;
  /** The server's clock, milliseconds since the epoch. */
  readonly clock?: () => number;
  /** PEM: serve https. */
  readonly tls?: { readonly key: string; readonly cert: string };
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** Default 0: a free one. */
  readonly port?: number;
}

export interface S3Server extends AsyncDisposable {
  /** `http://127.0.0.1:port`; `bucket.localhost:port` is the other form of address. */
  readonly url: string;
  readonly port: number;
  readonly requests: S3Request[];
  put(
    bucket: string,
    key: string,
    bytes: Uint8Array | string | VirtualContent,
    options?: PutOptions,
  ): { etag: string; versionId?: string };
  remove(bucket: string, key: string): void;
  /** What there is, in S3's order. */
  keys(bucket: string): string[];
  /** Cuts open connections. */
  close(): Promise<void>;
}

/** Starts a server on 127.0.0.1. */
export async function startS3(options: S3Options = {}): Promise<S3Server> {
  const service = new Service(options);
  const listener: RequestListener = (request, response) => void service.answer(request, response);
  const server = options.tls
    ? createTlsServer({ ...options.tls }, listener)
    : createServer(listener);
  const host = options.host ?? '127.0.0.1';
  server.listen(options.port ?? 0, host);
  await new Promise((resolve, reject) => {
    server.once('listening', resolve);
    server.once('error', reject);
  });
  const { port } = server.address() as AddressInfo;
  const close = async (): Promise<void> => {
    const closed = new Promise((resolve) => server.close(resolve));
    server.closeAllConnections();
    await closed;
  };
  return {
    url: `${options.tls ? 'https' : 'http'}://${host}:${port}`,
    port,
    requests: service.requests,
    put: (bucket, key, bytes, put = {}) => service.put(bucket, key, bytes, put),
    keys: (bucket) =>
      service
        .bucket(bucket)
        .sorted()
        .map(({ key }) => key),
    remove: (bucket, key) => service.bucket(bucket).remove(key),
    close,
    [Symbol.asyncDispose]: close,
  };
}
