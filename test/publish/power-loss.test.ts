/**
 * The power fails after a publish that synced nothing: names, sizes and times are right, and bytes are not. Played by changing
 * them behind the model's back, and by telling the next run that it is in another boot.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import {
  existsSync,
  lstatSync,
  openSync,
  closeSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { fetchModel, planModels, verifyTarget } from '../../src/index.ts';
import { readManifest } from '../../src/publish/manifest.ts';
import { symlink, tar } from '../support/archives.ts';
import {
  fails,
  folder,
  noise,
  onlyManifestRemains,
  s3Scene,
  treeFrom,
  treeOf,
  write,
  type Files,
  type S3Scene,
} from './scene.ts';

const FILES: Files = {
  a: noise(5000),
  'sub/b': noise(9000, 2),
  'sub/deep/c': noise(3000, 3),
  d: noise(20, 4),
  empty: '',
};
const A = { fsync: 'never', boot: 'boot-a' } as const;
const B = { fsync: 'never', boot: 'boot-b' } as const;

/** Zeros where bytes were, as delayed allocation leaves them; `stats` see nothing of it. */
function zero(file: string): void {
  const { size, mtimeNs, ino } = lstatSync(file, { bigint: true });
  const stamp = `${file}.stamp`;
  execFileSync('touch', ['-r', file, stamp]);
  const fd = openSync(file, 'r+');
  writeSync(fd, Buffer.alloc(Number(size)), 0, Number(size), 0);
  closeSync(fd);
  execFileSync('touch', ['-r', stamp, file]);
  rmSync(stamp);
  const after = lstatSync(file, { bigint: true });
  assert.deepEqual([after.size, after.mtimeNs, after.ino], [size, mtimeNs, ino]);
}

const manifestOf = (dest: string): string => join(dest, '.model-fetch/manifest.jsonl');

async function bootOf(dest: string): Promise<string | undefined> {
  return (await readManifest(manifestOf(dest)))?.header?.boot;
}

async function published(t: TestContext, files: Files = FILES): Promise<S3Scene> {
  const scene = await s3Scene(t);
  scene.model('m', files);
  await scene.fetch('m', A);
  scene.gets();
  return scene;
}

const fetchedKeys = (scene: S3Scene): string[] =>
  scene
    .gets()
    .map(({ key }) => key)
    .sort();

