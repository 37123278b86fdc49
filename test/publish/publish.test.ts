/** A model becomes visible, is kept, repaired and replaced, through the library and a real S3 protocol. */
import assert from 'node:assert/strict';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fetchModel, fetchModels, planModels, verifyTarget } from '../../src/index.ts';
import {
  fails,
  noise,
  onlyManifestRemains,
  s3Scene,
  treeFrom,
  treeOf,
  write,
  type Files,
} from './scene.ts';

const OLD: Files = {
  'config.json': '{"a":1}',
  'weights.bin': noise(300_000),
  'tokenizer/vocab.txt': 'one two three',
  'tokenizer/deep/merges.txt': 'a b',
  empty: '',
};
const NEW: Files = {
  'config.json': '{"a":2}',
  'weights.bin': noise(300_000, 2),
  'other/file.txt': 'hello',
};

describe('the first publish', () => {
  test('brings exactly the tree, and nothing of ours but the manifest', async (t) => {
    const scene = await s3Scene(t);
    scene.model('m', OLD);
    const result = await scene.fetch('m');
    assert.deepEqual(treeOf(scene.dest), treeFrom(OLD));
    onlyManifestRemains(scene.dest);
    assert.equal(result.unchanged, false);
    assert.equal(result.files, 5);
    assert.equal(result.kept, 0);
    assert.equal(result.fetchedBytes, result.bytes);
    assert.equal(
      result.bytes,
      Object.values(OLD).reduce((sum, bytes) => sum + bytes.length, 0),
    );
    assert.deepEqual((await verifyTarget(scene.dest)).files, 5);
  });

  test('keeps what is foreign in a folder that was there before', async (t) => {
    const scene = await s3Scene(t);
    write(scene.dest, { 'foreign.txt': 'mine', 'tokenizer/foreign.txt': 'mine too' });
    scene.model('m', OLD);
    await scene.fetch('m');
    assert.deepEqual(
      treeOf(scene.dest),
      treeFrom({ ...OLD, 'foreign.txt': 'mine', 'tokenizer/foreign.txt': 'mine too' }),
    );
  });

  test('says what it would do without writing anything', async (t) => {
    const scene = await s3Scene(t);
    scene.model('m', OLD);
    const pair = { uri: 's3://models/m/', dest: scene.dest };
    const [plan] = await planModels([pair], scene.options);
    assert.equal(plan!.unchanged, false);
    assert.equal(plan!.items.length, 5);
    assert.ok(plan!.items.every(({ how }) => how === 'fetch'));
    assert.equal(existsSync(scene.dest), false);
    await scene.fetch('m');
    const [again] = await planModels([pair], scene.options);
    assert.equal(again!.unchanged, true);
    assert.ok(again!.items.every(({ how }) => how === 'keep'));
  });
});

