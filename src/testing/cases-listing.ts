/** Cases on what a fetcher lists. */
import assert from 'node:assert/strict';
import { entryAt, list, offered, pathsOf, sample, singleName, skip, type Scene } from './scene.ts';
import type { Files } from './harness.ts';

/** Legal in names of objects and files, and each with a meaning somewhere in a URL. */
const ODD_NAMES = [
  'two words.bin',
  'hash#1.bin',
  'question?mark.bin',
  'percent%41.bin',
  'plus+sign.bin',
  'amp&equals=1.bin',
  'größe-模型.bin',
];

/** A model as it may look: folders in folders, a dotfile, an empty file. */
export const TREE: Files = {
  'config.json': Buffer.from('{"layers":2}'),
  'weights.bin': sample(5000, 2),
  'deep/er/still/weights.bin': sample(300, 3),
  'deep/tokenizer.json': Buffer.from('{}'),
  '.hidden': Buffer.from('kept'),
  'empty.txt': Buffer.alloc(0),
};

/** `files`, or just one of them under the only name there is. */
export function fitting(scene: Scene, files: Files): Files {
  if (!scene.harness.singleFile) return files;
  return { [singleName(scene.harness)]: Object.values(files)[0]! };
}

function folder(scene: Scene): void {
  if (scene.harness.singleFile) skip('the scheme names one file');
}

export const listingCases = {
  'lists every file, however deep, by its path within the model': async (scene: Scene) => {
    const files = fitting(scene, TREE);
    const entries = await list(await scene.model(files));
    assert.deepEqual(pathsOf(entries), Object.keys(files).sort());
  },

  'gives sizes that are true': async (scene: Scene) => {
    const files = fitting(scene, TREE);
    const entries = await list(await scene.model(files));
    if (entries.every((entry) => entry.size === undefined)) skip('entries have no sizes');
    for (const entry of entries)
      if (entry.size !== undefined)
        assert.equal(entry.size, files[entry.path]?.length, `size of ${entry.path}`);
  },

  'keeps a file that is empty': async (scene: Scene) => {
    const files = fitting(scene, { 'empty.bin': Buffer.alloc(0), 'a.bin': sample(3) });
    const fetcher = await scene.model(files);
    const entry = entryAt(await list(fetcher), Object.keys(files)[0]!);
    assert.equal((await scene.read(fetcher, entry)).length, 0);
  },

  'does not take neighbours whose names begin like the model': async (scene: Scene) => {
    folder(scene);
    if (!scene.harness.siblings) skip('the harness has no siblings()');
    await scene.harness.put({ 'a.bin': sample(10) });
    await scene.harness.siblings({ '-v2/a.bin': sample(20), '.bak': sample(30) });
    assert.deepEqual(pathsOf(await list(await scene.resolve())), ['a.bin']);
  },

  'lists a single object as one entry with its base name': async (scene: Scene) => {
    if (!scene.harness.single) skip('the harness has no single()');
    const bytes = sample(700, 4);
    const uri = await scene.harness.single('one.bin', bytes);
    const fetcher = await scene.resolve({ uri });
    const entries = await list(fetcher);
    assert.deepEqual(pathsOf(entries), ['one.bin']);
    assert.deepEqual(await scene.read(fetcher, entries[0]!), bytes);
  },

  'lists the whole of the root': async (scene: Scene) => {
    const uri = offered(scene.harness.rootUri, 'rootUri');
    await scene.harness.put(TREE);
    const paths = pathsOf(await list(await scene.resolve({ uri })));
    for (const path of Object.keys(TREE))
      assert.ok(
        paths.some((one) => one === path || one.endsWith(`/${path}`)),
        `${path} is missing from ${JSON.stringify(paths)}`,
      );
  },

  'keeps odd names as they are, and finds their bytes': async (scene: Scene) => {
    if (scene.harness.singleFile && !scene.harness.single) skip('the harness has no single()');
    for (const [uri, files] of await oddModels(scene)) {
      const fetcher = await scene.resolve(uri === undefined ? {} : { uri });
      const entries = await list(fetcher);
      assert.deepEqual(pathsOf(entries), Object.keys(files).sort());
      for (const entry of entries)
        assert.deepEqual(await scene.read(fetcher, entry), files[entry.path], entry.path);
    }
  },

  'lists more than one page': async (scene: Scene) => {
    folder(scene);
    const count = offered(scene.harness.twoPages, 'twoPages');
    const names = Array.from({ length: count }, (_, index) => `part-${String(index)}.bin`);
    const fetcher = await scene.model(
      Object.fromEntries(names.map((name, index) => [name, sample(1 + (index % 3), index + 1)])),
    );
    const entries = await list(fetcher);
    assert.deepEqual(pathsOf(entries), names.sort());
    const last = entries.at(-1)!;
    assert.equal(
      (await scene.read(fetcher, last)).length,
      1 + (Number(/\d+/.exec(last.path)![0]) % 3),
    );
  },

  'lists in an order that stays the same': async (scene: Scene) => {
    const fetcher = await scene.model(fitting(scene, TREE));
    const order = async () => (await list(fetcher)).map((entry) => entry.path);
    assert.deepEqual(await order(), await order());
  },

  'lists plain data': async (scene: Scene) => {
    for (const entry of await list(await scene.model(fitting(scene, TREE))))
      assert.deepStrictEqual(JSON.parse(JSON.stringify(entry)), entry);
  },

  'lets a listing be left early': async (scene: Scene) => {
    const fetcher = await scene.model(fitting(scene, TREE));
    for await (const entry of fetcher.list()) {
      assert.ok(entry.path);
      break;
    }
    assert.equal((await list(fetcher)).length, Object.keys(fitting(scene, TREE)).length);
  },
};

/** Odd names in one model, or a model each where a URI names a file. Without a URI it is the harness's own. */
async function oddModels(scene: Scene): Promise<[uri: string | undefined, files: Files][]> {
  const { harness } = scene;
  const contents = ODD_NAMES.map((name, index): [string, Buffer] => [name, sample(40, index + 1)]);
  if (!harness.singleFile) {
    await harness.put(Object.fromEntries(contents));
    return [[undefined, Object.fromEntries(contents)]];
  }
  const models: [string, Files][] = [];
  for (const [name, bytes] of contents)
    models.push([await harness.single!(name, bytes), { [name]: bytes }]);
  return models;
}
