/**
 * What KServe's tests say about errors, about its agent (the sidecar, whose downloads we take over), and what encoded answers
 * become. As in `conformance.test.ts`: each case is named after KServe's test or behaviour, `≠` marks ours.
 */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { suite, test, type TestContext } from 'node:test';
import { gzipSync } from 'node:zlib';
import { records } from '../cli/child.ts';
import { inProcess } from '../cli/host.ts';
import { startGcs } from '../servers/gcs.ts';
import { startS3, type S3Options, type S3Server } from '../servers/s3.ts';
import { noteCase, testDocument } from './conformance-doc.ts';
import { cases, filesIn, objects, served, TGZ, world } from './conformance.ts';

type Variables = Readonly<Record<string, string>>;

interface Failure {
  readonly name: string;
  readonly uri: string;
  /** Starts what the URI leads to; answers the variables for it. */
  readonly open?: (t: TestContext) => Promise<Variables>;
  readonly code: string;
  /** In message and hint. */
  readonly says: RegExp;
}

const KEYS = { AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'secret' };

/** An S3 with the object `m/a` in the bucket `foo`. */
async function s3(t: TestContext, options: S3Options = {}): Promise<S3Server> {
  const server = await startS3(options);
  t.after(() => server.close());
  server.put('foo', 'm/a', 'a');
  return server;
}

const at =
  (options: S3Options = {}, more: Variables = {}) =>
  async (t: TestContext): Promise<Variables> => ({
    ...KEYS,
    AWS_ENDPOINT_URL: (await s3(t, options)).url,
    ...more,
  });

async function failing(t: TestContext, uri: string, env: Variables) {
  const { home } = await world(t);
  const target = join(home, 'out');
  const words = [uri, target, '--connect-grace', '0s', '--attempts', '1'];
  const { status, stderr } = await inProcess(words, { env });
  const last = records(stderr).at(-1)!;
  return { status, last, target };
}

function failures(title: string, list: readonly Failure[]): void {
  suite(title, () => {
    for (const { name, uri, open, code, says } of list)
      test(noteCase(title, name), async (t) => {
        const { last, target } = await failing(t, uri, (await open?.(t)) ?? {});
        assert.equal(last['code'], code);
        assert.match(`${String(last['msg'])} ${String(last['hint'])}`, says);
        assert.deepEqual(await filesIn(target), []);
      });
  });
}

failures('error_message', [
  {
    name: 'no_credentials',
    uri: 's3://foo/m',
    open: at({}, { AWS_ACCESS_KEY_ID: '', AWS_EC2_METADATA_DISABLED: 'true' }),
    code: 'UNAUTHENTICATED',
    says: /AWS_ACCESS_KEY_ID/,
  },
  {
    name: 'access_denied',
    uri: 's3://foo/m',
    open: at({ allow: () => false }),
    code: 'PERMISSION_DENIED',
    says: /AccessDenied.*s3:GetObject on arn:aws:s3:::foo/,
  },
  {
    name: 'bucket_not_found',
    uri: 's3://nope/m',
    open: at(),
    code: 'NOT_FOUND',
    says: /NoSuchBucket.*bucket/,
  },
  {
    name: 'invalid_credentials',
    uri: 's3://foo/m',
    open: at({}, { AWS_ACCESS_KEY_ID: 'unknown' }),
    code: 'UNAUTHENTICATED',
    says: /InvalidAccessKeyId.*access key/,
  },
  {
    name: 'connection_error',
    uri: 's3://foo/m',
    open: () => Promise.resolve({ ...KEYS, AWS_ENDPOINT_URL: 'http://127.0.0.1:1' }),
    code: 'UNAVAILABLE',
    says: /127\.0\.0\.1:1/,
  },
  {
    name: 'not_found (GCS)',
    uri: 'gs://nope/m',
    open: async (t) => {
      const server = await startGcs();
      t.after(() => server.close());
      return { STORAGE_EMULATOR_HOST: server.url };
    },
    code: 'NOT_FOUND',
    says: /bucket/,
  },
  {
    name: 'gcs_auth',
    uri: 'gs://foo/m',
    open: async (t) => {
      const server = await startGcs({ requireAuth: true, buckets: { foo: { m: 'x' } } });
      t.after(() => server.close());
      return { MODEL_FETCH_GCS_ENDPOINT: server.url, NO_GCE_CHECK: 'true' };
    },
    code: 'UNAUTHENTICATED',
    says: /GOOGLE_APPLICATION_CREDENTIALS/,
  },
  {
    name: 'default: the word and the text of the store',
    uri: 's3://foo/m',
    open: at({ faults: () => ({ status: 418, code: 'Teapot', message: 'short and stout' }) }),
    code: 'BAD_RESPONSE',
    says: /Teapot.*short and stout/,
  },
]);

