/** Stores behind TLS whose certificates come from an authority that nobody knows. */
import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeAuthority, type Authority } from './authority.ts';
import { MODEL, MODEL_BYTES, type Bench, type Env, type Suite } from './bench.ts';
import { serverKind, varied, type RealServer } from './servers.ts';
import { credentials, type Store } from './store.ts';

/** `localhost` is not among them: it leads there, and is the wrong name. */
const NAMES = ['IP:127.0.0.1', 'DNS:models.store.test'];

export const TLS_SUITE: Suite = {
  name: 'TLS',
  needs: ['minio', 'fake-gcs-server', 'openssl'],
  open: async (bench) => {
    const [ours, other] = await Promise.all([
      makeAuthority(bench.tool('openssl'), bench.newFolder(), NAMES),
      makeAuthority(bench.tool('openssl'), bench.newFolder(), NAMES),
    ]);
    const { server: s3 } = await secureMinio(bench, ours);
    const gcs = await secureGcs(bench, ours);
    return {
      ...trustCases(bench, ours, s3, { ...credentials(s3) }, ['AWS_CA_BUNDLE', 'STORAGE_CONFIG']),
      ...trustCases(bench, ours, gcs, { ...credentials(gcs) }, []),
      ...refusalCases(bench, { ours, other }, s3),
      ...refusalCases(bench, { ours, other }, gcs),
      ...leniencyCases(bench, s3, gcs, ours),
    };
  },
};

/** MinIO with `authority`'s certificate and the model in `s3://models/m`. */
export async function secureMinio(
  bench: Bench,
  authority: Authority,
): Promise<{ server: RealServer; store: Store }> {
  const kind = varied(serverKind('MinIO'), { args: ['--certs-dir', authority.folder] });
  const client = { AWS_CA_BUNDLE: authority.ca };
  const { server, store } = await bench.serve({ ...kind, secure: true }, client);
  await store.createBucket('models');
  await store.put('models', 'm/', MODEL);
  return { server, store };
}

/** fake-gcs-server the same way; filled in the clear by a folder that it reads at start, as its clients need the authority. */
async function secureGcs(bench: Bench, { folder }: Authority): Promise<RealServer> {
  const kind = varied(serverKind('fake-gcs-server'), {
    args: [
      ...['-scheme', 'https', '-cert-location', join(folder, 'public.crt')],
      ...['-private-key-location', join(folder, 'private.key')],
    ],
  });
  const filled = {
    ...kind,
    secure: true,
    start: (place: Parameters<typeof kind.start>[0]) => {
      const started = kind.start(place);
      fill(join(place.folder, 'data', 'models', 'm'));
      return started;
    },
  };
  return (await bench.serve(filled)).server;
}

function fill(folder: string): void {
  mkdirSync(folder, { recursive: true });
  for (const { path, body } of MODEL) writeFileSync(join(folder, path), body);
}

function modelOf({ kind }: RealServer): string {
  return `${kind.scheme}://models/m`;
}

/** Every way to name the authority, each alone. */
function trustCases(
  bench: Bench,
  { ca }: Authority,
  server: RealServer,
  env: Env,
  own: readonly string[],
): Record<string, () => Promise<void>> {
  const mount = bench.newFolder();
  copyFileSync(ca, join(mount, 'cabundle.crt'));
  const ways: Record<string, Env> = {
    REQUESTS_CA_BUNDLE: { REQUESTS_CA_BUNDLE: ca },
    SSL_CERT_FILE: { SSL_CERT_FILE: ca },
    NODE_EXTRA_CA_CERTS: { NODE_EXTRA_CA_CERTS: ca },
    'CA_BUNDLE_CONFIGMAP_NAME and its mount': {
      CA_BUNDLE_CONFIGMAP_NAME: 'global-ca',
      CA_BUNDLE_VOLUME_MOUNT_POINT: mount,
    },
  };
  const more: Record<string, Env> = {
    AWS_CA_BUNDLE: { AWS_CA_BUNDLE: ca },
    STORAGE_CONFIG: { STORAGE_CONFIG: JSON.stringify({ type: 's3', ca_bundle: ca }) },
  };
  for (const name of own) ways[name] = more[name]!;
  return Object.fromEntries(
    Object.entries(ways).map(([name, way]) => [
      `${server.kind.name}: a private authority is trusted by ${name}`,
      async () => {
        server.wire.reset();
        await bench.fetched(modelOf(server), { ...env, ...way });
        assert.ok(server.wire.received() > MODEL_BYTES, 'the bytes came from elsewhere');
      },
    ]),
  );
}

function refusalCases(
  bench: Bench,
  { ours, other }: { ours: Authority; other: Authority },
  server: RealServer,
): Record<string, () => Promise<void>> {
  const { name } = server.kind;
  const uri = modelOf(server);
  const env = credentials(server);
  const unknown = {
    code: 'BAD_RESPONSE',
    exit: 13,
    message: /certificate of 127\.0\.0\.1:\d+/,
    hint: /authority .* SSL_CERT_FILE .*AWS_CA_BUNDLE/,
  };
  return {
    [`${name}: an authority that nobody named is refused, with a word on how to name it`]:
      async () => {
        server.wire.reset();
        await bench.refused(uri, env, unknown);
        assert.ok(server.wire.received() < 20_000, 'it was asked again and again');
      },
    [`${name}: another authority of the same name is refused`]: async () => {
      await bench.refused(uri, { ...env, SSL_CERT_FILE: other.ca }, unknown);
    },
    [`${name}: a certificate for another host is refused, whoever signed it`]: async () => {
      const elsewhere = Object.fromEntries(
        Object.entries(env).map(([key, value]) => [
          key,
          value.replace('//127.0.0.1', '//localhost'),
        ]),
      );
      const expected = { ...unknown, message: /certificate of localhost/, hint: /another name/ };
      await bench.refused(uri, { ...elsewhere, SSL_CERT_FILE: ours.ca }, expected);
    },
  };
}

function leniencyCases(
  bench: Bench,
  s3: RealServer,
  gcs: RealServer,
  { ca }: Authority,
): Record<string, () => Promise<void>> {
  const refused = { code: 'BAD_RESPONSE', exit: 13, message: /certificate/ };
  return {
    'MinIO: S3_VERIFY_SSL=0 reads without checking, and warns': async () => {
      const { stderr } = await bench.fetched(modelOf(s3), {
        ...credentials(s3),
        S3_VERIFY_SSL: '0',
      });
      assert.match(stderr, /certificate of the S3 endpoint is not checked/);
    },
    'fake-gcs-server: what is said about S3 says nothing about Google': async () => {
      const env = { ...credentials(gcs), S3_VERIFY_SSL: '0', AWS_CA_BUNDLE: ca };
      await bench.refused(modelOf(gcs), env, refused);
    },
  };
}
