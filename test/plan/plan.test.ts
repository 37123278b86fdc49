/** The plan by itself: entries in, what is to be done out, one at a time. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Digest, Entry } from '../../src/fetcher.ts';
import { Collisions } from '../../src/plan/collisions.ts';
import { Fingerprint } from '../../src/plan/fingerprint.ts';
import { makePlan, type PlanItem, type PlanOptions } from '../../src/plan/plan.ts';
import type { Manifest, ManifestEntry, ManifestFile } from '../../src/publish/manifest.ts';

async function* from(entries: readonly Entry[]): AsyncGenerator<Entry> {
  yield* entries;
}

const counter =
  (first = 0) =>
  (): number =>
    first++;

function options(more: Partial<PlanOptions> = {}): PlanOptions {
  return {
    from: 'x://y',
    uri: 'x://y',
    wanted: () => true,
    unpack: 'auto',
    required: [],
    previous: undefined,
    untouched: async () => true,
    collisions: new Collisions(),
    fingerprint: new Fingerprint(),
    nextId: counter(),
    ...more,
  };
}

async function plan(entries: readonly Entry[], more?: Partial<PlanOptions>): Promise<PlanItem[]> {
  return Array.fromAsync(makePlan(from(entries), options(more)));
}

const how = (items: readonly PlanItem[]): string[] => items.map((item) => item.how);

/** A manifest of entries of `x://y`, each with the files given. */
function published(
  entries: readonly (Omit<ManifestEntry, 'id' | 'source'> & { files?: readonly string[] })[],
): Manifest {
  const files = new Map<string, ManifestFile>();
  const filesOf = new Map<number, ManifestFile[]>();
  const byPath = new Map<string, ManifestEntry>();
  for (const [id, { files: names, ...entry }] of entries.entries()) {
    byPath.set(entry.path, { ...entry, id, source: 0 });
    filesOf.set(
      id,
      (names ?? [entry.path]).map((path) => ({ path, size: 1, mtimeNs: '1', ino: '1', entry: id })),
    );
    for (const file of filesOf.get(id)!) files.set(file.path, file);
  }
  const header = {
    manifest: 1,
    tool: 't',
    layout: 'flat',
    publishedAt: '',
    sources: [],
    files: files.size,
    bytes: 0,
  } as const;
  return { header, entries: new Map([['x://y', byPath]]), files, filesOf, folders: [] };
}