describe('the same again', () => {
  test('downloads no body byte and leaves the manifest untouched', async (t) => {
    const scene = await s3Scene(t);
    scene.model('m', OLD);
    await scene.fetch('m');
    const manifest = join(scene.dest, '.model-fetch', 'manifest.jsonl');
    const before = {
      ...statSync(manifest, { bigint: true }),
      text: readFileSync(manifest, 'utf8'),
    };
    scene.gets();
    const result = await scene.fetch('m');
    assert.equal(scene.gets().length, 0);
    assert.equal(result.unchanged, true);
    assert.equal(result.kept, 5);
    assert.equal(result.fetchedBytes, 0);
    const after = { ...statSync(manifest, { bigint: true }), text: readFileSync(manifest, 'utf8') };
    assert.equal(after.text, before.text);
    assert.equal(after.ino, before.ino);
    assert.equal(after.mtimeNs, before.mtimeNs);
    onlyManifestRemains(scene.dest);
  });

  test('a file that was only touched is kept by its bytes', async (t) => {
    const scene = await s3Scene(t);
    scene.model('m', OLD);
    await scene.fetch('m');
    utimesSync(join(scene.dest, 'weights.bin'), 1, 1);
    scene.gets();
    assert.equal((await scene.fetch('m')).unchanged, true);
    assert.equal(scene.gets().length, 0);
  });

  for (const [what, damage] of Object.entries({
    'changed in place': (file: string) => {
      const bytes = readFileSync(file);
      bytes[100_000] = bytes[100_000]! ^ 1;
      writeFileSync(file, bytes);
    },
    truncated: (file: string) => truncateSync(file, 1000),
    'made longer': (file: string) => appendFileSync(file, 'x'),
    deleted: (file: string) => rmSync(file),
    'replaced by a link': (file: string) => {
      renameSync(file, `${file}.moved`);
      symlinkSync(`${file}.moved`, file);
    },
    'replaced by an empty folder': (file: string) => {
      rmSync(file);
      mkdirSync(file);
    },
  })) {
    test(`a published file that was ${what} is repaired, and only it is downloaded`, async (t) => {
      const scene = await s3Scene(t);
      scene.model('m', OLD);
      await scene.fetch('m');
      damage(join(scene.dest, 'weights.bin'));
      await fails(verifyTarget(scene.dest), 'TARGET_CHANGED', /weights\.bin/);
      scene.gets();
      const result = await scene.fetch('m');
      assert.deepEqual(
        scene.gets().map(({ key }) => key),
        ['m/weights.bin'],
      );
      assert.equal(result.kept, 4);
      assert.equal(result.fetchedBytes, 300_000);
      rmSync(join(scene.dest, 'weights.bin.moved'), { force: true });
      assert.deepEqual(treeOf(scene.dest), treeFrom(OLD));
      await verifyTarget(scene.dest);
      onlyManifestRemains(scene.dest);
    });
  }

  test('a published file that became a folder with foreign files is a conflict before any download', async (t) => {
    const scene = await s3Scene(t);
    scene.model('m', OLD);
    await scene.fetch('m');
    rmSync(join(scene.dest, 'weights.bin'));
    write(scene.dest, { 'weights.bin/foreign': 'mine' });
    const before = treeOf(scene.dest);
    scene.gets();
    await fails(scene.fetch('m'), 'CONFLICT', /weights\.bin/);
    assert.equal(scene.gets().length, 0);
    assert.deepEqual(treeOf(scene.dest), before);
    scene.model('n', NEW);
    await fails(scene.fetch('n'), 'CONFLICT', /weights\.bin/);
    assert.deepEqual(treeOf(scene.dest), before);
  });

  test('an object that changed at the source is the only one downloaded', async (t) => {
    const scene = await s3Scene(t);
    scene.model('m', OLD);
    await scene.fetch('m');
    scene.s3.put('models', 'm/config.json', '{"a":9}');
    scene.s3.remove('models', 'm/empty');
    scene.gets();
    const result = await scene.fetch('m');
    assert.deepEqual(
      scene.gets().map(({ key }) => key),
      ['m/config.json'],
    );
    assert.equal(result.removed, 1);
    const { empty, ...rest } = OLD;
    assert.equal(empty, '');
    assert.deepEqual(treeOf(scene.dest), treeFrom({ ...rest, 'config.json': '{"a":9}' }));
    await verifyTarget(scene.dest);
  });
});

