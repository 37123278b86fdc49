/** The init containers that KServe's webhook makes, as recorded, against real stores: MinIO and its STS, fake-gcs-server, nginx. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { CASES } from '../kserve/cases.ts';
import { PodNode, type Ran, type Stores } from '../kserve/node.ts';
import { checkFailure, checkSuccess } from '../kserve/told.ts';
import { pods, SKIP } from '../kserve/vectors.ts';
import { startGcs } from '../servers/gcs.ts';
import { certificatePath } from '../support/certs.ts';
import type { Bench, Suite } from './bench.ts';
import { AUDIENCE, startIssuer } from './issuer.ts';
import { ACCESS_KEY, answering, at, end, SECRET_KEY, serverKind, varied } from './servers.ts';
import { freePort } from './wire.ts';
import type { Store } from './store.ts';

type Cases = Record<string, () => Promise<void>>;
type Put = (bucket: string, key: string, bytes: string | Buffer) => void;

interface Scene {
  readonly node: PodNode;
  /** The secrets that the recordings refer to. */
  readonly secrets: Readonly<Record<string, string>>;
  /** Resolves when all is stored that was put. */
  readonly stored: () => Promise<unknown>;
}

export const PODS_SUITE: Suite = {
  name: 'pods',
  needs: ['minio', 'fake-gcs-server'],
  skip: SKIP,
  open: async (bench): Promise<Cases> => {
    const scene = await openScene(bench, { port: 1, put: () => undefined });
    const names = Object.keys(CASES).filter((name) => name !== 'https');
    return {
      ...Object.fromEntries(names.map((name) => [name, () => runCase(scene, name)])),
      ...refusals(scene),
    };
  },
};

export const PODS_HTTPS_SUITE: Suite = {
  name: 'pods over https',
  needs: ['minio', 'fake-gcs-server', 'nginx'],
  skip: SKIP,
  open: async (bench): Promise<Cases> => {
    const scene = await openScene(bench, await startNginx(bench));
    return { https: () => runCase(scene, 'https') };
  },
};

async function runCase({ node, secrets, stored }: Scene, name: string): Promise<void> {
  const { fill, files, env, uid } = CASES[name]!;
  await fill(node);
  await stored();
  for (const place of Object.keys(files))
    rmSync(node.path(place), { recursive: true, force: true });
  const run = async (): Promise<Ran> =>
    node.run(pods![name]!, { uid, secrets, ...(env && { env: await env(node) }) });
  const ran = await run();
  assert.equal(ran.status, 0, ran.stderr);
  for (const [place, names] of Object.entries(files))
    assert.deepEqual(await node.files(place), names, place);
  const targets = Object.keys(files).map((place) => node.path(place));
  checkSuccess(ran, targets);
  const again = await run();
  assert.equal(again.status, 0, again.stderr);
  assert.match(again.message, /"fetchedBytes":0\b/);
  for (const target of targets) rmSync(target, { recursive: true, force: true });
}

function refusals({ node, secrets }: Scene): Cases {
  const fails = async (more: Readonly<Record<string, string>>, code: string): Promise<void> => {
    const ran = await node.run(pods!['s3-keys']!, { uid: 1000, secrets: { ...secrets, ...more } });
    assert.equal(ran.status, 11, ran.stderr);
    checkFailure(ran, code);
    assert.deepEqual(await node.files('/mnt/models'), []);
  };
  return {
    's3-keys with another secret key': () =>
      fails({ 's3creds/AWS_SECRET_ACCESS_KEY': 'not-the-secret' }, 'UNAUTHENTICATED'),
    's3-keys with a key that nobody knows': () =>
      fails({ 's3creds/AWS_ACCESS_KEY_ID': 'nobody' }, 'UNAUTHENTICATED'),
  };
}

/** A node whose S3 is MinIO, whose GCS is fake-gcs-server, and whose tokens of Google's are given out by this process. */
async function openScene(bench: Bench, web: Stores['web']): Promise<Scene> {
  // Below a folder that other users may enter.
  const root = mkdtempSync(join(tmpdir(), 'model-fetch-pods-'));
  chmodSync(root, 0o755);
  bench.onEnd(() => {
    rmSync(root, { recursive: true, force: true });
  });
  const issuer = await startIssuer(bench);
  const { server: s3, store: objects } = await bench.serve(
    varied(serverKind('MinIO'), {
      env: {
        MINIO_IDENTITY_OPENID_CONFIG_URL: issuer.configUrl,
        MINIO_IDENTITY_OPENID_CLIENT_ID: AUDIENCE,
      },
    }),
  );
  const { server: gcs, store: blobs } = await bench.serve(serverKind('fake-gcs-server'));
  await objects.createBucket('models');
  await blobs.createBucket('bucket');
  const tokens = await startGcs();
  bench.onEnd(() => tokens.close());
  const pending: Promise<unknown>[] = [];
  const into =
    (store: Store): Put =>
    (bucket, path, bytes) => {
      pending.push(store.put(bucket, '', [{ path, body: Buffer.from(bytes) }]));
    };
  const node = new PodNode(root, {
    s3: { url: s3.url, put: into(objects) },
    gcs: { url: gcs.url, put: into(blobs), serviceAccount: () => tokens.serviceAccount() },
    web,
    sts: s3.url,
  });
  node.main = bench.programs.main;
  node.webToken = issuer.token();
  const secrets = {
    's3creds/AWS_ACCESS_KEY_ID': ACCESS_KEY,
    's3creds/AWS_SECRET_ACCESS_KEY': SECRET_KEY,
    'storage-config/minio': JSON.stringify({
      type: 's3',
      access_key_id: ACCESS_KEY,
      secret_access_key: SECRET_KEY,
      endpoint_url: s3.url,
      region: 'us-south',
      bucket: 'elsewhere',
      anonymous: false,
    }),
  };
  return { node, secrets, stored: () => Promise.all(pending.splice(0)) };
}

/** nginx over TLS, which shows its files to those who send the header of the recording. */
async function startNginx(bench: Bench): Promise<Stores['web']> {
  const folder = bench.newFolder();
  const port = await freePort();
  const plain = await freePort();
  const files = join(folder, 'files');
  mkdirSync(files);
  for (const name of ['server.pem', 'server.key'])
    copyFileSync(join(dirname(certificatePath('ca')), name), join(folder, name));
  writeFileSync(
    join(folder, 'nginx.conf'),
    `daemon off; master_process off; pid ${folder}/pid; error_log ${folder}/error.log;
events {}
http {
  access_log off; default_type application/octet-stream; root ${files};
  ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${folder}/${name};`).join(' ')}
  server { listen ${at(plain)}; }
  server {
    listen ${at(port)} ssl;
    ssl_certificate ${folder}/server.pem; ssl_certificate_key ${folder}/server.key;
    if ($http_x_token != "abc") { return 403; }
  }
}
`,
  );
  const child = spawn(bench.tool('nginx'), ['-p', folder, '-c', join(folder, 'nginx.conf')], {
    stdio: 'ignore',
  });
  bench.onEnd(() => end(child));
  await answering(`http://${at(plain)}/`, child);
  return {
    port,
    put: (path, bytes) => {
      mkdirSync(dirname(join(files, path)), { recursive: true });
      writeFileSync(join(files, path), bytes);
    },
  };
}
