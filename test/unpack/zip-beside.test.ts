/** The stretches of a zip beside each other, and its small members on other threads. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, describe, it } from 'node:test';
import { createThreads, type Threads } from '../../src/unpack/threads.ts';
import {
  defaultLimits,
  unpack,
  type ArchiveSource,
  type UnpackedFile,
} from '../../src/unpack/unpack.ts';
import { zip, type ZipMember } from '../support/archives.ts';
import { sourceOf } from './harness.ts';

const MIB = 2 ** 20;
let root: string;
let into: string;
before(() => {
  root = fs.mkdtempSync(join(os.tmpdir(), 'beside-'));
});
beforeEach(() => {
  into = fs.mkdtempSync(join(root, 'into-'));
});
after(() => {
  fs.rmSync(root, { recursive: true });
});

async function run(
  source: ArchiveSource,
  threads: Threads,
  signal = new AbortController().signal,
): Promise<UnpackedFile[]> {
  const reported: UnpackedFile[] = [];
  const onFile = (file: UnpackedFile): void => void reported.push(file);
  try {
    await unpack(source, { into, format: 'zip', limits: defaultLimits, signal, threads, onFile });
  } finally {
    await threads.close();
  }
  return reported;
}

const two = (): Threads => createThreads({ count: 2, leastMs: 0 });
const stored = (name: string, content: Buffer): ZipMember => ({
  name,
  content,
  raw: content,
  method: 0,
});
const filling = (
  archive: Buffer,
  fill: (into: Uint8Array, start: number) => Promise<void>,
): ArchiveSource => ({
  ...sourceOf(archive),
  fill: async (bytes, start) => {
    await fill(bytes, start);
    bytes.set(archive.subarray(start, start + bytes.length));
  },
});

describe('large members', () => {
  const archive = zip([
    stored('a', Buffer.alloc(33 * MIB, 'a')),
    stored('b', Buffer.alloc(33 * MIB, 'b')),
  ]);

  it('are read beside each other, in bounded memory, every byte once', async () => {
    const starts: number[] = [];
    let second = (): void => undefined;
    const begun = new Promise<void>((resolve) => {
      second = resolve;
    });
    const source = filling(archive, async (bytes, start) => {
      starts.push(start);
      assert.ok(bytes.length <= MIB);
      if (start >= 33 * MIB) second();
      // The first stretch waits for the second: one after the other would never end.
      await begun;
    });
    const files = await run(source, two());
    assert.deepEqual(files.map(({ path }) => path).sort(), ['a', 'b']);
    for (const name of ['a', 'b'])
      assert.ok(fs.readFileSync(join(into, name)).equals(Buffer.alloc(33 * MIB, name)));
    assert.equal(new Set(starts).size, starts.length);
  });

  it('are read in order from a source that asks for it', async () => {
    let last = -1;
    const source = filling(archive, async (_, start) => {
      assert.ok(start > last);
      last = start;
    });
    assert.equal((await run({ ...source, ordered: true }, two())).length, 2);
  });

  it('end with the first that fails, and nothing is written afterwards', async () => {
    const broken = Buffer.from(archive);
    broken[34 * MIB]! ^= 1;
    await assert.rejects(
      run(
        filling(broken, async () => undefined),
        two(),
      ),
      { code: 'BAD_ARCHIVE' },
    );
    const then = fs.readdirSync(into).map((name) => fs.statSync(join(into, name)).size);
    await new Promise((resolve) => setTimeout(resolve, 100));
    assert.deepEqual(
      fs.readdirSync(into).map((name) => fs.statSync(join(into, name)).size),
      then,
    );
  });
});

describe('small members on other threads', () => {
  const members = Array.from({ length: 3000 }, (_, at): ZipMember => {
    const content = `content ${String(at)} `.repeat(at % 97);
    return { name: `${String(at % 7)}/${String(at)}`, content };
  });

  it('are all there, and reported as they are', async () => {
    const archive = zip(members);
    const files = await run(
      filling(archive, async () => undefined),
      two(),
    );
    assert.equal(files.length, members.length);
    for (const { name, content } of members)
      assert.equal(fs.readFileSync(join(into, name as string), 'utf8'), content);
  });

  it('that are damaged are told as they would be here', async () => {
    const spoilt = members.map((one, at) => (at === 2000 ? { ...one, crc: 1 } : one));
    await assert.rejects(run(sourceOf(zip(spoilt)), two()), {
      code: 'BAD_ARCHIVE',
      message: /the content of "5\/2000" is damaged/,
    });
  });

  it('that cannot be written are told with the code of the disk', async () => {
    fs.mkdirSync(join(into, '3'));
    fs.writeFileSync(join(into, '3', '1802'), 'foreign');
    const inside = members.filter(({ name }) => name === '3/1802' || name === '2/1801');
    const archive = zip([...inside, { name: '4/x', content: 'x' }]);
    await assert.rejects(run(sourceOf(archive), two()), { code: 'UNSAFE_ARCHIVE' });
    assert.equal(fs.readFileSync(join(into, '3', '1802'), 'utf8'), 'foreign');
  });

  it('stop when the run is interrupted', async () => {
    const abort = new AbortController();
    const archive = zip(members);
    const source = filling(archive, async () => {
      abort.abort();
    });
    await assert.rejects(run(source, two(), abort.signal), { code: 'ABORTED' });
  });

  it('need no thread when there are few of them, or one core', () => {
    const content = { name: 'a', method: 8, crc: 0, packed: 1, size: 1000 };
    const four = createThreads({ count: 4 });
    assert.equal(four.worthwhile([content]), false);
    assert.equal(four.worthwhile(Array(2000).fill(content)), true);
    assert.equal(createThreads({ count: 1 }).worthwhile(Array(2000).fill(content)), false);
  });
});