describe('another model', () => {
  test('replaces the previous one whole: stale files and emptied folders go, foreign files stay', async (t) => {
    const scene = await s3Scene(t);
    scene.model('old', OLD);
    scene.model('new', NEW);
    await scene.fetch('old');
    write(scene.dest, { 'tokenizer/foreign.txt': 'mine' });
    const result = await scene.fetch('new');
    assert.equal(result.removed, 3);
    assert.deepEqual(treeOf(scene.dest), treeFrom({ ...NEW, 'tokenizer/foreign.txt': 'mine' }));
    await verifyTarget(scene.dest);
    onlyManifestRemains(scene.dest);
  });

  test('a file where the old one had a folder, and a folder where it had a file', async (t) => {
    const scene = await s3Scene(t);
    const one: Files = { a: 'file', 'b/c/d': 'deep', 'b/e': 'e' };
    const two: Files = { 'a/x/y': 'deep', b: 'file' };
    scene.model('one', one);
    scene.model('two', two);
    for (const [name, files] of [
      ['one', one],
      ['two', two],
      ['one', one],
      ['two', two],
    ] as const) {
      await scene.fetch(name);
      assert.deepEqual(treeOf(scene.dest), treeFrom(files));
      await verifyTarget(scene.dest);
    }
    onlyManifestRemains(scene.dest);
  });

  test('a file where a folder of ours has an empty folder of somebody else', async (t) => {
    const scene = await s3Scene(t);
    scene.model('one', { 'b/c': 'c' });
    scene.model('two', { b: 'file' });
    await scene.fetch('one');
    mkdirSync(join(scene.dest, 'b', 'nothing', 'in', 'here'), { recursive: true });
    await scene.fetch('two');
    assert.deepEqual(treeOf(scene.dest), treeFrom({ b: 'file' }));
  });

  test('stale files are not removed through a folder that became a link', async (t) => {
    const scene = await s3Scene(t);
    scene.model('old', OLD);
    scene.model('new', NEW);
    await scene.fetch('old');
    const elsewhere = join(scene.root, 'elsewhere');
    renameSync(join(scene.dest, 'tokenizer'), elsewhere);
    symlinkSync(elsewhere, join(scene.dest, 'tokenizer'));
    await scene.fetch('new');
    assert.deepEqual(
      treeOf(elsewhere),
      treeFrom({ 'vocab.txt': 'one two three', 'deep/merges.txt': 'a b' }),
    );
    await verifyTarget(scene.dest);
  });

  test('hundreds of folders come and go', async (t) => {
    const scene = await s3Scene(t);
    const files = Object.fromEntries(
      Array.from({ length: 200 }, (_, i) => [`f${String(i)}/x`, String(i)]),
    );
    scene.model('m', files);
    scene.model('n', { x: 'x' });
    await scene.fetch('m');
    assert.deepEqual(treeOf(scene.dest), treeFrom(files));
    assert.equal((await scene.fetch('n')).removed, 200);
    assert.deepEqual(treeOf(scene.dest), { x: 'x' });
  });
});

