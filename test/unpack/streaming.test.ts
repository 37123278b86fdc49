import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { after, before, beforeEach, describe, it } from 'node:test';
import { createGzip, createZstdCompress, deflateRawSync, gzipSync } from 'node:zlib';
import { ModelFetchError } from '../../src/errors.ts';
import type { ArchiveFormat } from '../../src/fetcher.ts';
import {
  defaultLimits,
  unpack,
  type ArchiveSource,
  type UnpackedFile,
} from '../../src/unpack/unpack.ts';
import { onDisk } from '../../src/unpack/refuse.ts';
import { tar, TAR_END, tarMember, zip } from '../support/archives.ts';
import { sourceOf } from './harness.ts';

const MIB = 2 ** 20;
let root: string;
let into: string;
before(() => {
  root = fs.mkdtempSync(join(os.tmpdir(), 'streaming-'));
});
beforeEach(() => {
  into = fs.mkdtempSync(join(root, 'into-'));
});
after(() => {
  fs.rmSync(root, { recursive: true });
});

function run(source: ArchiveSource, format: ArchiveFormat, signal = new AbortController().signal) {
  const reported: UnpackedFile[] = [];
  const done = unpack(source, {
    into,
    format,
    limits: defaultLimits,
    signal,
    onFile: (file) => reported.push(file),
  });
  return { done, reported };
}

const streamed = (stream: () => AsyncIterable<Uint8Array>): ArchiveSource => ({
  ...sourceOf(Buffer.alloc(0)),
  stream,
});

/** A tar with one large member, made as it is read; chunks share one buffer. */
async function* largeTar(mib: number): AsyncGenerator<Uint8Array> {
  yield tarMember({ name: 'large.bin', size: mib * MIB });
  const chunk = Buffer.alloc(MIB);
  for (let at = 0; at < mib; at++) yield chunk.fill(at % 251);
  yield TAR_END;
}

describe('a large member', () => {
  const grows = async (work: () => Promise<unknown>): Promise<number> => {
    const start = process.memoryUsage().rss;
    let most = start;
    const timer = setInterval(() => {
      most = Math.max(most, process.memoryUsage().rss);
    }, 5);
    await work();
    clearInterval(timer);
    return (Math.max(most, process.memoryUsage().rss) - start) / MIB;
  };

  const isRight = (): void => {
    const fd = fs.openSync(join(into, 'large.bin'), 'r');
    const piece = Buffer.alloc(3);
    assert.equal(fs.fstatSync(fd).size, 200 * MIB);
    for (const at of [0, 100, 199]) {
      fs.readSync(fd, piece, 0, 3, at * MIB + 77);
      assert.deepEqual([...piece], Array(3).fill(at % 251));
    }
    fs.closeSync(fd);
    fs.rmSync(join(into, 'large.bin'));
  };

  it('of a tar streams in bounded memory', async () => {
    const grown = await grows(
      () =>
        run(
          streamed(() => largeTar(200)),
          'tar',
        ).done,
    );
    isRight();
    assert.ok(grown < 100, `grew by ${grown} MiB`);
  });

  for (const [format, engine] of [
    ['tar.gz', () => createGzip({ level: 1 })],
    ['tar.zst', () => createZstdCompress()],
  ] as const)
    it(`of a ${format} streams in bounded memory`, async () => {
      const compressed = async function* (): AsyncGenerator<Uint8Array> {
        const compress = engine();
        const feed = (async () => {
          for await (const chunk of largeTar(200))
            await new Promise<void>((resolve, reject) => {
              compress.write(chunk, (error) => (error ? reject(error) : resolve()));
            });
          compress.end();
        })();
        yield* compress;
        await feed;
      };
      const grown = await grows(() => run(streamed(compressed), format).done);
      isRight();
      assert.ok(grown < 160, `grew by ${grown} MiB`);
    });

  it('of a zip is read in pieces, in order, each once', async () => {
    const content = Buffer.alloc(20 * MIB, 'some content that repeats ');
    for (const method of [0, 8]) {
      const archive = zip([
        {
          name: 'large.bin',
          content,
          method,
          raw: method === 8 ? deflateRawSync(content) : content,
        },
        { name: 'small.txt', content: 'small' },
      ]);
      const reads: [number, number][] = [];
      const source: ArchiveSource = {
        ...sourceOf(archive),
        read: async (start, end) => {
          reads.push([start, end]);
          return Buffer.from(archive.subarray(start, end));
        },
      };
      await run(source, 'zip').done;
      assert.deepEqual(fs.readFileSync(join(into, 'large.bin')).equals(content), true);
      const [, , ...members] = reads;
      for (const [index, [start, end]] of members.entries()) {
        assert.ok(end - start <= MIB);
        assert.equal(start, index === 0 ? 0 : members[index - 1]![1]);
      }
      fs.rmSync(into, { recursive: true });
      fs.mkdirSync(into);
    }
  });
});

