/** The manifest: where it is, what it says, and what happens when it cannot be believed. */
import assert from 'node:assert/strict';
import {
  appendFileSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fetchModel, verifyTarget } from '../../src/index.ts';
import { readManifest } from '../../src/publish/manifest.ts';
import { tar, symlink } from '../support/archives.ts';
import { fails, folder, onlyManifestRemains, s3Scene, treeOf, write } from './scene.ts';

const FILES = { a: 'a', 'sub/b': 'bb' };

async function crcsOf(dest: string): Promise<Record<string, string | undefined>> {
  const manifest = await readManifest(join(dest, '.model-fetch/manifest.jsonl'));
  return Object.fromEntries([...manifest!.files].map(([path, { crc }]) => [path, crc]));
}

/** Does `work` while the last byte of `file` is another. */
async function flipped(file: string, work: () => Promise<void>): Promise<void> {
  const bytes = readFileSync(file);
  writeFileSync(file, Buffer.from(bytes).fill(0, bytes.length - 1));
  await work();
  writeFileSync(file, bytes);
}

describe('the manifest', () => {
  test('tells sources, entries and files, and ends with their number', async (t) => {
    const scene = await s3Scene(t);
    scene.model('m', FILES);
    await scene.fetch('m');
    const lines = readFileSync(join(scene.dest, '.model-fetch/manifest.jsonl'), 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    assert.equal(lines[0]!['manifest'], 1);
    assert.equal(lines[0]!['files'], 2);
    assert.equal(lines[0]!['bytes'], 3);
    assert.equal(lines.filter((line) => 'entry' in line).length, 2);
    assert.deepEqual(
      lines
        .flatMap((line) => ('file' in line ? [(line['file'] as { path: string }).path] : []))
        .sort(),
      ['a', 'sub/b'],
    );
    assert.deepEqual(lines.at(-1), { end: { files: 2 } });
  });

  test('records the CRC that the source vouches for, or else CRC-32, and is verified by it', async (t) => {
    const scene = await s3Scene(t);
    const big = Buffer.alloc(17 * 1024 * 1024, 'big');
    scene.s3.put('models', 'm/crc32c', '123456789', { checksums: ['crc32c'] });
    scene.s3.put('models', 'm/crc64nvme', '123456789', { checksums: ['crc64nvme'] });
    scene.s3.put('models', 'm/large', big, { checksums: ['crc64nvme'] });
    scene.s3.put('models', 'n/none', '123456789');
    scene.s3.put('models', 'n/sha256', '123456789', { checksums: ['sha256'] });
    await scene.fetch('m');
    const recorded = await crcsOf(scene.dest);
    assert.equal(recorded['crc32c'], 'crc32c:e3069283');
    assert.equal(recorded['crc64nvme'], 'crc64nvme:ae8b14860a799888');
    assert.match(recorded['large']!, /^crc64nvme:[0-9a-f]{16}$/);
    await verifyTarget(scene.dest);
    for (const path of ['crc32c', 'crc64nvme'])
      await flipped(join(scene.dest, path), async () => {
        assert.equal((await fails(verifyTarget(scene.dest), 'TARGET_CHANGED')).path, path);
      });
    await scene.fetch('n');
    const plain = { none: 'crc32:cbf43926', sha256: 'crc32:cbf43926' };
    assert.deepEqual(await crcsOf(scene.dest), plain);
    await verifyTarget(scene.dest);
  });

  test('by which a foreign file of the same bytes is no obstacle', async (t) => {
    const scene = await s3Scene(t);
    scene.s3.put('models', 'm/a', '123456789', { checksums: ['crc64nvme'] });
    write(scene.dest, { a: '123456780' });
    await fails(scene.fetch('m'), 'CONFLICT');
    write(scene.dest, { a: '123456789' });
    await scene.fetch('m');
    assert.deepEqual(await crcsOf(scene.dest), { a: 'crc64nvme:ae8b14860a799888' });
  });

  test('holds no secret of the URI', async (t) => {
    const scene = await s3Scene(t);
    const { startHttpServer } = await import('../servers/http.ts');
    const http = await startHttpServer();
    t.after(() => http.close());
    http.put('/m.bin', 'bytes');
    const uri = `http://user:hunter2@127.0.0.1:${String(http.port)}/m.bin?X-Amz-Signature=topsecret`;
    await fetchModel(uri, scene.dest);
    const text = readFileSync(join(scene.dest, '.model-fetch/manifest.jsonl'), 'utf8');
    assert.doesNotMatch(text, /hunter2|topsecret/);
    assert.equal((await fetchModel(uri, scene.dest)).unchanged, true);
  });

  for (const [what, damage] of Object.entries({
    'its end is cut off': (file: string) =>
      truncateSync(file, readFileSync(file, 'utf8').lastIndexOf('{"end"')),
    'it ends in the middle of a line': (file: string) =>
      truncateSync(file, readFileSync(file).length - 30),
    'something follows that is no line': (file: string) => appendFileSync(file, '\0\0\0'),
    'a line is lost': (file: string) => {
      const lines = readFileSync(file, 'utf8').split('\n');
      lines.splice(
        lines.findIndex((line) => line.startsWith('{"file"')),
        1,
      );
      writeFileSync(file, lines.join('\n'));
    },
    'it is empty': (file: string) => truncateSync(file, 0),
    'a line is null': (file: string) => writeFileSync(file, `null\n${readFileSync(file, 'utf8')}`),
  })) {
    test(`is not believed when ${what}, and the next run makes it good`, async (t) => {
      const scene = await s3Scene(t);
      scene.model('m', FILES);
      await scene.fetch('m');
      const file = join(scene.dest, '.model-fetch', 'manifest.jsonl');
      damage(file);
      await fails(verifyTarget(scene.dest), 'TARGET_CHANGED', /damaged/);
      scene.gets();
      await scene.fetch('m');
      assert.equal(scene.gets().length, 2);
      assert.deepEqual(treeOf(scene.dest), FILES);
      await verifyTarget(scene.dest);
      onlyManifestRemains(scene.dest);
    });
  }

  test('that was lost: what is there is adopted when it is the same', async (t) => {
    const scene = await s3Scene(t);
    scene.model('m', FILES);
    await scene.fetch('m');
    rmSync(join(scene.dest, '.model-fetch'), { recursive: true });
    await fails(verifyTarget(scene.dest), 'NOT_FOUND');
    await scene.fetch('m');
    assert.deepEqual(treeOf(scene.dest), FILES);
    await verifyTarget(scene.dest);
  });

  test('whose paths lead out of the target removes nothing there', async (t) => {
    const scene = await s3Scene(t);
    scene.model('m', FILES);
    scene.model('n', { n: 'n' });
    await scene.fetch('m');
    write(scene.root, { precious: 'precious', 'outside/x': 'x' });
    const file = join(scene.dest, '.model-fetch', 'manifest.jsonl');
    const text = readFileSync(file, 'utf8');
    const outside = JSON.stringify(join(scene.root, 'outside/x'));
    writeFileSync(file, text.replaceAll('"a"', '"../precious"').replaceAll('"sub/b"', outside));
    await scene.fetch('n', { overwrite: true });
    assert.equal(readFileSync(join(scene.root, 'precious'), 'utf8'), 'precious');
    assert.equal(readFileSync(join(scene.root, 'outside/x'), 'utf8'), 'x');
  });

  test('can be left out: then nothing is known the next time', async (t) => {
    const scene = await s3Scene(t);
    scene.model('m', FILES);
    const result = await scene.fetch('m', { manifest: false });
    assert.equal(result.manifest, undefined);
    assert.deepEqual(treeOf(scene.dest, true), FILES);
    scene.gets();
    await scene.fetch('m', { manifest: false });
    assert.equal(scene.gets().length, 2);
    await fails(verifyTarget(scene.dest), 'NOT_FOUND');
    scene.s3.put('models', 'm/a', 'A');
    await fails(scene.fetch('m', { manifest: false }), 'CONFLICT');
    await scene.fetch('m', { manifest: false, overwrite: true });
    assert.deepEqual(treeOf(scene.dest, true), { ...FILES, a: 'A' });
  });

  test('can lie elsewhere, beside the target', async (t) => {
    const scene = await s3Scene(t);
    scene.model('m', FILES);
    scene.model('n', { n: 'n' });
    const manifest = join(scene.root, 'elsewhere.jsonl');
    const result = await scene.fetch('m', { manifest });
    assert.equal(result.manifest, manifest);
    assert.deepEqual(treeOf(scene.dest, true), FILES);
    assert.equal((await scene.fetch('m', { manifest })).unchanged, true);
    await scene.fetch('n', { manifest });
    assert.deepEqual(treeOf(scene.dest, true), { n: 'n' });
    assert.equal((await verifyTarget(scene.dest, { manifest })).files, 1);
  });

  test('never stays current beside another model, wherever the manifest of that one goes', async (t) => {
    const scene = await s3Scene(t);
    scene.model('m', FILES);
    scene.model('n', { a: 'other' });
    for (const manifest of [false, join(scene.root, 'elsewhere.jsonl')] as const) {
      await scene.fetch('m', { overwrite: true });
      await scene.fetch('n', { manifest, overwrite: true });
      // What another manifest knew is foreign to this one.
      assert.deepEqual(treeOf(scene.dest, true), { a: 'other', 'sub/b': 'bb' });
    }
  });

  test('a reader of it gets nothing where there is none', async (t) => {
    assert.equal(await readManifest(join(folder(t), 'none')), undefined);
  });
});

describe('verifying a target', () => {
  test('finds a flipped byte, a missing file and a changed link', async (t) => {
    const scene = await s3Scene(t);
    const archive = tar({ name: 'a', content: 'aaaa' }, symlink('link', 'a'), {
      name: 'b',
      content: 'b',
    });
    scene.s3.put('models', 'm/model.tar', archive);
    await scene.fetch('m');
    assert.deepEqual((await verifyTarget(scene.dest)).files, 3);
    const spoil = async (path: string, damage: (file: string) => void): Promise<void> => {
      damage(join(scene.dest, path));
      const error = await fails(verifyTarget(scene.dest), 'TARGET_CHANGED');
      assert.equal(error.exitStatus, 13);
      assert.equal(error.path, path);
      await scene.fetch('m');
      await verifyTarget(scene.dest);
    };
    await spoil('a', (file) => writeFileSync(file, 'aaab'));
    await spoil('b', (file) => rmSync(file));
    await spoil('link', (file) => {
      rmSync(file);
      symlinkSync('b', file);
    });
    await spoil('link', (file) => {
      rmSync(file);
      writeFileSync(file, 'aaaa');
    });
    assert.deepEqual(treeOf(scene.dest), { a: 'aaaa', b: 'b', link: '-> a' });
  });

  test('a change that keeps size and time is found by its bytes', async (t) => {
    const scene = await s3Scene(t);
    scene.model('m', { a: 'aaaa' });
    await scene.fetch('m');
    const { statSync, utimesSync } = await import('node:fs');
    const { atime, mtime } = statSync(join(scene.dest, 'a'));
    writeFileSync(join(scene.dest, 'a'), 'aaab');
    utimesSync(join(scene.dest, 'a'), atime, mtime);
    await fails(verifyTarget(scene.dest), 'TARGET_CHANGED');
  });
});