suite('check_http_response', () => {
  const answers: readonly (readonly [status: number, code: string, says: RegExp])[] = [
    [401, 'UNAUTHENTICATED', /401.*credentials/],
    [403, 'PERMISSION_DENIED', /403.*credentials/],
    [404, 'NOT_FOUND', /404/],
    [500, 'UNAVAILABLE', /500/],
  ];
  for (const [status, code, says] of answers)
    test(noteCase('check_http_response', String(status)), async (t) => {
      const { web } = await world(t);
      web.faults.push({ kind: 'status', status, times: 99 });
      const { last } = await failing(t, web.put('/a', 'a'), {});
      assert.equal(last['code'], code);
      assert.match(`${String(last['msg'])} ${String(last['hint'])}`, says);
    });
});
cases('check_http_response', [{ name: '200_ok', put: served('/a', 'a'), gives: ['a'] }]);

suite("the agent's downloads", () => {
  for (const [uri, status] of [
    ['foo://m', 17],
    ['', 2],
    ['s3:://foo/m', 2],
  ] as const)
    test(noteCase('agent', `the URI "${uri}" is an error`), async () => {
      assert.equal((await inProcess([uri, '/nowhere'])).status, status);
    });

  for (const pages of [1, 2, 3])
    test(noteCase('agent', `a listing of ${String(pages)} pages`), async (t) => {
      const server = await s3(t, { pageSize: 2 });
      server.put('foo', 'm/folder/', '');
      for (let one = 1; one < 2 * pages - 1; one++) server.put('foo', `m/folder/${one}`, 'x');
      const { home } = await world(t);
      const env = { ...KEYS, AWS_ENDPOINT_URL: server.url };
      const { status } = await inProcess(['s3://foo/m', join(home, 'out')], { env });
      const lists = server.requests.filter(({ key, method }) => method === 'GET' && key === '');
      // Once to plan, and once more before anything is published.
      assert.deepEqual([status, lists.length], [0, 2 * pages]);
      assert.equal((await filesIn(join(home, 'out'))).length, 2 * pages - 1);
    });

  for (const [what, key] of [
    ['list', ''],
    ['transfer', 'm/a'],
  ] as const)
    test(
      noteCase('agent', `a ${what} error is an error, and there is no mark of success`),
      async (t) => {
        const faults: S3Options['faults'] = (request) =>
          request.key === key ? { status: 500 } : undefined;
        const env = { ...KEYS, AWS_ENDPOINT_URL: (await s3(t, { faults })).url };
        const { status, target } = await failing(t, 's3://foo/m', env);
        assert.equal(status, 12);
        assert.deepEqual(await filesIn(target), []);
        assert.ok(!existsSync(join(target, '.model-fetch/manifest.jsonl')));
      },
    );

  test(
    noteCase('agent', '≠ a file of somebody else is not overwritten, but with --compat kserve'),
    async (t) => {
      const { home } = await world(t);
      const env = { ...KEYS, AWS_ENDPOINT_URL: (await s3(t)).url };
      const target = join(home, 'out');
      await mkdir(target);
      await writeFile(join(target, 'a'), 'theirs');
      assert.equal((await inProcess(['s3://foo/m', target], { env })).status, 15);
      const compat = { ...env, MODEL_FETCH_COMPAT: 'kserve' };
      assert.equal((await inProcess(['s3://foo/m', target], { env: compat })).status, 0);
      assert.equal(await readFile(join(target, 'a'), 'utf8'), 'a');
    },
  );
});

