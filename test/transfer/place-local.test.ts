/** Local sources: copied, linked, and never taken for something they are not any more. */
import assert from 'node:assert/strict';
import {
  existsSync,
  lstatSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fetchModel, verifyTarget } from '../../src/index.ts';
import { tar } from '../support/archives.ts';
import {
  fails,
  folder,
  KEEP,
  large,
  onlyManifestRemains,
  sha256,
  treeFrom,
  treeOf,
  write,
} from '../publish/scene.ts';

const FILES = { 'config.json': '{}', 'sub/weights.bin': large(3_000_000), empty: '' };

describe('a local source', () => {
  test('is copied, and left alone the next time', async (t) => {
    const root = folder(t);
    write(join(root, 'model'), FILES);
    const dest = join(root, 'mnt');
    const result = await fetchModel(join(root, 'model'), dest, KEEP);
    assert.deepEqual(treeOf(dest), treeFrom(FILES));
    assert.equal(result.files, 3);
    const { ino } = statSync(join(dest, 'sub/weights.bin'));
    assert.notEqual(ino, statSync(join(root, 'model/sub/weights.bin')).ino);
    assert.equal((await fetchModel(`file://${root}/model`, `${dest}2`, KEEP)).unchanged, false);
    assert.equal((await fetchModel(join(root, 'model'), dest, KEEP)).unchanged, true);
    assert.equal(statSync(join(dest, 'sub/weights.bin')).ino, ino);
    onlyManifestRemains(dest);
    await verifyTarget(dest);
  });

  test('is copied to another file system, also when a hard link is asked for', async (t) => {
    if (!existsSync('/dev/shm')) return t.skip('no second file system here');
    const shm = mkdtempSync('/dev/shm/model-fetch-test-');
    t.after(() => rmSync(shm, { recursive: true }));
    const root = folder(t);
    write(root, FILES);
    for (const link of ['auto', 'copy', 'hard'] as const) {
      const dest = join(shm, link);
      await fetchModel(root, dest, { ...KEEP, link });
      assert.deepEqual(treeOf(dest), treeFrom(FILES));
      assert.equal((await verifyTarget(dest)).files, 3);
    }
  });

  test('becomes hard links', async (t) => {
    const root = folder(t);
    write(join(root, 'model'), FILES);
    const dest = join(root, 'mnt');
    await fetchModel(join(root, 'model'), dest, { ...KEEP, link: 'hard' });
    assert.deepEqual(treeOf(dest), treeFrom(FILES));
    for (const path of Object.keys(FILES))
      assert.equal(statSync(join(dest, path)).ino, statSync(join(root, 'model', path)).ino);
    await verifyTarget(dest);
    const again = await fetchModel(join(root, 'model'), dest, { ...KEEP, link: 'hard' });
    assert.equal(again.unchanged, true);
  });

  test('becomes symbolic links, which are repaired when they lead elsewhere', async (t) => {
    const root = folder(t);
    write(join(root, 'model'), FILES);
    const dest = join(root, 'mnt');
    const options = { ...KEEP, link: 'symlink' } as const;
    await fetchModel(join(root, 'model'), dest, options);
    for (const path of Object.keys(FILES))
      assert.equal(readlinkSync(join(dest, path)), join(root, 'model', path));
    await verifyTarget(dest);
    assert.equal((await fetchModel(join(root, 'model'), dest, options)).unchanged, true);
    rmSync(join(dest, 'config.json'));
    writeFileSync(join(dest, 'config.json'), '{}');
    await fails(verifyTarget(dest), 'TARGET_CHANGED', /config\.json/);
    await fetchModel(join(root, 'model'), dest, options);
    assert.ok(lstatSync(join(dest, 'config.json')).isSymbolicLink());
    // Another model takes the links away, not what they lead to.
    write(join(root, 'other'), { x: 'x' });
    await fetchModel(join(root, 'other'), dest, options);
    assert.deepEqual(treeOf(join(root, 'model')), treeFrom(FILES));
    assert.deepEqual(treeOf(dest), { x: `-> ${join(root, 'other', 'x')}` });
  });

  test('that changed is fetched again, also by its time alone', async (t) => {
    const root = folder(t);
    write(join(root, 'model'), FILES);
    const dest = join(root, 'mnt');
    await fetchModel(join(root, 'model'), dest, KEEP);
    utimesSync(join(root, 'model', 'config.json'), 5, 5);
    const result = await fetchModel(join(root, 'model'), dest, KEEP);
    assert.equal(result.kept, 2);
    writeFileSync(join(root, 'model', 'empty'), 'full');
    await fetchModel(join(root, 'model'), dest, KEEP);
    assert.equal(readFileSync(join(dest, 'empty'), 'utf8'), 'full');
  });

  test('that changes while it is copied is SOURCE_CHANGED, and nothing is published', async (t) => {
    const root = folder(t);
    const file = join(root, 'model', 'a');
    write(join(root, 'model'), { a: large(40_000_000), b: 'b' });
    const fetching = fetchModel(join(root, 'model'), join(root, 'mnt'), {
      ...KEEP,
      link: 'copy',
      concurrency: 1,
    });
    const growing = setInterval(() => writeFileSync(file, large(40_000_000, Math.random())), 5);
    await fails(fetching, 'SOURCE_CHANGED').finally(() => clearInterval(growing));
    assert.equal(existsSync(join(root, 'mnt')), false);
  });

  test('is checked against the checksum asked for', async (t) => {
    const root = folder(t);
    write(root, { 'model.bin': 'model' });
    const dest = join(root, 'mnt');
    const uri = join(root, 'model.bin');
    await fails(
      fetchModel(uri, dest, { ...KEEP, checksum: `sha256:${sha256('x')}` }),
      'DIGEST_MISMATCH',
    );
    assert.equal(existsSync(dest), false);
    await fetchModel(uri, dest, { ...KEEP, checksum: `sha256:${sha256('model')}` });
    assert.deepEqual(treeOf(dest), { 'model.bin': 'model' });
  });

  test('that is one archive is unpacked where it lies, linked or not', async (t) => {
    const root = folder(t);
    write(root, { 'model.tar': tar({ name: 'a/b', content: 'b' }), plain: tar({ name: 'c' }) });
    for (const link of ['auto', 'symlink', 'hard'] as const) {
      await fetchModel(join(root, 'model.tar'), join(root, link), { ...KEEP, link });
      assert.deepEqual(treeOf(join(root, link)), { 'a/b': 'b' });
      await fetchModel(join(root, 'plain'), join(root, `${link}2`), { ...KEEP, link });
      assert.deepEqual(treeOf(join(root, `${link}2`)), { c: '' });
    }
    assert.ok(existsSync(join(root, 'plain')));
  });
});
