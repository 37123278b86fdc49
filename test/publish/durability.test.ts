/** What is synced, when, and what the manifest says about it. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { promisify } from 'node:util';
import { fileSystemType, LOCAL_FILE_SYSTEMS } from '../../src/file-systems.ts';
import { fetchModel } from '../../src/index.ts';
import type { FetchOptions } from '../../src/options.ts';
import { durability, isCredible, UNKNOWN_BOOT } from '../../src/publish/durability.ts';
import type { ManifestHeader } from '../../src/publish/manifest.ts';
import { symlink, tar } from '../support/archives.ts';
import { fails, folder, noise, s3Scene, write } from './scene.ts';

/** Types as statfs(2) and linux/magic.h have them. */
const TYPES: readonly (readonly [name: string, type: number, synced: boolean])[] = [
  ['ext4', 0xef53, false],
  ['xfs', 0x58465342, false],
  ['btrfs', 0x9123683e, false],
  ['f2fs', 0xf2f52010, false],
  ['zfs', 0x2fc12fc1, false],
  ['bcachefs', 0xca451a4e, false],
  ['tmpfs', 0x01021994, false],
  ['ramfs', 0x858458f6, false],
  ['overlayfs', 0x794c7630, false],
  ['nfs', 0x6969, true],
  ['cifs', 0xff534d42, true],
  ['smb2', 0xfe534d42, true],
  ['ceph', 0x00c36400, true],
  ['fuse, virtiofs', 0x65735546, true],
  ['lustre', 0x0bd00bd0, true],
  ['gpfs', 0x47504653, true],
  ['9p, and what gVisor says of everything', 0x01021997, true],
  ['afs', 0x5346414f, true],
  ['gfs2', 0x01161970, true],
  ['ocfs2', 0x7461636f, true],
  ['msdos', 0x4d44, true],
  ['one that nobody knows yet', 0x12345678, true],
  ['none', 0, true],
];

describe('the policy', () => {
  for (const [name, type, synced] of TYPES)
    test(`auto ${synced ? 'syncs' : 'does not sync'} on ${name}`, () => {
      assert.deepEqual(durability('auto', type, 'B'), {
        sync: synced,
        boot: synced ? undefined : 'B',
      });
      // Without a boot to tell by, a crash would go unnoticed.
      assert.deepEqual(durability('auto', type, undefined), { sync: true, boot: undefined });
      assert.deepEqual(durability('always', type, 'B'), { sync: true, boot: undefined });
      assert.deepEqual(durability('never', type, 'B'), { sync: false, boot: 'B' });
      const blind = durability('never', type, undefined);
      assert.deepEqual(blind, { sync: false, boot: UNKNOWN_BOOT });
      assert.equal(LOCAL_FILE_SYSTEMS.has(type), !synced);
    });

  test('a manifest is believed when it was synced, or in its own boot', () => {
    assert.equal(isCredible({}, 'B'), true);
    assert.equal(isCredible({}, undefined), true);
    assert.equal(isCredible({ boot: 'B' }, 'B'), true);
    assert.equal(isCredible({ boot: 'A' }, 'B'), false);
    assert.equal(isCredible({ boot: 'A' }, undefined), false);
    assert.equal(isCredible({ boot: UNKNOWN_BOOT }, 'B'), false);
    assert.equal(isCredible({ boot: UNKNOWN_BOOT }, undefined), false);
  });

  test('the type of a file system is what the kernel says', (t) => {
    if (!existsSync('/proc/self')) return t.skip('no Linux /proc here');
    assert.equal(fileSystemType('/proc'), 0x9fa0);
  });
});

const run = promisify(execFile);
const CHILD = new URL('sync-child.ts', import.meta.url).pathname;

/** What a run synced; paths relative to the target. */
async function synced(uri: string, dest: string, options: FetchOptions): Promise<string[]> {
  const { stdout } = await run(process.execPath, [CHILD, uri, dest, JSON.stringify(options)]);
  return (JSON.parse(stdout) as string[]).map((path) =>
    path === dest
      ? '.'
      : path.slice(dest.length + 1).replace(/^\.model-fetch\/staging\/[^/]+/, 'S'),
  );
}

function header(dest: string): ManifestHeader {
  const [line] = readFileSync(join(dest, '.model-fetch/manifest.jsonl'), 'utf8').split('\n');
  return JSON.parse(line!) as ManifestHeader;
}

