/** Recorded init containers, run as they stand: the model must be where their arguments say. */
import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { suite, test } from 'node:test';
import { tar } from '../support/archives.ts';
import { startNode, type PodNode, type Ran } from './node.ts';
import { pods, SKIP, type Pod } from './vectors.ts';

interface Case {
  /** Region of the S3 that the environment means. */
  readonly region?: string;
  /** Puts the model where the arguments look for it. */
  readonly fill: (node: PodNode) => Promise<void> | void;
  /** The files that must be there, by mount path. */
  readonly files: Readonly<Record<string, readonly string[]>>;
  /** Variables that come from elsewhere than KServe. */
  readonly env?: (node: PodNode) => Promise<Record<string, string>>;
  readonly uid: number;
}

const MODEL = ['config.json', 'sub/__init__.py', 'weights.bin'];

function putS3(prefix: string): (node: PodNode) => void {
  return ({ s3 }) => {
    s3.put('models', `${prefix}/config.json`, '{}');
    s3.put('models', `${prefix}/sub/__init__.py`, '');
    s3.put('models', `${prefix}/weights.bin`, Buffer.alloc(300_000, 7));
    s3.put('models', `${prefix}-v2/config.json`, 'another model');
  };
}

const iris = putS3('iris');
const base = putS3('base');
const role = (node: PodNode) => node.role();
/** IRSA's and Istio's, the image's own, distroless's, and one out of a namespace's range. */
const [KSERVE, ISTIO, NONROOT, RANDOM] = [1000, 1337, 65532, 1_000_680_000] as const;

const CASES: Readonly<Record<string, Case>> = {
  's3-keys': { uid: KSERVE, fill: iris, files: { '/mnt/models': MODEL } },
  's3-irsa': {
    uid: RANDOM,
    region: 'eu-west-1',
    fill: iris,
    files: { '/mnt/models': MODEL },
    env: role,
  },
  's3-ca-bundle': { uid: ISTIO, fill: iris, files: { '/mnt/models': MODEL } },
  's3-readonly-false': { uid: 1001, fill: iris, files: { '/mnt/models': MODEL } },
  'i-uri': { uid: NONROOT, fill: iris, files: { '/mnt/models': MODEL } },
  'i-csc': {
    uid: KSERVE,
    region: 'us-east-1',
    fill: iris,
    files: { '/mnt/models': MODEL },
    env: role,
  },
  'i-spec': {
    uid: RANDOM,
    region: 'eu-central-1',
    fill: putS3('iris/v1'),
    files: { '/mnt/models': MODEL },
  },
  'i-uris': {
    uid: RANDOM,
    fill: (node) => {
      base(node);
      node.gcs.put('bucket', 'adapter/adapter.bin', 'adapter');
    },
    files: { '/mnt/models/base': MODEL, '/mnt/models/adapter': ['adapter.bin'] },
  },
  'i-uris-one': { uid: KSERVE, fill: base, files: { '/mnt/models': MODEL } },
  'i-uris-pvc': { uid: ISTIO, fill: base, files: { '/mnt/models/base': MODEL } },
  gs: {
    uid: NONROOT,
    fill: ({ gcs }) => {
      gcs.put('bucket', 'path/model.joblib', 'joblib');
      gcs.put('bucket', 'path/sub/__init__.py', '');
      gcs.put('bucket', 'path-v2/x', 'x');
    },
    files: { '/mnt/models': ['model.joblib', 'sub/__init__.py'] },
  },
  https: {
    uid: RANDOM,
    fill: ({ web }) => {
      const archive = gzipSync(tar({ name: 'model.pth', content: 'weights' }));
      web.put('/m/model.tar.gz', archive, {
        headers: { 'content-type': 'application/octet-stream' },
      });
    },
    files: { '/mnt/models': ['model.pth'] },
  },
  file: {
    uid: KSERVE,
    fill: async (node) => {
      await mkdir(node.path('/mnt/x'), { recursive: true });
      await writeFile(join(node.path('/mnt/x'), 'model.onnx'), 'onnx');
    },
    files: { '/mnt/models': ['model.onnx'] },
  },
};

/** Recorded too, and not for us to fetch: another scheme, or no storage initializer at all. */
const OTHERS = {
  schemes: ['azure', 'hf', 'oci-fetch-pull-secret', 'unknown'],
  mounted: ['pvc', 'i-pvc'],
  images: ['oci'],
};

const recorded = (name: string): Pod => pods![name]!;

