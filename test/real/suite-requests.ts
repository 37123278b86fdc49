/** Requests that are signed in other ways, by a wrong clock, or for another region. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeAuthority } from './authority.ts';
import { MODEL, without, type Bench, type Env, type Suite } from './bench.ts';
import { startRecorder } from './recorder.ts';
import { serverKind, varied, type RealServer } from './servers.ts';
import { credentials, type Store } from './store.ts';
import { secureMinio } from './suite-tls.ts';

type Cases = Record<string, () => Promise<void>>;

const REGION = 'eu-central-1';
const URI = 's3://models/m';
const [, WEIGHTS] = MODEL;

export const REQUESTS_SUITE: Suite = {
  name: 'requests',
  needs: ['minio', 'openssl', 'libfaketime'],
  open: async (bench) => {
    const authority = await makeAuthority(bench.tool('openssl'), bench.newFolder(), [
      'IP:127.0.0.1',
    ]);
    const secure = await secureMinio(bench, authority);
    const region = { AWS_REGION: REGION, AWS_DEFAULT_REGION: REGION };
    const kind = varied(serverKind('MinIO'), { env: { MINIO_REGION: REGION } });
    const { server, store } = await bench.serve(kind, region);
    await store.createBucket('models');
    await store.put('models', 'm/', MODEL);
    return {
      ...presignedCases(bench, secure, authority.ca),
      ...anonymousCases(bench, server, store),
      ...clockCases(bench, { ...credentials(server), ...region }),
      ...regionCases(bench, server),
    };
  },
};

function presignedCases(
  bench: Bench,
  { server, store }: { server: RealServer; store: Store },
  ca: string,
): Cases {
  const presign = async (seconds: number): Promise<{ url: string; signature: string }> => {
    const url = await store.presign('models', 'm/weights.bin', seconds);
    const query = new URL(url).searchParams;
    for (const name of ['X-Amz-Signature', 'X-Amz-Credential'])
      bench.secrets.push(query.get(name)!, encodeURIComponent(query.get(name)!));
    return { url, signature: query.get('X-Amz-Signature')! };
  };
  const env = { SSL_CERT_FILE: ca };
  const log = (): { file: string; flags: string[] } => {
    const file = join(bench.newFolder(), 'termination');
    return { file, flags: ['--termination-log', file, '--log-level', 'debug'] };
  };
  return {
    'a presigned URL is read, and its query is written nowhere': async () => {
      const { url, signature } = await presign(600);
      const { file, flags } = log();
      server.wire.reset();
      const outcome = await bench.fetched(url, env, { model: [WEIGHTS!], flags });
      assert.match(outcome.stdout, /weights\.bin\?X-Amz-Algorithm=REDACTED/);
      assert.ok(!readFileSync(file, 'utf8').includes(signature));
      const [{ target }] = JSON.parse(outcome.stdout) as [{ target: string }];
      for (const path of readdirSync(join(target, '.model-fetch'), { recursive: true }))
        assert.ok(!readText(join(target, '.model-fetch', String(path))).includes(signature));
    },
    'a presigned URL whose time is over is told as such, without its query': async () => {
      const { url, signature } = await presign(1);
      await sleep(2500);
      const { file, flags } = log();
      const expected = {
        code: 'PERMISSION_DENIED',
        exit: 11,
        message: /403/,
        hint: /expired|over/,
      };
      const { uri } = await bench.refused(url, env, expected, flags);
      assert.match(uri ?? '', /X-Amz-Signature=REDACTED/);
      assert.ok(!readFileSync(file, 'utf8').includes(signature));
    },
    'a presigned URL that was tampered with is refused': async () => {
      const { url } = await presign(600);
      const other = url.replace('weights.bin', 'config.json');
      await bench.refused(other, env, { code: 'PERMISSION_DENIED', exit: 11 });
    },
  };
}

function anonymousCases(bench: Bench, server: RealServer, store: Store): Cases {
  const nobody = { AWS_ENDPOINT_URL: server.url, AWS_EC2_METADATA_DISABLED: 'true' };
  const ways: Record<string, Env> = {
    awsAnonymousCredential: { awsAnonymousCredential: 'true' },
    MODEL_FETCH_S3_ANONYMOUS: { MODEL_FETCH_S3_ANONYMOUS: 'true' },
    'STORAGE_CONFIG with anonymous': {
      STORAGE_CONFIG: JSON.stringify({ type: 's3', endpoint_url: server.url, anonymous: true }),
    },
  };
  return Object.fromEntries(
    Object.entries(ways).map(([name, way]) => [
      `a public bucket is read unsigned by ${name}, keys or not`,
      async () => {
        const bucket = `public-${String(Object.keys(ways).indexOf(name))}`;
        await store.createBucket(bucket);
        await store.put(bucket, 'm/', MODEL);
        const uri = `s3://${bucket}/m`;
        const recorder = await startRecorder(bench, server.url);
        const at = (env: Env): Env =>
          Object.fromEntries(
            Object.entries(env).map(([key, value]) => [
              key,
              value.replace(server.url, recorder.url),
            ]),
          );
        await bench.refused(uri, at({ ...nobody, ...way }), {
          code: 'PERMISSION_DENIED',
          exit: 11,
        });
        await store.makePublic(bucket);
        await bench.fetched(uri, at({ ...nobody, ...way }));
        await bench.fetched(uri, at({ ...credentials(server), ...way }));
        for (const { headers, path } of recorder.requests())
          assert.equal(headers.authorization, undefined, path);
      },
    ]),
  );
}

/** MinIO, as Amazon, accepts a quarter of an hour. */
function clockCases(bench: Bench, env: Env): Cases {
  return Object.fromEntries(
    ['+1h', '-1h', '+10d'].map((offset) => [
      `a clock that is ${offset} off is corrected by the server's`,
      async () => {
        const skewed = {
          ...env,
          LD_PRELOAD: bench.tool('libfaketime'),
          FAKETIME: offset,
          FAKETIME_DONT_FAKE_MONOTONIC: '1',
        };
        const { stderr } = await bench.fetched(URI, skewed);
        const [first] = stderr.split('\n');
        const { time } = JSON.parse(first!) as { time: string };
        const away = Math.abs(Date.parse(time) - Date.now());
        assert.ok(away > 3_500_000, 'the clock was right: the case shows nothing');
      },
    ]),
  );
}

function regionCases(bench: Bench, server: RealServer): Cases {
  const env = credentials(server);
  return {
    'the wrong region is corrected by what the store says': async () => {
      const recorder = await startRecorder(bench, server.url);
      await bench.fetched(URI, { ...env, AWS_ENDPOINT_URL: recorder.url });
      const regions = recorder
        .requests()
        .map(({ headers }) => /\/\d{8}\/([^/]+)\/s3/.exec(headers.authorization ?? '')?.[1]);
      assert.deepEqual([...new Set(regions)], ['us-east-1', REGION]);
      // The listing learns it for the reads.
      assert.ok(regions.filter((region) => region === 'us-east-1').length <= 2, regions.join());
    },
    'no region is corrected as well': async () => {
      await bench.fetched(URI, without(env, 'AWS_REGION', 'AWS_DEFAULT_REGION'));
    },
  };
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}
