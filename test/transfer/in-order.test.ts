/** Bytes in order, fetched by parallel pieces: what an archive is unpacked from while it arrives. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Digest } from '../../src/fetcher.ts';
import { openRun } from '../../src/run.ts';
import { inOrder } from '../../src/transfer/in-order.ts';
import { Source } from '../../src/transfer/source.ts';
import { KEEP, large, s3Scene, sha256, type S3Scene } from '../publish/scene.ts';

const MIB = 1024 * 1024;

/** The bytes of the object `m/x`, as the engine gives them to an unpacker; `take` may stop early. */
async function bytesOf(
  scene: S3Scene,
  take: (chunk: Uint8Array, so_far: number) => boolean | Promise<boolean> = () => true,
): Promise<{ length: number; sha256: string; digests: Digest[] }> {
  const { createHash } = await import('node:crypto');
  await using run = openRun({ ...KEEP, ...scene.options, attempts: 4 });
  const fetcher = await run.resolve('s3://models/m/', async () => scene.root);
  const hash = createHash('sha256');
  const digests: Digest[] = [];
  let length = 0;
  for await (const entry of fetcher.list()) {
    const source = new Source(fetcher, entry, run.signal);
    for await (const chunk of inOrder(run.transfer(run.signal), source, (all) => {
      digests.push(...all);
    })) {
      hash.update(chunk);
      length += chunk.length;
      if (!(await take(chunk, length))) break;
    }
  }
  return { length, sha256: hash.digest('hex'), digests };
}

describe('bytes in order', () => {
  for (const size of [0, 1, 1000, 4 * MIB, 4 * MIB + 1, 45 * MIB])
    test(`${String(size)} of them are all there`, async (t) => {
      const scene = await s3Scene(t);
      const bytes = large(size);
      scene.model('m', { x: bytes });
      const got = await bytesOf(scene);
      assert.deepEqual([got.length, got.sha256], [size, sha256(bytes)]);
    });

  test('and right, although pieces break, stall and come out of order', async (t) => {
    const scene = await s3Scene(t);
    const bytes = large(45 * MIB);
    scene.model('m', { x: bytes });
    let gets = 0;
    scene.trouble = ({ method, key }) => {
      if (method !== 'GET' || key === '') return undefined;
      gets++;
      if (gets % 4 === 0) return { dropAfter: 1_500_000 };
      if (gets % 5 === 0) return { status: 503 };
      return { delayMs: (gets * 37) % 60 };
    };
    const got = await bytesOf(scene);
    assert.deepEqual([got.length, got.sha256], [bytes.length, sha256(bytes)]);
  });

  test('a slow consumer is not outrun by more than 32 MiB', async (t) => {
    const scene = await s3Scene(t);
    const bytes = large(80 * MIB);
    scene.model('m', { x: bytes });
    let most = 0;
    const got = await bytesOf(scene, async (chunk, soFar) => {
      await new Promise((resolve) => setTimeout(resolve, 15));
      const asked = scene.s3.requests.reduce((sum, { sent, key }) => sum + (key ? sent : 0), 0);
      most = Math.max(most, asked - soFar + chunk.length);
      return true;
    });
    assert.equal(got.sha256, sha256(bytes));
    assert.ok(most <= 36 * MIB, `${String(most / MIB)} MiB ahead`);
  });

  test('a consumer that needs no more leaves nothing running', async (t) => {
    const scene = await s3Scene(t);
    scene.model('m', { x: large(45 * MIB) });
    const got = await bytesOf(scene, (_, soFar) => soFar < 5 * MIB);
    assert.equal(got.length, 8 * MIB);
    scene.model('m', { x: large(3 * MIB) });
    await bytesOf(scene, () => false);
  });

  test('a server without ranges is read in one pass', async (t) => {
    const scene = await s3Scene(t);
    const bytes = large(20 * MIB);
    scene.s3.put('models', 'm/x', bytes, { checksums: ['crc32c'] });
    scene.trouble = ({ key }) => (key === '' ? undefined : { range: 'whole' });
    const got = await bytesOf(scene);
    assert.equal(got.sha256, sha256(bytes));
    assert.ok(got.digests.some((digest) => digest.startsWith('crc32c:')));
  });

  test('and when such a server breaks off, that is said: nothing can be unpacked twice', async (t) => {
    const scene = await s3Scene(t);
    scene.model('m', { x: large(20 * MIB) });
    scene.trouble = ({ key, headers }) =>
      key === ''
        ? undefined
        : { range: 'whole', ...(headers['range'] === undefined && { dropAfter: 6 * MIB }) };
    await assert.rejects(bytesOf(scene), { name: 'ModelFetchError', code: 'TRUNCATED' });
  });
});