describe('something foreign in the way', () => {
  test('of another size is a conflict before any download', async (t) => {
    const scene = await s3Scene(t);
    scene.model('m', OLD);
    write(scene.dest, { 'weights.bin': 'other' });
    const before = treeOf(scene.dest);
    const error = await fails(scene.fetch('m', { concurrency: 1 }), 'CONFLICT', /weights\.bin/);
    assert.equal(error.exitStatus, 15);
    assert.equal(scene.gets().filter(({ key }) => key === 'm/weights.bin').length, 0);
    assert.deepEqual(treeOf(scene.dest, true), before);
  });

  test('of the same size and other bytes is a conflict, and stays', async (t) => {
    const scene = await s3Scene(t);
    scene.model('m', OLD);
    write(scene.dest, { 'config.json': '{"b":1}' });
    await fails(scene.fetch('m'), 'CONFLICT', /config\.json/);
    assert.deepEqual(treeOf(scene.dest, true), { 'config.json': '{"b":1}' });
  });

  test('of the same bytes is adopted', async (t) => {
    const scene = await s3Scene(t);
    scene.model('m', OLD);
    write(scene.dest, { 'weights.bin': OLD['weights.bin']! });
    await scene.fetch('m');
    assert.deepEqual(treeOf(scene.dest), treeFrom(OLD));
    scene.model('n', NEW);
    await scene.fetch('n');
    assert.deepEqual(treeOf(scene.dest), treeFrom(NEW));
  });

  test('is replaced when that is asked for, a link itself and not what it leads to', async (t) => {
    const scene = await s3Scene(t);
    scene.model('m', OLD);
    write(scene.dest, { 'weights.bin': 'other' });
    write(scene.root, { precious: 'precious' });
    symlinkSync(join(scene.root, 'precious'), join(scene.dest, 'config.json'));
    await fails(scene.fetch('m'), 'CONFLICT');
    await scene.fetch('m', { overwrite: true });
    assert.deepEqual(treeOf(scene.dest), treeFrom(OLD));
    assert.equal(readFileSync(join(scene.root, 'precious'), 'utf8'), 'precious');
  });

  for (const overwrite of [false, true]) {
    test(`a link in the place of a folder is never written through (overwrite: ${String(overwrite)})`, async (t) => {
      const scene = await s3Scene(t);
      scene.model('m', OLD);
      write(scene.root, { 'elsewhere/vocab.txt': 'precious' });
      mkdirSync(scene.dest);
      symlinkSync(join(scene.root, 'elsewhere'), join(scene.dest, 'tokenizer'));
      await fails(scene.fetch('m', { overwrite }), 'CONFLICT', /tokenizer/);
      assert.deepEqual(treeOf(join(scene.root, 'elsewhere')), { 'vocab.txt': 'precious' });
      assert.deepEqual(treeOf(scene.dest, true), {
        tokenizer: `-> ${join(scene.root, 'elsewhere')}`,
      });
    });
  }

  test('a folder with foreign files is a conflict, an empty one is not', async (t) => {
    const scene = await s3Scene(t);
    scene.model('m', OLD);
    write(scene.dest, { 'config.json/foreign': 'mine' });
    await fails(scene.fetch('m', { overwrite: true }), 'CONFLICT', /config\.json/);
    assert.deepEqual(treeOf(scene.dest, true), { 'config.json/foreign': 'mine' });
    rmSync(join(scene.dest, 'config.json', 'foreign'));
    mkdirSync(join(scene.dest, 'config.json', 'empty', 'too'), { recursive: true });
    await scene.fetch('m');
    assert.deepEqual(treeOf(scene.dest), treeFrom(OLD));
  });

  test('the destination is a file, or a link to nothing', async (t) => {
    const scene = await s3Scene(t);
    scene.model('m', OLD);
    writeFileSync(scene.dest, 'a file');
    await fails(scene.fetch('m'), 'CONFLICT', /not a directory/);
    rmSync(scene.dest);
    symlinkSync(join(scene.root, 'nothing'), scene.dest);
    await fails(scene.fetch('m'), 'CONFLICT');
    assert.equal(existsSync(join(scene.root, 'nothing')), false);
  });

  test('our own name is a link', async (t) => {
    const scene = await s3Scene(t);
    scene.model('m', OLD);
    write(scene.root, { 'elsewhere/x': 'x' });
    mkdirSync(scene.dest);
    for (const to of ['elsewhere', 'nothing']) {
      symlinkSync(join(scene.root, to), join(scene.dest, '.model-fetch'));
      await fails(scene.fetch('m'), 'CONFLICT');
      rmSync(join(scene.dest, '.model-fetch'));
    }
    assert.deepEqual(treeOf(join(scene.root, 'elsewhere')), { x: 'x' });
    assert.equal(existsSync(join(scene.root, 'nothing')), false);
  });
});

