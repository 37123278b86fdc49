/** a large file is summed by another thread, and its sum is that of what was written. */
import assert from 'node:assert/strict';
import { closeSync, ftruncateSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { crc32 } from 'node:zlib';
import { copyBytes } from '../../src/transfer/copy-file.ts';

const MIB = 2 ** 20;
/** More than two segments, the last one short, and enough for a second thread. */
const SIZE = 140 * MIB + 12_345;

describe('the copy of a local file', () => {
  let home: string;
  let source: number;
  let target: number;
  let path: string;
  before(async () => {
    home = await mkdtemp(join(tmpdir(), 'model-fetch-copy-'));
    source = openSync(join(home, 'source'), 'w+');
    ftruncateSync(source, SIZE);
    // Something else in every segment, and over its borders; holes elsewhere.
    for (let at = 1; at < SIZE; at += 5 * MIB) writeSync(source, `at ${String(at)}`, at);
    for (let at = 16 * MIB; at < SIZE; at += 16 * MIB) writeSync(source, 'border', at - 3);
    path = join(home, 'target');
  });
  after(async () => {
    closeSync(source);
    await rm(home, { recursive: true });
  });
  beforeEach(() => {
    target = openSync(path, 'w+');
  });
  afterEach(() => {
    closeSync(target);
    rmSync(path);
  });

  const copy = (
    threads: boolean,
    { size = SIZE, signal = new AbortController().signal, to = target } = {},
  ) => copyBytes({ source, target: to, path, size }, threads, signal);

  for (const threads of [false, true])
    it(`is the file, and its CRC-32, ${threads ? 'by two threads' : 'by one'}`, async () => {
      const { bytes, crc32: sum } = await copy(threads);
      assert.equal(bytes, SIZE);
      const copied = readFileSync(path);
      assert.ok(copied.equals(readFileSync(join(home, 'source'))));
      assert.equal(Number(sum), crc32(copied));
    });

  it('is as it should be for several at a time', async () => {
    const second = join(home, 'second');
    const to = openSync(second, 'w+');
    const [one, two] = await Promise.all([copy(true), copy(true, { to })]);
    closeSync(to);
    assert.deepEqual(one, two);
    assert.ok(readFileSync(path).equals(readFileSync(second)));
  });

  it('is nothing for an empty file', async () => {
    assert.deepEqual(await copy(true, { size: 0 }), { bytes: 0, crc32: 0n });
  });

  for (const threads of [false, true]) {
    it(`says how much there was of a source that ends too soon (${String(threads)})`, async () => {
      assert.equal((await copy(threads, { size: SIZE + 40 * MIB })).bytes, SIZE);
    });

    it(`ends when it is told to (${String(threads)})`, async () => {
      const stop = new AbortController();
      const copying = copy(threads, { signal: stop.signal });
      setImmediate(() => {
        stop.abort(new Error('enough'));
      });
      await assert.rejects(copying, { message: 'enough' });
    });

    it(`fails with what the disk says (${String(threads)})`, async () => {
      await assert.rejects(copy(threads, { to: source + 1000 }), { code: 'EBADF' });
      // The next one is none the worse for it.
      assert.equal((await copy(threads)).bytes, SIZE);
    });
  }
});
