/** Recorded init containers, run as they stand: the model must be where their arguments say. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { base, CASES, iris, RANDOM } from './cases.ts';
import { startNode, type PodNode } from './node.ts';
import { checkFailure, checkSuccess } from './told.ts';
import { pods, SKIP, type Pod } from './vectors.ts';

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