describe('several sources and targets', () => {
  test('two sources become one target, and each is kept the next time', async (t) => {
    const scene = await s3Scene(t);
    scene.model('a', { 'a.txt': 'a', 'shared/a.txt': 'sa' });
    scene.model('b', { 'b.txt': 'b', 'shared/b.txt': 'sb' });
    const uris = ['s3://models/a/', 's3://models/b/'];
    const result = await fetchModel(uris, scene.dest, scene.options);
    assert.equal(result.sources.length, 2);
    const both = { 'a.txt': 'a', 'shared/a.txt': 'sa', 'b.txt': 'b', 'shared/b.txt': 'sb' };
    assert.deepEqual(treeOf(scene.dest), both);
    scene.gets();
    assert.equal((await fetchModel(uris, scene.dest, scene.options)).unchanged, true);
    scene.s3.put('models', 'b/b.txt', 'B');
    await fetchModel(uris, scene.dest, scene.options);
    assert.deepEqual(
      scene.gets().map(({ key }) => key),
      ['b/b.txt'],
    );
    assert.equal((await scene.fetch('a')).removed, 2);
    assert.deepEqual(treeOf(scene.dest), { 'a.txt': 'a', 'shared/a.txt': 'sa' });
    await verifyTarget(scene.dest);
  });

  test('one destination by two names is one target', async (t) => {
    const scene = await s3Scene(t);
    scene.model('a', { 'a.txt': 'a' });
    scene.model('b', { 'b.txt': 'b' });
    symlinkSync(scene.dest, join(scene.root, 'alias'));
    mkdirSync(scene.dest);
    const results = await fetchModels(
      [
        { uri: 's3://models/a/', dest: scene.dest },
        { uri: 's3://models/b/', dest: `${join(scene.root, 'alias')}/` },
      ],
      scene.options,
    );
    assert.equal(results.length, 1);
    assert.deepEqual(treeOf(scene.dest), { 'a.txt': 'a', 'b.txt': 'b' });
  });

  for (const [what, second] of [
    ['the same name', { same: 'b' }],
    ['a file in a file', { 'same/x': 'b' }],
  ] as const) {
    test(`a collision between two sources (${what}) is an error and leaves nothing`, async (t) => {
      const scene = await s3Scene(t);
      scene.model('a', { same: 'a', other: 'o' });
      scene.model('b', second);
      await fails(
        fetchModel(['s3://models/a/', 's3://models/b/'], scene.dest, scene.options),
        'CONFLICT',
      );
      assert.equal(existsSync(scene.dest), false);
    });
  }

  test('when the second target fails, nothing of the first is visible', async (t) => {
    const scene = await s3Scene(t);
    scene.model('a', { 'a.txt': 'a' });
    const [one, two] = [join(scene.root, 'one'), join(scene.root, 'two')];
    const pairs = [
      { uri: 's3://models/a/', dest: one },
      { uri: 's3://models/missing/', dest: two },
    ];
    await fails(fetchModels(pairs, scene.options), 'NOT_FOUND');
    assert.deepEqual(existsSync(one) ? treeOf(one) : {}, {});
    assert.equal(existsSync(two), false);
  });

  test('when the second source moves while it is read, nothing of the first is visible', async (t) => {
    const scene = await s3Scene(t);
    scene.model('a', { 'a.txt': 'a' });
    scene.model('b', { 'b.txt': 'b' });
    const [one, two] = [join(scene.root, 'one'), join(scene.root, 'two')];
    scene.trouble = ({ key }) => {
      if (key === 'b/b.txt') scene.s3.put('models', 'b/late.txt', 'late');
      return undefined;
    };
    const pairs = [
      { uri: 's3://models/a/', dest: one },
      { uri: 's3://models/b/', dest: two },
    ];
    await fails(fetchModels(pairs, scene.options), 'SOURCE_CHANGED');
    assert.deepEqual(treeOf(one), {});
    assert.equal(existsSync(two), false);
  });

  test('several targets in one call', async (t) => {
    const scene = await s3Scene(t);
    scene.model('a', { 'a.txt': 'a' });
    scene.model('b', { 'b.txt': 'b' });
    const [one, two] = [join(scene.root, 'one'), join(scene.root, 'deep/er/two')];
    const results = await fetchModels(
      [
        { uri: 's3://models/a/', dest: one },
        { uri: 's3://models/b/', dest: two },
      ],
      scene.options,
    );
    assert.deepEqual(
      results.map(({ target }) => target),
      [one, two],
    );
    assert.deepEqual(treeOf(one), { 'a.txt': 'a' });
    assert.deepEqual(treeOf(two), { 'b.txt': 'b' });
    assert.deepEqual(readdirSync(scene.root).sort(), ['deep', 'one']);
  });
});