/** Intent, manifest, and the folders that hold them. */
const FEW = 10;
const MODEL = Object.fromEntries(
  Array.from({ length: 60 }, (_, i) => [
    `d${String(i % 6)}/f${String(i)}`,
    `bytes of ${String(i)}`,
  ]),
);

describe('what is synced', { skip: !existsSync('/proc/self/fd') && 'no Linux /proc here' }, () => {
  test('never: intent and manifest and where they are, however many files there are', async (t) => {
    const root = folder(t);
    write(join(root, 'm'), MODEL);
    const paths = await synced(join(root, 'm'), join(root, 'mnt'), { fsync: 'never', boot: 'A' });
    assert.ok(paths.length <= FEW, paths.join('\n'));
    assert.deepEqual(
      paths.filter((path) => path.includes('trees')),
      [],
    );
    for (const path of ['S/manifest.jsonl', '.model-fetch/intent.json.tmp', '.model-fetch', '.'])
      assert.ok(paths.includes(path), path);
    assert.equal(header(join(root, 'mnt')).boot, 'A');
  });

  test('always: every file and every folder too, copied', async (t) => {
    const root = folder(t);
    write(join(root, 'm'), MODEL);
    const paths = await synced(join(root, 'm'), join(root, 'mnt'), { fsync: 'always' });
    for (const path of Object.keys(MODEL)) assert.ok(paths.includes(`S/trees/0/${path}`), path);
    for (let i = 0; i < 6; i++) assert.ok(paths.includes(`S/trees/0/d${String(i)}`));
    assert.equal('boot' in header(join(root, 'mnt')), false);
  });

  test('always: every file and every folder too, unpacked', async (t) => {
    const root = folder(t);
    mkdirSync(join(root, 'm'));
    const archive = tar(
      { name: 'a/b/c', content: 'c' },
      { name: 'd', content: 'd' },
      symlink('a/l', 'b/c'),
    );
    writeFileSync(join(root, 'm/model.tar'), archive);
    const paths = await synced(join(root, 'm'), join(root, 'mnt'), { fsync: 'always' });
    for (const path of ['a', 'a/b', 'a/b/c', 'd'])
      assert.ok(paths.includes(`S/trees/1/${path}`), `${path} of ${paths.join(' ')}`);
  });

  test('always, after a run that synced nothing: what is kept as well, and the manifest says so', async (t) => {
    const root = folder(t);
    write(join(root, 'm'), MODEL);
    const dest = join(root, 'mnt');
    await fetchModel(join(root, 'm'), dest, { fsync: 'never', boot: 'A' });
    const before = header(dest);
    const paths = await synced(join(root, 'm'), dest, { fsync: 'always', boot: 'A' });
    for (const path of ['.', 'd0', ...Object.keys(MODEL)]) assert.ok(paths.includes(path), path);
    const { boot, publishedAt } = header(dest);
    assert.deepEqual([boot, publishedAt], [undefined, before.publishedAt]);
    const again = await synced(join(root, 'm'), dest, { fsync: 'always', boot: 'A' });
    assert.deepEqual(again, []);
  });

  test('always: what an interrupted run had finished without a sync as well', async (t) => {
    const scene = await s3Scene(t);
    scene.model('m', { first: 'first', 'sub/second': noise(100) });
    scene.trouble = ({ key }) => (key === 'm/sub/second' ? { status: 503 } : undefined);
    await fails(scene.fetch('m', { fsync: 'never', attempts: 1, concurrency: 1 }), 'UNAVAILABLE');
    scene.trouble = undefined;
    scene.gets();
    const options = { ...scene.options, fsync: 'always' } as const;
    const paths = await synced('s3://models/m/', scene.dest, options);
    assert.deepEqual(
      scene.gets().map(({ key }) => key),
      ['m/sub/second'],
    );
    for (const path of ['first', 'sub/second', 'sub'])
      assert.ok(paths.includes(`S/trees/0/${path}`), `${path} of ${paths.join(' ')}`);
  });

  test('a run without syncs leaves a manifest alone that needs none', async (t) => {
    const root = folder(t);
    write(join(root, 'm'), MODEL);
    const dest = join(root, 'mnt');
    await fetchModel(join(root, 'm'), dest, { fsync: 'always' });
    const { ino } = statSync(join(dest, '.model-fetch/manifest.jsonl'));
    const result = await fetchModel(join(root, 'm'), dest, { fsync: 'never', boot: 'B' });
    assert.equal(result.unchanged, true);
    assert.equal(statSync(join(dest, '.model-fetch/manifest.jsonl')).ino, ino);
    assert.equal(header(dest).boot, undefined);
  });
});