describe('a plan', () => {
  test('fetches what is new, keeps what is the same, in order and numbered', async () => {
    const previous = published([
      { path: 'a', size: 1, version: '1', as: 'file' },
      { path: 'b', size: 1, version: '1', as: 'file' },
    ]);
    const items = await plan(
      [
        { path: 'a', size: 1, version: '1' },
        { path: 'b', size: 1, version: '2' },
        { path: 'c', size: 1, version: '1' },
      ],
      { previous, nextId: counter(7) },
    );
    assert.deepEqual(how(items), ['keep', 'fetch', 'fetch']);
    assert.deepEqual(
      items.map(({ id }) => id),
      [7, 8, 9],
    );
  });

  test('keeps only what is untouched, of that size, and of that source', async () => {
    const previous = published([{ path: 'a', size: 1, version: '1', as: 'file' }]);
    const same = { path: 'a', size: 1, version: '1' };
    assert.deepEqual(how(await plan([same], { previous })), ['keep']);
    assert.deepEqual(how(await plan([same], { previous, untouched: async () => false })), [
      'fetch',
    ]);
    assert.deepEqual(how(await plan([{ ...same, size: 2 }], { previous })), ['fetch']);
    assert.deepEqual(how(await plan([same], { previous, from: 'x://other' })), ['fetch']);
  });

  test('without a version only a strong digest proves that nothing changed', async () => {
    const check = async (digest: Digest): Promise<string> => {
      const previous = published([{ path: 'a', size: 1, as: 'file', against: [digest] }]);
      return how(await plan([{ path: 'a', size: 1, digests: [digest] }], { previous }))[0]!;
    };
    assert.equal(await check('sha256:00'), 'keep');
    assert.equal(await check('md5:00'), 'fetch');
    assert.equal(await check('crc32:00'), 'fetch');
    const previous = published([{ path: 'a', size: 1, as: 'file' }]);
    assert.deepEqual(how(await plan([{ path: 'a', size: 1 }], { previous })), ['fetch']);
  });

  test('a sole archive is unpacked; two are not; nor one among other files', async () => {
    for (const name of [
      'm.tar',
      'm.tar.gz',
      'm.tgz',
      'm.zip',
      'm.tar.zst',
      'm.tar.bz2',
      'm.tar.xz',
    ]) {
      assert.deepEqual(how(await plan([{ path: name }])), ['unpack'], name);
      assert.deepEqual(how(await plan([{ path: name }], { unpack: 'never' })), ['fetch']);
      assert.deepEqual(how(await plan([{ path: name }, { path: 'x' }])), ['fetch', 'fetch']);
      assert.deepEqual(how(await plan([{ path: name }, { path: `2${name}` }])), ['fetch', 'fetch']);
    }
    for (const name of ['m.pt', 'm.npz', 'm.gz', 'm', 'zip'])
      assert.deepEqual(how(await plan([{ path: name }])), ['fetch'], name);
  });

  test("a fetcher's own word that it is an archive comes first, also among several", async () => {
    const layer: Entry = { path: 'layer', archive: { format: 'tar' } };
    assert.deepEqual(how(await plan([layer, { path: 'x' }])), ['unpack', 'fetch']);
    assert.deepEqual(how(await plan([layer], { unpack: 'never' })), ['fetch']);
  });

  test('an unpacked archive is kept while all of its files are untouched', async () => {
    const previous = published([
      { path: 'm.tar', size: 1, version: '1', as: 'archive', files: ['a', 'b'] },
    ]);
    const same = { path: 'm.tar', size: 1, version: '1' };
    const [item] = await plan([same], { previous });
    assert.ok(item?.how === 'keep' && item.files.length === 2);
    const untouched = async ({ path }: ManifestFile): Promise<boolean> => path !== 'b';
    assert.deepEqual(how(await plan([same], { previous, untouched })), ['unpack']);
    assert.deepEqual(how(await plan([same], { previous, unpack: 'never' })), ['fetch']);
  });

  test('only what is wanted counts: for what is sole, for the fingerprint, and there must be something', async () => {
    const fingerprint = new Fingerprint();
    const wanted = (path: string): boolean => path !== 'README';
    const entries = [{ path: 'README' }, { path: 'm.tar' }];
    assert.deepEqual(how(await plan(entries, { wanted, fingerprint })), ['unpack']);
    assert.equal(fingerprint.count, 1);
    await assert.rejects(plan(entries, { wanted: () => false }), { code: 'NOT_FOUND' });
    await assert.rejects(plan([]), { code: 'NOT_FOUND' });
  });

  test('unsafe names are refused, wanted or not, and collisions found', async () => {
    for (const path of ['../x', '/x', 'a//b', '.model-fetch', 'a/./b', ''])
      await assert.rejects(plan([{ path }], { wanted: () => false }), {
        code: 'UNSAFE_PATH',
        uri: 'x://y',
      });
    await assert.rejects(plan([{ path: 'a' }, { path: 'a/b' }]), { code: 'CONFLICT' });
    const collisions = new Collisions();
    await plan([{ path: 'a' }], { collisions });
    await assert.rejects(plan([{ path: 'a' }], { collisions }), { code: 'CONFLICT' });
  });

  test('a checksum is for one file, and what was not checked against it is not kept', async () => {
    const required: Digest[] = ['sha256:00'];
    await assert.rejects(plan([{ path: 'a' }, { path: 'b' }], { required }), {
      code: 'INVALID_OPTION',
    });
    const entry = { path: 'a', size: 1, version: '1' };
    const before = published([{ ...entry, as: 'file' }]);
    assert.deepEqual(how(await plan([entry], { required, previous: before })), ['fetch']);
    const checked = published([{ ...entry, as: 'file', against: required }]);
    assert.deepEqual(how(await plan([entry], { required, previous: checked })), ['keep']);
  });

  test('pulls no more than one entry ahead', async () => {
    let pulled = 0;
    async function* endless(): AsyncGenerator<Entry> {
      for (;;) yield { path: `f${String(pulled++)}` };
    }
    let seen = 0;
    for await (const item of makePlan(endless(), options())) {
      assert.equal(item.sole, false);
      assert.ok(pulled <= ++seen + 1);
      if (seen === 100) break;
    }
  });
});