cases('agent', [
  {
    name: 'markers of folders alone are an error',
    put: objects('m/', 'm/sub/'),
    uri: 's3://foo/m',
    gives: 10,
  },
  ...[
    'm/../../etc/passwd',
    'm/sub/../../../x',
    'm//etc/passwd',
    'm/a\\..\\..\\x',
    'm/..',
    'm/./x',
    'm/C:/x',
  ].map((key) => ({
    name: `the key ${key.replace(/^m\//, '')} is refused`,
    put: objects('m/good', key),
    uri: 's3://foo/m',
    gives: 14,
  })),
  ...['a..b', '...', '.hidden', 'a/..b/c'].map((name) => ({
    name: `the key ${name} is a name like any other`,
    put: objects('m/good', `m/${name}`),
    uri: 's3://foo/m',
    gives: ['good', name],
  })),
]);

const GZIPPED = gzipSync('{"a":1}');
const label =
  (path: string, bytes: Buffer, encoding: string, type = 'application/octet-stream') =>
  ({ web }: Awaited<ReturnType<typeof world>>): string =>
    web.put(path, bytes, { headers: { 'content-type': type, 'content-encoding': encoding } });

cases('Content-Encoding', [
  {
    name: '≠ a body that is encoded all the same is decoded',
    put: label('/m.json', GZIPPED, 'gzip'),
    gives: ['m.json'],
  },
  {
    name: 'with --compat kserve it stays as it came',
    put: label('/m.json', GZIPPED, 'gzip'),
    env: { MODEL_FETCH_COMPAT: 'kserve' },
    gives: ['m.json'],
  },
  {
    name: 'an archive that is called encoded is an archive',
    put: label('/m.tar.gz', TGZ, 'x-gzip', 'application/x-gzip'),
    gives: ['model.pth'],
  },
  {
    name: 'the same with --compat kserve',
    put: label('/m.tar.gz', TGZ, 'x-gzip', 'application/x-gzip'),
    env: { MODEL_FETCH_COMPAT: 'kserve' },
    gives: ['model.pth'],
  },
  {
    name: 'p.pkl.gz that is called encoded stays what it is',
    put: label('/p.pkl.gz', GZIPPED, 'gzip'),
    gives: ['p.pkl.gz'],
  },
  { name: '≠ another encoding is an error', put: label('/m.bin', GZIPPED, 'br'), gives: 13 },
]);

for (const [name, path, more, content] of [
  ['≠ what was decoded is the content', '/m.json', {}, Buffer.from('{"a":1}')],
  ['what stays is what came', '/m.json', { MODEL_FETCH_COMPAT: 'kserve' }, GZIPPED],
  ['p.pkl.gz is what came', '/p.pkl.gz', {}, GZIPPED],
] as const)
  test(noteCase('Content-Encoding', name), async (t) => {
    const there = await world(t);
    const uri = label(path, GZIPPED, 'gzip')(there);
    for (let run = 0; run < 2; run++) {
      const { status, stderr } = await inProcess([uri, join(there.home, 'out')], { env: more });
      assert.equal(status, 0, stderr);
      assert.deepEqual(await readFile(join(there.home, 'out', path)), content);
    }
  });

for (const encoding of ['gzip', 'aws-chunked'])
  test(
    noteCase('Content-Encoding', `an object of S3 that is labelled ${encoding} is what was stored`),
    async (t) => {
      const { home } = await world(t);
      const server = await s3(t);
      server.put('foo', 'm/big', Buffer.alloc(20 << 20, 1), { contentEncoding: encoding });
      server.put('foo', 'm/small', 'stored', { contentEncoding: encoding });
      const env = { ...KEYS, AWS_ENDPOINT_URL: server.url };
      const { status, stderr } = await inProcess(['s3://foo/m', join(home, 'out')], { env });
      assert.equal(status, 0, stderr);
      assert.equal(await readFile(join(home, 'out', 'small'), 'utf8'), 'stored');
      assert.equal((await readFile(join(home, 'out', 'big'))).length, 20 << 20);
    },
  );

test(
  noteCase(
    'Content-Encoding',
    'an object of GCS that is stored as gzip, and to be sent so, is inflated',
  ),
  async (t) => {
    const { gcs, home, env } = await world(t);
    for (const cacheControl of ['no-transform', 'public']) {
      gcs.put('foo', `m/${cacheControl}.json`, GZIPPED, { contentEncoding: 'gzip', cacheControl });
    }
    const { status, stderr } = await inProcess(['gs://foo/m', join(home, 'out')], { env });
    assert.equal(status, 0, stderr);
    for (const name of ['no-transform.json', 'public.json'])
      assert.equal(await readFile(join(home, 'out', name), 'utf8'), '{"a":1}');
  },
);

testDocument('errors');
