import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import type { ArchiveFormat } from '../../src/fetcher.ts';
import { archiveFormat } from '../../src/unpack/format.ts';
import { directory, symlink, tar, zip } from '../support/archives.ts';
import { readTree, refused, treeOf, type Found } from './harness.ts';

const has = (...tools: string[]): string | false => {
  const missing = tools.find((tool) => spawnSync(tool, ['--help']).error);
  return missing ? `${missing} is not installed` : false;
};

describe('archives made by the tools of this machine', () => {
  let folder: string;
  let model: string;
  let expected: Found;

  before(() => {
    folder = fs.mkdtempSync(join(os.tmpdir(), 'good-'));
    model = join(folder, 'model');
    fs.mkdirSync(join(model, '1', 'empty'), { recursive: true });
    fs.writeFileSync(join(model, 'config.json'), '{"name": "test"}');
    fs.writeFileSync(join(model, '1', 'weights.bin'), noise(300_000));
    fs.writeFileSync(join(model, '1', 'zeros.bin'), Buffer.alloc(1_200_000));
    fs.writeFileSync(join(model, '1', 'nothing'), '');
    fs.writeFileSync(join(model, 'run.sh'), '#!/bin/sh\n', { mode: 0o755 });
    fs.mkdirSync(join(model, 'long-'.repeat(15)));
    fs.writeFileSync(join(model, 'long-'.repeat(15), 'name-'.repeat(12)), 'long');
    fs.writeFileSync(join(model, 'моделиいろは 100%#?.txt'), 'unicode');
    expected = readTree(model);
  });
  after(() => {
    fs.rmSync(folder, { recursive: true });
  });

  const tarFormats: readonly [string, ArchiveFormat, string[], string[]][] = [
    ['m.tar', 'tar', ['tar'], []],
    ['m-pax.tar', 'tar', ['tar'], ['--format=posix']],
    ['m-ustar.tar', 'tar', ['tar'], ['--format=ustar']],
    ['m.tar.gz', 'tar.gz', ['tar', 'gzip'], ['--use-compress-program=gzip']],
    ['m.tar.zst', 'tar.zst', ['tar', 'zstd'], ['--use-compress-program=zstd']],
    ['m-long.tar.zst', 'tar.zst', ['tar', 'zstd'], ['--use-compress-program=zstd --long=27']],
    ['m.tar.bz2', 'tar.bz2', ['tar', 'bzip2'], ['--use-compress-program=bzip2']],
    ['m.tar.xz', 'tar.xz', ['tar', 'xz'], ['--use-compress-program=xz']],
    [
      'm-blocks.tar.xz',
      'tar.xz',
      ['tar', 'xz'],
      ['--use-compress-program=xz -9 --block-size=100000'],
    ],
  ];
  for (const [name, format, tools, options] of tarFormats)
    it(`${name} ${options.join(' ')}`, { skip: has(...tools) }, async () => {
      const archive = join(folder, name);
      execFileSync('tar', [...options, '-cf', archive, '-C', model, '.']);
      const bytes = fs.readFileSync(archive);
      assert.equal(archiveFormat(name, bytes.subarray(0, 1024)), format);
      assert.deepEqual(await treeOf(bytes, { format }), expected);
      assert.deepEqual(await treeOf(bytes, { format, step: 7_777 }), expected);
    });

  for (const [name, options] of [
    ['m.zip', ['-q', '-r']],
    ['stored.zip', ['-q', '-r', '-0']],
    ['streamed.zip', ['-q', '-r', '-fd']],
    ['wide.zip', ['-q', '-r', '-fz']],
  ] as const)
    it(`${name} ${options.join(' ')}`, { skip: has('zip') }, async () => {
      const archive = join(folder, name);
      execFileSync('zip', [...options, archive, '.'], { cwd: model });
      const bytes = fs.readFileSync(archive);
      assert.equal(archiveFormat(name, bytes.subarray(0, 1024)), 'zip');
      assert.deepEqual(await treeOf(bytes, { format: 'zip' }), expected);
    });

  it('Python’s zipfile and tarfile', { skip: has('python3') }, async () => {
    const script = `
import sys, tarfile, zipfile, shutil
shutil.make_archive(sys.argv[1] + '/py', 'zip', sys.argv[2])
shutil.make_archive(sys.argv[1] + '/py', 'gztar', sys.argv[2])`;
    execFileSync('python3', ['-c', script, folder, model]);
    assert.deepEqual(
      await treeOf(fs.readFileSync(join(folder, 'py.zip')), { format: 'zip' }),
      expected,
    );
    assert.deepEqual(
      await treeOf(fs.readFileSync(join(folder, 'py.tar.gz')), { format: 'tar.gz' }),
      expected,
    );
  });
});

