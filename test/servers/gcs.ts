/**
 * An in-process Google Cloud Storage: the JSON API, the XML API's GET, and everything tokens come from, on one port.
 * It refuses what the real one refuses: unknown and expired bearers (on public buckets too), anonymous callers where
 * authentication is required, object names that are not percent-encoded, requester-pays buckets without a project.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { FakeGcs, type GcsFault, type GcsOptions, type LoggedRequest } from './gcs-app.ts';
import type { PutOptions } from './gcs-objects.ts';
import { CLIENT, SERVICE_ACCOUNT, type TokenAuthority } from './gcs-tokens.ts';

export type { GcsFault, GcsOptions, LoggedRequest } from './gcs-app.ts';

export interface GcsServer {
  /** What `STORAGE_EMULATOR_HOST` takes. */
  readonly url: string;
  readonly tokenUrl: string;
  /** What `GCE_METADATA_HOST` takes. */
  readonly metadataHost: string;
  readonly requests: LoggedRequest[];
  readonly tokens: TokenAuthority;
  readonly faults: GcsFault[];
  /** Stores a new generation and answers it. */
  put(bucket: string, name: string, bytes: Uint8Array | string, options?: PutOptions): string;
  remove(bucket: string, name: string): void;
  names(bucket: string): string[];
  /** From now on requests are taken and never answered. */
  hang(): void;
  /** Credential files that this server accepts. */
  serviceAccount(): Record<string, string>;
  authorizedUser(): Record<string, string>;
  close(): Promise<void>;
}

export async function startGcs(options: GcsOptions = {}): Promise<GcsServer> {
  const gcs = new FakeGcs(options);
  const server = createServer((request, response) => void gcs.handle(request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  gcs.base = `http://127.0.0.1:${String(port)}`;
  const tokenUrl = `${gcs.base}/token`;
  return {
    url: gcs.base,
    tokenUrl,
    metadataHost: `127.0.0.1:${String(port)}`,
    requests: gcs.requests,
    tokens: gcs.tokens,
    faults: gcs.faults,
    put: (bucket, name, bytes, put) => gcs.put(bucket, name, bytes, put),
    names: (bucket) => [...(gcs.buckets.get(bucket)?.keys() ?? [])],
    hang: () => void (gcs.hangs = true),
    remove: (bucket, name) => gcs.buckets.get(bucket)?.delete(name),
    serviceAccount: () => ({
      type: 'service_account',
      project_id: 'project',
      private_key_id: 'key-1',
      private_key: gcs.tokens.keys.privateKey,
      client_email: SERVICE_ACCOUNT,
      token_uri: tokenUrl,
    }),
    authorizedUser: () => ({
      type: 'authorized_user',
      client_id: CLIENT.id,
      client_secret: CLIENT.secret,
      refresh_token: CLIENT.refresh,
      token_uri: tokenUrl,
    }),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