describe('a zip member that inflates to more than it declares', () => {
  it('Z7 is stopped there, not when all of it is on the disk', async () => {
    const content = Buffer.alloc(64 * MIB);
    const archive = zip([{ name: 'bomb', content, size: 2 * MIB }]);
    await assert.rejects(run(sourceOf(archive), 'zip').done, { code: 'BAD_ARCHIVE' });
    assert.ok(fs.statSync(join(into, 'bomb')).size <= 2 * MIB);
  });
});

describe('the source', () => {
  const archive = tar({ name: 'a', content: 'x'.repeat(100_000) }, { name: 'b', content: 'y' });
  const network = new ModelFetchError('TRUNCATED', 'the body ended early');

  for (const [format, bytes] of [
    ['tar', archive],
    ['tar.gz', gzipSync(archive)],
    ['tar.bz2', Buffer.from('BZh9')],
    ['tar.xz', Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0, 0, 4])],
    ['tar.zst', Buffer.from([0x28, 0xb5, 0x2f, 0xfd])],
  ] as const)
    it(`passes its error on, unchanged, through ${format}`, async () => {
      for (const at of [0, 1, 4, 50])
        for (const error of [network, new Error('not ours')]) {
          const source = streamed(async function* () {
            yield bytes.subarray(0, at);
            await sleep(1);
            throw error;
          });
          await assert.rejects(run(source, format).done, (thrown) => thrown === error);
          fs.rmSync(into, { recursive: true });
          fs.mkdirSync(into);
        }
    });

  it('passes its error on, unchanged, through zip', async () => {
    const bytes = zip([{ name: 'a', content: 'x' }]);
    for (let fails = 0; fails < 3; fails++) {
      let reads = 0;
      const source: ArchiveSource = {
        ...sourceOf(bytes),
        read: async (start, end) => {
          if (reads++ === fails) throw network;
          return Buffer.from(bytes.subarray(start, end));
        },
      };
      await assert.rejects(run(source, 'zip').done, (thrown) => thrown === network);
    }
  });

  it('that gives a zip fewer bytes than asked for is found out', async () => {
    const bytes = zip([{ name: 'a', content: 'x' }]);
    const source = { ...sourceOf(bytes), read: async () => Buffer.alloc(3) };
    await assert.rejects(run(source, 'zip').done, { code: 'BAD_ARCHIVE' });
  });

  it('without random access or size is no source for a zip', async () => {
    const { name, uri } = sourceOf(zip([]));
    const stream = () => largeTar(1);
    await assert.rejects(run({ name, uri, stream }, 'zip').done, { code: 'BAD_ARCHIVE', uri });
    await assert.rejects(run({ name, uri, stream, size: 22 }, 'zip').done, {
      code: 'BAD_ARCHIVE',
      uri,
    });
  });

  it('is closed when the archive turns out to be bad', async () => {
    for (const [format, bad] of [
      ['tar', Buffer.alloc(2048, 'bad')],
      ['tar.gz', Buffer.concat([gzipSync('x'), Buffer.alloc(2048, 'bad')])],
    ] as const) {
      let closed = false;
      const source = streamed(async function* () {
        try {
          for (;;) yield bad;
        } finally {
          closed = true;
        }
      });
      await assert.rejects(run(source, format).done, { code: 'BAD_ARCHIVE' });
      await sleep(20);
      assert.ok(closed, format);
    }
  });
});