suite('a pod as KServe makes it', { skip: SKIP, concurrency: 2 }, () => {
  for (const [name, { region, fill, files, env, uid }] of Object.entries(CASES))
    test(`${name}: the model is where the arguments say, for user ${uid} without a home`, async (t) => {
      const node = await startNode(t, region);
      await fill(node);
      const pod = recorded(name);
      const ran = await node.run(pod, { uid, ...(env && { env: await env(node) }) });
      assert.equal(ran.status, 0, ran.stderr);
      for (const [place, names] of Object.entries(files))
        assert.deepEqual(await node.files(place), names, place);
      checkSuccess(
        ran,
        Object.keys(files).map((place) => node.path(place)),
      );
      for (const { status, code } of node.s3.requests)
        assert.ok(status < 400 || status === 404, `S3 answered ${status} ${code}`);
      // Run again, as after a restart of the pod: there is nothing to do.
      const again = await node.run(pod, { uid, ...(env && { env: await env(node) }) });
      assert.equal(again.status, 0, again.stderr);
      assert.match(again.message, /"fetchedBytes":0\b/);
    });

  test('the headers of https go to their host', async (t) => {
    const node = await startNode(t);
    await CASES['https']!.fill(node);
    await node.run(recorded('https'));
    assert.ok(node.web.requests.length > 0);
    for (const { headers } of node.web.requests) assert.equal(headers['x-token'], 'abc');
  });

  test('every recorded case is run here, or is not for us', () => {
    const known = [...Object.keys(CASES), ...Object.values(OTHERS).flat()];
    assert.deepEqual(known.sort(), Object.keys(pods!).sort());
    for (const name of OTHERS.mounted) assert.deepEqual(recorded(name).initContainers, []);
    for (const name of OTHERS.images)
      assert.ok(recorded(name).initContainers.every((one) => one.name !== 'storage-initializer'));
  });
});

suite('a pod that fails', { skip: SKIP, concurrency: 2 }, () => {
  const fails: readonly {
    readonly what: string;
    readonly pod: string;
    readonly secrets?: Record<string, string>;
    readonly fill?: (node: PodNode) => void;
    readonly code: string;
    readonly status: number;
  }[] = [
    { what: 'nothing at the prefix', pod: 's3-keys', code: 'NOT_FOUND', status: 10 },
    {
      what: 'another secret key',
      pod: 'i-uri',
      secrets: { 's3creds/AWS_SECRET_ACCESS_KEY': 'not-the-password' },
      fill: iris,
      code: 'UNAUTHENTICATED',
      status: 11,
    },
    {
      what: 'a secret that is no JSON',
      pod: 'i-spec',
      secrets: { 'storage-config/minio': '{"secret_access_key":"minio-password"' },
      code: 'INVALID_OPTION',
      status: 2,
    },
    { what: 'nothing behind the URL', pod: 'https', code: 'NOT_FOUND', status: 10 },
    {
      what: 'one of two sources missing',
      pod: 'i-uris',
      fill: base,
      code: 'NOT_FOUND',
      status: 10,
    },
    { what: 'a scheme that nobody serves', pod: 'unknown', code: 'UNSUPPORTED_SCHEME', status: 17 },
  ];
  for (const { what, pod, secrets, fill, code, status } of fails)
    test(`for ${what} says so in one line, and leaves nothing visible`, async (t) => {
      const node = await startNode(t);
      node.s3.put('models', 'other', 'x');
      node.gcs.put('bucket', 'other', 'x');
      fill?.(node);
      const ran = await node.run(recorded(pod), { uid: RANDOM, ...(secrets && { secrets }) });
      assert.equal(ran.status, status, ran.stderr);
      checkFailure(ran, code);
      assert.deepEqual(await node.files('/mnt/models'), []);
    });
});

/** A JSON summary for the kubelet; the last record on standard error says the same. */
function checkSuccess({ message, told, stdout }: Ran, targets: readonly string[]): void {
  assert.match(message, /^[^\n]{1,4095}\n$/);
  const summary = JSON.parse(message) as Record<string, unknown>;
  assert.deepEqual([summary['status'], summary['targets']], ['done', targets]);
  const last = told.at(-1)!;
  assert.equal(last['event'], 'done');
  for (const field of ['files', 'bytes', 'fetchedBytes', 'retries', 'verified'])
    assert.deepEqual(last[field], summary[field], field);
  assert.equal(stdout, `${targets.join('\n')}\n`);
  const loud = told.filter(({ level }) => level === 'warn' || level === 'error');
  assert.deepEqual(loud, []);
}

/** Code, cause and hint for the kubelet, in one line, which is also the last on standard error. */
function checkFailure({ message, told, stdout, stderr }: Ran, code: string): void {
  assert.ok(Buffer.byteLength(message) <= 4096);
  assert.match(message, /^[^\n]+\n$/);
  assert.ok(stderr.endsWith(`\n${message}`) || stderr === message, stderr);
  const last = told.at(-1)!;
  assert.deepEqual([last['level'], last['event'], last['code']], ['error', 'error', code]);
  for (const field of ['msg', 'hint']) assert.ok(String(last[field]).length > 5, field);
  assert.equal(stdout, '');
}