describe('after a crash of the kernel', () => {
  test('the next run repairs what lost its bytes, and fetches nothing else', async (t) => {
    const scene = await published(t);
    zero(join(scene.dest, 'a'));
    truncateSync(join(scene.dest, 'sub/b'), 4096);
    rmSync(join(scene.dest, 'sub/deep'), { recursive: true });
    const result = await scene.fetch('m', B);
    assert.deepEqual(fetchedKeys(scene), ['m/a', 'm/sub/b', 'm/sub/deep/c']);
    assert.deepEqual([result.unchanged, result.kept], [false, 2]);
    assert.deepEqual(treeOf(scene.dest), treeFrom(FILES));
    await verifyTarget(scene.dest);
    onlyManifestRemains(scene.dest);
    assert.equal(await bootOf(scene.dest), 'boot-b');
  });

  test('what is whole is read once: the manifest is then of this boot', async (t) => {
    const scene = await published(t);
    const { publishedAt } = (await readManifest(manifestOf(scene.dest)))!.header!;
    const result = await scene.fetch('m', B);
    assert.deepEqual([result.unchanged, result.kept, fetchedKeys(scene)], [true, 5, []]);
    const { header } = (await readManifest(manifestOf(scene.dest)))!;
    assert.deepEqual([header!.boot, header!.publishedAt], ['boot-b', publishedAt]);
    await verifyTarget(scene.dest);
    onlyManifestRemains(scene.dest);
    // From here on a look is enough again, and nothing is written.
    const { ino } = statSync(manifestOf(scene.dest));
    zero(join(scene.dest, 'a'));
    assert.equal((await scene.fetch('m', B)).unchanged, true);
    assert.equal(statSync(manifestOf(scene.dest)).ino, ino);
  });

  test('within one boot a look is enough: that is what the boot in the manifest means', async (t) => {
    const scene = await published(t);
    zero(join(scene.dest, 'a'));
    assert.equal((await scene.fetch('m', A)).unchanged, true);
    await fails(verifyTarget(scene.dest), 'TARGET_CHANGED');
  });

  test('where no boot can be told, every run reads', async (t) => {
    const scene = await s3Scene(t);
    scene.model('m', FILES);
    const blind = { fsync: 'never', boot: false } as const;
    await scene.fetch('m', blind);
    assert.equal(await bootOf(scene.dest), 'unknown');
    for (const path of ['a', 'd']) {
      zero(join(scene.dest, path));
      assert.equal((await scene.fetch('m', blind)).unchanged, false);
      await verifyTarget(scene.dest);
    }
    assert.equal((await scene.fetch('m', blind)).unchanged, true);
    // And so does one that can tell, once.
    zero(join(scene.dest, 'a'));
    await scene.fetch('m', A);
    await verifyTarget(scene.dest);
    assert.equal(await bootOf(scene.dest), 'boot-a');
  });

  test('a run that syncs repairs too, and no boot is named afterwards', async (t) => {
    const scene = await published(t);
    zero(join(scene.dest, 'a'));
    await scene.fetch('m', { ...B, fsync: 'always' });
    assert.deepEqual(treeOf(scene.dest), treeFrom(FILES));
    assert.equal(await bootOf(scene.dest), undefined);
  });

  test('a dry run says what would be fetched', async (t) => {
    const scene = await published(t);
    zero(join(scene.dest, 'a'));
    const plan = async (boot: string) => {
      const pair = { uri: 's3://models/m/', dest: scene.dest };
      const [target] = await planModels([pair], { ...scene.options, boot });
      return target!.items.filter(({ how }) => how === 'fetch').map(({ path }) => path);
    };
    assert.deepEqual(await plan('boot-a'), []);
    assert.deepEqual(await plan('boot-b'), ['a']);
  });

  test('one lost byte of what an archive brought: it is unpacked again', async (t) => {
    const scene = await s3Scene(t);
    const archive = tar({ name: 'a', content: 'aaaa' }, symlink('l', 'a'), {
      name: 's/b',
      content: 'b',
    });
    scene.s3.put('models', 'm/model.tar', archive);
    await scene.fetch('m', A);
    assert.equal((await scene.fetch('m', B)).unchanged, true);
    zero(join(scene.dest, 's/b'));
    await scene.fetch('m', A);
    assert.deepEqual(treeOf(scene.dest), { a: 'aaaa', l: '-> a', 's/b': 'b' });
    await verifyTarget(scene.dest);
  });

  test('links: their bytes are the source’s, so the link itself is what is looked at', async (t) => {
    for (const link of ['symlink', 'hard'] as const) {
      const root = folder(t);
      const [source, dest] = [join(root, 'm'), join(root, 'mnt')];
      write(source, { a: 'aaaa', b: 'b' });
      await fetchModel(source, dest, { ...A, link });
      assert.equal((await fetchModel(source, dest, { ...B, link })).unchanged, true);
      rmSync(join(dest, 'a'));
      await fetchModel(source, dest, { ...A, link });
      await verifyTarget(dest);
      assert.equal(readFileSync(join(dest, 'a'), 'utf8'), 'aaaa');
    }
  });

  test('a manifest with zeros in it: what its other lines name is ours, and is put right', async (t) => {
    const files = Object.fromEntries(
      Array.from({ length: 60 }, (_, i) => [
        `f${String(i).padStart(2, '0')}`,
        noise(50 + i, i + 1),
      ]),
    );
    const scene = await published(t, files);
    const text = readFileSync(manifestOf(scene.dest));
    const lines = text.toString().split('\n');
    const last = lines.filter((line) => line.startsWith('{"file"')).at(-1)!;
    const { file } = JSON.parse(last) as { file: { path: string } };
    truncateSync(join(scene.dest, file.path), 7);
    const fd = openSync(manifestOf(scene.dest), 'r+');
    writeSync(fd, Buffer.alloc(512), 0, 512, 512);
    closeSync(fd);
    await scene.fetch('m', B);
    assert.deepEqual(treeOf(scene.dest), treeFrom(files));
    await verifyTarget(scene.dest);
  });

  test('a damaged manifest that does not name a damaged file: CONFLICT, with the way out', async (t) => {
    const scene = await published(t);
    truncateSync(manifestOf(scene.dest), 0);
    truncateSync(join(scene.dest, 'a'), 7);
    const error = await fails(scene.fetch('m', B), 'CONFLICT');
    assert.match(error.hint ?? '', /manifest is damaged .* --overwrite/);
    await scene.fetch('m', { ...B, overwrite: true });
    assert.deepEqual(treeOf(scene.dest), treeFrom(FILES));
    await verifyTarget(scene.dest);
  });

  test('an intent that was lost ends nothing: what is in place is compared', async (t) => {
    const scene = await published(t);
    for (const text of ['', '\0'.repeat(60)]) {
      write(join(scene.dest, '.model-fetch'), { 'intent.json': text });
      assert.equal((await scene.fetch('m', A)).unchanged, true);
      onlyManifestRemains(scene.dest);
    }
  });
});

const CHILD = new URL('crash-child.ts', import.meta.url).pathname;
const OLD: Files = { same: 'same', 'config.json': 'old', 'sub/a': 'old a', stale: 'old' };
const NEW: Files = { same: 'same', 'config.json': 'new', 'sub/a': 'new a', 'fresh/x': 'new' };

/** Every file in `root`, staged ones included, without what is synced whatever the policy. */
function* filesBelow(root: string): Generator<string> {
  for (const entry of readdirSync(root, { withFileTypes: true, recursive: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isFile() && !/\.model-fetch\/(?:[^/]+|staging\/[^/]+\/[^/]+)$/.test(path)) yield path;
  }
}

describe('a publish that the power cuts short', () => {
  for (const at of [1, 3, 5, 6, 7, 9, 11, 13, 15])
    test(`before its change ${String(at)} is finished and repaired`, async (t) => {
      const root = folder(t);
      const [before, after, dest] = [join(root, 'old'), join(root, 'new'), join(root, 'mnt')];
      write(before, OLD);
      write(after, NEW);
      await fetchModel(before, dest, A);
      const process_ = spawn(process.execPath, [CHILD, after, dest, String(at)], {
        stdio: ['ignore', 'ignore', 'inherit'],
      });
      const signal = await new Promise((resolve) => process_.on('close', (_, how) => resolve(how)));
      assert.equal(signal, 'SIGKILL');
      for (const file of filesBelow(dest)) zero(file);
      const trees = join(dest, '.model-fetch/staging');
      // And what was staged in no folder that had been synced is gone altogether, now and then.
      if (at % 2 === 0 && existsSync(trees))
        for (const name of readdirSync(trees))
          rmSync(join(trees, name, 'trees'), { recursive: true, force: true });
      await fetchModel(after, dest, B);
      assert.deepEqual(treeOf(dest), treeFrom(NEW));
      await verifyTarget(dest);
      onlyManifestRemains(dest);
    });
});