describe('an abort', () => {
  for (const format of ['tar', 'tar.gz', 'tar.zst', 'tar.bz2', 'tar.xz', 'zip'] as const)
    it(`ends ${format} at once although the source is silent, and nothing is written afterwards`, async () => {
      const abort = new AbortController();
      const silent = new Promise<never>(() => undefined);
      const source: ArchiveSource = {
        ...sourceOf(Buffer.alloc(100)),
        stream: async function* () {
          yield format === 'tar'
            ? tarMember({ name: 'a', size: 2000, content: 'x'.repeat(512) })
            : Buffer.alloc(0);
          await silent;
        },
        read: () => silent,
      };
      const { done } = run(source, format, abort.signal);
      const started = Date.now();
      setTimeout(() => {
        abort.abort();
      }, 20);
      await assert.rejects(done, { code: 'ABORTED', uri: source.uri });
      assert.ok(Date.now() - started < 2000);
    });

  it('that came before begins nothing', async () => {
    await assert.rejects(run(sourceOf(tar({ name: 'a' })), 'tar', AbortSignal.abort()).done, {
      code: 'ABORTED',
    });
    assert.deepEqual(fs.readdirSync(into), []);
  });

  it('keeps the typed reason it was given', async () => {
    const reason = new ModelFetchError('DEADLINE', 'the run took too long');
    await assert.rejects(run(sourceOf(tar({ name: 'a' })), 'tar', AbortSignal.abort(reason)).done, {
      code: 'DEADLINE',
    });
  });

  it('nothing is written once it has failed', async () => {
    const archive = Buffer.concat([
      tarMember({ name: 'a', content: 'x'.repeat(300_000) }),
      Buffer.alloc(512, 'bad'),
    ]);
    const many = Buffer.concat([
      gzipSync(archive),
      gzipSync(tar({ name: 'later', content: 'z'.repeat(MIB) })),
    ]);
    await assert.rejects(run(sourceOf(many, 1000), 'tar.gz').done, { code: 'BAD_ARCHIVE' });
    const then = fs.readdirSync(into).map((name) => [name, fs.statSync(join(into, name)).size]);
    await sleep(100);
    assert.deepEqual(
      fs.readdirSync(into).map((name) => [name, fs.statSync(join(into, name)).size]),
      then,
    );
    assert.deepEqual(then, [['a', 300_000]]);
  });
});

describe('the disk', () => {
  it(
    'that is full is told as such',
    { skip: fs.existsSync('/dev/full') ? false : 'no /dev/full' },
    async () => {
      const fd = fs.openSync('/dev/full', 'w');
      assert.throws(() => onDisk('a', () => fs.writeSync(fd, 'x')), { code: 'NO_SPACE' });
      fs.closeSync(fd);
    },
  );

  it('that is smaller than the archive is told as such', async (t) => {
    if (
      process.getuid?.() !== 0 ||
      spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', into]).status !== 0
    ) {
      t.skip('cannot mount a small file system here');
      return;
    }
    try {
      const archive = tar({ name: 'a', content: Buffer.alloc(2 * MIB, 'x') });
      await assert.rejects(run(sourceOf(archive), 'tar').done, { code: 'NO_SPACE', path: '"a"' });
    } finally {
      spawnSync('umount', [into]);
    }
  });

  it('that is read-only is told as such', async (t) => {
    if (
      process.getuid?.() !== 0 ||
      spawnSync('mount', ['-t', 'tmpfs', '-o', 'ro', 'tmpfs', into]).status !== 0
    ) {
      t.skip('cannot mount a read-only file system here');
      return;
    }
    try {
      await assert.rejects(run(sourceOf(tar({ name: 'a' })), 'tar').done, { code: 'NOT_WRITABLE' });
    } finally {
      spawnSync('umount', [into]);
    }
  });

  it('that already holds the name is not written to', async () => {
    fs.writeFileSync(join(into, 'a'), 'foreign');
    fs.symlinkSync('/etc', join(into, 'l'));
    await assert.rejects(run(sourceOf(tar({ name: 'a' })), 'tar').done, { code: 'UNSAFE_ARCHIVE' });
    await assert.rejects(run(sourceOf(tar({ name: 'l', content: 'x' })), 'tar').done, {
      code: 'UNSAFE_ARCHIVE',
    });
    await assert.rejects(run(sourceOf(tar({ name: 'l/x', content: 'x' })), 'tar').done, {
      code: 'UNSAFE_ARCHIVE',
    });
    assert.equal(fs.readFileSync(join(into, 'a'), 'utf8'), 'foreign');
  });
});
