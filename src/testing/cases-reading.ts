/** Cases on the bytes a fetcher leads to, and on how it tells versions apart. */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ByteRange, Digest, DigestAlgorithm, Entry, Fetcher } from '../fetcher.ts';
import { fitting, TREE } from './cases-listing.ts';
import { digestOf } from './digest.ts';
import { failedWith, list, sample, skip, type Scene } from './scene.ts';

const SIZE = 10_000;
/** Longer than the finest clock that files and servers keep times by. */
const TICK_MS = 30;

/** A model of one file of `SIZE` bytes. */
async function one(scene: Scene): Promise<{ fetcher: Fetcher; entry: Entry; bytes: Buffer }> {
  const bytes = sample(SIZE, 7);
  const fetcher = await scene.model(fitting(scene, { 'weights.bin': bytes }));
  const entries = await list(fetcher);
  assert.equal(entries.length, 1);
  return { fetcher, entry: entries[0]!, bytes };
}

/** As `one`, skipped where parts cannot be read. */
async function ranged(scene: Scene) {
  const model = await one(scene);
  const location = await model.fetcher.locate(model.entry);
  if (model.entry.ranges === false || (location.kind === 'http' && location.range === 'none'))
    skip('the scheme has no ranges');
  return { ...model, location };
}

export const readingCases = {
  'reads every file whole': async (scene: Scene) => {
    const files = fitting(scene, TREE);
    const fetcher = await scene.model(files);
    for (const entry of await list(fetcher))
      assert.deepEqual(await scene.read(fetcher, entry), files[entry.path], entry.path);
  },

  'reads the first, a middle and the last byte': async (scene: Scene) => {
    const { fetcher, entry, bytes } = await ranged(scene);
    for (const start of [0, 5000, SIZE - 1]) {
      const read = await scene.read(fetcher, entry, { range: { start, end: start + 1 } });
      assert.deepEqual(read, bytes.subarray(start, start + 1), `byte ${String(start)}`);
    }
  },

  'gives ranges that make up the whole': async (scene: Scene) => {
    const { fetcher, entry, bytes } = await ranged(scene);
    const bounds = [0, 1, 4096, 4097, 9999, SIZE];
    const parts = bounds.slice(1).map((end, index): ByteRange => ({ start: bounds[index]!, end }));
    const read = await Promise.all(parts.map((range) => scene.read(fetcher, entry, { range })));
    assert.deepEqual(Buffer.concat(read), bytes);
  },

  'reads the same over the lane for odd answers': async (scene: Scene) => {
    const { fetcher, entry, bytes } = await one(scene);
    if ((await fetcher.locate(entry)).kind !== 'http') skip('no lane is used');
    assert.deepEqual(await scene.read(fetcher, entry, { slowly: true }), bytes);
    if (entry.ranges === false) return;
    const range = { start: 17, end: 4711 };
    assert.deepEqual(
      await scene.read(fetcher, entry, { range, slowly: true }),
      bytes.subarray(17, 4711),
    );
  },

  'answers a range past the end with an error, not with less': async (scene: Scene) => {
    const { fetcher, entry, location } = await ranged(scene);
    if (location.kind === 'file') skip('the file is read by the engine alone');
    for (const range of [
      { start: SIZE - 10, end: SIZE + 10 },
      { start: SIZE + 10, end: SIZE + 20 },
    ])
      await assert.rejects(
        scene.read(fetcher, entry, { range }),
        `bytes from ${String(range.start)}`,
      );
  },

  'reads fifty at a time': async (scene: Scene) => {
    const names = Array.from({ length: 10 }, (_, index) => `part-${String(index)}.bin`);
    const files = fitting(
      scene,
      Object.fromEntries(names.map((name, index) => [name, sample(2000 + index, index + 1)])),
    );
    const fetcher = await scene.model(files);
    const entries = await list(fetcher);
    const fifty = Array.from({ length: 50 }, (_, index) => entries[index % entries.length]!);
    const read = await Promise.all(fifty.map((entry) => scene.read(fetcher, entry)));
    for (const [index, entry] of fifty.entries())
      assert.deepEqual(read[index], files[entry.path], entry.path);
  },

  'locates with plain data, and leaves the entry as it is': async (scene: Scene) => {
    const { fetcher, entry } = await one(scene);
    const before = structuredClone(entry);
    const location = await fetcher.locate(entry);
    assert.deepEqual(entry, before);
    if (location.kind === 'stream') skip('a stream is not data');
    assert.deepStrictEqual(JSON.parse(JSON.stringify(location)), location);
  },

  'declares digests that are right': async (scene: Scene) => {
    const files = fitting(scene, TREE);
    const fetcher = await scene.model(files);
    let declared = 0;
    for (const entry of await list(fetcher)) {
      const location = await fetcher.locate(entry);
      const learnt = location.kind === 'http' ? (location.digests ?? []) : [];
      for (const digest of [...(entry.digests ?? []), ...learnt]) {
        const algorithm = digest.split(':')[0] as DigestAlgorithm;
        const right: Digest = digestOf(algorithm, files[entry.path]!);
        assert.equal(digest, right, entry.path);
        declared++;
      }
      let start = 0;
      for (const { end, digest } of location.kind === 'http'
        ? (location.parts?.digests ?? [])
        : []) {
        const algorithm = digest.split(':')[0] as DigestAlgorithm;
        const bytes = files[entry.path]!.subarray(start, end);
        assert.equal(digest, digestOf(algorithm, bytes), `${entry.path} from byte ${start}`);
        start = end;
        declared++;
      }
    }
    if (declared === 0) skip('the source declares no digests');
  },

  'never passes off bytes that were overwritten after listing': async (scene: Scene) => {
    const { fetcher, entry, bytes } = await one(scene);
    if (entry.version === undefined && fetcher.revision === undefined)
      skip('nothing tells versions apart');
    await sleep(TICK_MS);
    await scene.harness.put(fitting(scene, { 'weights.bin': sample(SIZE, 8) }));
    // Either it is noticed, or the old version is still there to be read: both are the model that was listed.
    const outcome = await scene.read(fetcher, entry).catch((error: unknown) => error);
    if (Buffer.isBuffer(outcome)) assert.ok(outcome.equals(bytes), 'the new bytes came as the old');
    else failedWith(outcome, 'SOURCE_CHANGED');
  },

  'notices a file that went after listing': async (scene: Scene) => {
    const { fetcher, entry, bytes } = await one(scene);
    await scene.harness.put({});
    const outcome = await scene.read(fetcher, entry).catch((error: unknown) => error);
    if (Buffer.isBuffer(outcome)) assert.ok(outcome.equals(bytes));
    else failedWith(outcome, 'SOURCE_CHANGED', 'NOT_FOUND');
  },

  'says the same twice, and something else once the model has changed': async (scene: Scene) => {
    await scene.harness.put(fitting(scene, { 'weights.bin': sample(SIZE, 7) }));
    const first = await identity(await scene.resolve());
    assert.deepEqual(await identity(await scene.resolve()), first);
    if (first.revision === undefined && first.listing.every((one) => one.version === undefined))
      skip('nothing tells versions apart');
    await sleep(TICK_MS);
    await scene.harness.put(fitting(scene, { 'weights.bin': sample(SIZE, 8) }));
    const second = await identity(await scene.resolve());
    assert.notDeepEqual(second, first);
    if (first.revision !== undefined) assert.notEqual(second.revision, first.revision);
  },
};

/** What the sidecar compares: the revision, or else what was listed. */
async function identity(fetcher: Fetcher) {
  const listing = await list(fetcher);
  return {
    revision: fetcher.revision,
    listing: listing.map(({ path, size, version, digests }) => ({ path, size, version, digests })),
  };
}