describe('archives in pieces', () => {
  const small = tar(directory('d/'), { name: 'd/a', content: 'content' }, symlink('l', 'd/a'));
  const tree = { d: '/', 'd/a': 'content', l: '->d/a' };
  const half = Math.floor(small.length / 2);
  const joined = (compress: (part: Buffer) => Buffer): Buffer =>
    Buffer.concat([compress(small.subarray(0, half)), compress(small.subarray(half))]);
  const run = (tool: string) => (part: Buffer) => execFileSync(tool, ['-c'], { input: part });
  const skippable = Buffer.from([0x51, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3]);

  it('gzip of several members, and padding of zeros behind them', async () => {
    for (const step of [1, 50, 65_536]) {
      assert.deepEqual(
        await treeOf(
          joined((part) => gzipSync(part)),
          { format: 'tar.gz', step },
        ),
        tree,
      );
      assert.deepEqual(
        await treeOf(Buffer.concat([gzipSync(small), Buffer.alloc(600)]), {
          format: 'tar.gz',
          step,
        }),
        tree,
      );
    }
  });
  it('zstd of several frames, skippable ones among them', async () => {
    for (const step of [1, 50, 65_536]) {
      const archive = Buffer.concat([
        skippable,
        joined((part) => zstdCompressSync(part)),
        skippable,
      ]);
      assert.deepEqual(await treeOf(archive, { format: 'tar.zst', step }), tree);
    }
  });
  it('bzip2 of several streams', { skip: has('bzip2') }, async () => {
    for (const step of [1, 50, 65_536])
      assert.deepEqual(await treeOf(joined(run('bzip2')), { format: 'tar.bz2', step }), tree);
  });
  it('xz of several streams', { skip: has('xz') }, async () => {
    for (const step of [1, 50, 65_536])
      assert.deepEqual(await treeOf(joined(run('xz')), { format: 'tar.xz', step }), tree);
  });

  for (const [format, compress, tool] of [
    ['tar.gz', (part: Buffer) => gzipSync(part), undefined],
    ['tar.zst', (part: Buffer) => zstdCompressSync(part), undefined],
    ['tar.bz2', run('bzip2'), 'bzip2'],
    ['tar.xz', run('xz'), 'xz'],
  ] as const)
    it(`something behind ${format} is refused`, { skip: tool ? has(tool) : false }, async () => {
      const archive = compress(small);
      for (const step of [1, 50, 65_536])
        for (const junk of [
          Buffer.from('junk'),
          Buffer.from('longer junk '.repeat(20)),
          archive.subarray(0, 9),
        ])
          await refused(Buffer.concat([archive, junk]), 'BAD_ARCHIVE', undefined, { format, step });
    });

  it('zeros, then something, behind gzip is refused', async () => {
    const archive = Buffer.concat([gzipSync(small), Buffer.alloc(9), Buffer.from('junk')]);
    for (const step of [1, 50, 65_536])
      await refused(archive, 'BAD_ARCHIVE', /follows/, { format: 'tar.gz', step });
  });

  it('T9 a zstd window of 2 GiB is refused and said', async () => {
    const header = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0, 0, 0, 0, 0]);
    // One raw block, the last. Source: RFC 8878, 3.1.1.
    header.writeUIntLE(small.length * 8 + 1, 6, 3);
    const framed = (windowLog: number): Buffer => {
      header[5] = (windowLog - 10) * 8;
      return Buffer.concat([header, small]);
    };
    assert.deepEqual(await treeOf(framed(27), { format: 'tar.zst' }), tree);
    await refused(framed(31), 'BAD_ARCHIVE', /window/, { format: 'tar.zst' });
  });

  it('an archive without members is an empty tree', async () => {
    assert.deepEqual(await treeOf(tar()), {});
    assert.deepEqual(await treeOf(zip([]), { format: 'zip' }), {});
    assert.deepEqual(await treeOf(gzipSync(tar()), { format: 'tar.gz' }), {});
  });
});

/** Bytes that do not compress, the same every time. */
function noise(length: number): Buffer {
  const bytes = Buffer.alloc(length);
  let state = 12_345;
  for (let at = 0; at + 4 <= length; at += 4) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    bytes.writeUInt32LE(state, at);
  }
  return bytes;
}
