/** Large files by parallel ranges: all bytes right in the end, whatever breaks, and nothing fetched twice. */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, test, type TestContext } from 'node:test';
import type { FetchOptions } from '../../src/options.ts';
import {
  fails,
  large,
  onlyManifestRemains,
  s3Scene,
  sha256,
  treeFrom,
  treeOf,
  type S3Scene,
} from '../publish/scene.ts';

const MIB = 1024 * 1024;
const CHILD = new URL('../publish/fetch-child.ts', import.meta.url).pathname;

const startOf = (header: string | undefined): number | undefined => {
  const match = /^bytes=(\d+)-/.exec(header ?? '');
  return match ? Number(match[1]) : undefined;
};

describe('a large file', () => {
  test('comes by several ranges at a time, and is checked against the whole', async (t) => {
    const scene = await s3Scene(t);
    const bytes = large(40 * MIB);
    scene.s3.put('models', 'm/big', bytes, { checksums: ['crc64nvme'] });
    const result = await scene.fetch('m');
    const ranges = scene.gets().map(({ headers }) => headers['range']);
    assert.ok(ranges.length >= 5, 'more, where a slow one was shared');
    assert.equal(new Set(ranges).size, ranges.length);
    assert.deepEqual(treeOf(scene.dest), treeFrom({ big: bytes }));
    assert.deepEqual(result.verified, { crc64nvme: 1 });
  });

  test('is resumed at the byte reached: dropped, stalled and refused ranges', async (t) => {
    const scene = await s3Scene(t);
    const bytes = large(40 * MIB);
    scene.model('m', { big: bytes });
    const trouble = new Map<number, number>();
    const resumed: number[] = [];
    scene.trouble = ({ method, headers }) => {
      const start = startOf(headers['range']);
      if (method !== 'GET' || start === undefined) return undefined;
      if (start % (8 * MIB) !== 0) resumed.push(start);
      const times = (trouble.get(start) ?? 0) + 1;
      trouble.set(start, times);
      if (times > 1) return undefined;
      if (start === 0) return { dropAfter: MIB };
      if (start === 8 * MIB) return { stallAfter: 2 * MIB };
      if (start === 16 * MIB) return { status: 503 };
      if (start === 24 * MIB) return { refuse: true };
      // What is resumed breaks once more.
      return start % (8 * MIB) !== 0 && start < 8 * MIB ? { dropAfter: MIB } : undefined;
    };
    const result = await scene.fetch('m', { stallTimeoutMs: 500 });
    assert.deepEqual(treeOf(scene.dest), treeFrom({ big: bytes }));
    assert.ok(result.retries >= 4);
    assert.equal(result.fetchedBytes, bytes.length, 'no byte was taken twice');
    assert.ok(resumed.some((start) => start > 0 && start <= MIB));
    assert.ok(resumed.some((start) => start > 8 * MIB && start <= 10 * MIB));
  });

  test('does not wait for one slow connection: others take over what it has left', async (t) => {
    const scene = await s3Scene(t);
    const bytes = large(64 * MIB);
    scene.model('m', { big: bytes });
    let first = true;
    scene.trouble = ({ method, headers }) => {
      if (method !== 'GET' || startOf(headers['range']) !== 32 * MIB || !first) return undefined;
      first = false;
      return { bytesPerSecond: 1.5 * MIB };
    };
    const result = await scene.fetch('m');
    const starts = scene.gets().map(({ headers }) => startOf(headers['range'])!);
    assert.ok(
      starts.some((start) => start > 32 * MIB && start < 40 * MIB),
      'somebody took a part of the slow one',
    );
    assert.deepEqual(treeOf(scene.dest), treeFrom({ big: bytes }));
    assert.equal(result.fetchedBytes, bytes.length, 'no byte was taken twice');
    assert.equal(result.retries, 0);
  });

  test('of a server that ignores ranges comes in one pass', async (t) => {
    const scene = await s3Scene(t);
    const bytes = large(20 * MIB);
    scene.model('m', { big: bytes });
    scene.trouble = ({ key }) => (key === '' ? undefined : { range: 'whole' });
    await scene.fetch('m');
    assert.deepEqual(treeOf(scene.dest), treeFrom({ big: bytes }));
    assert.equal(scene.gets().at(-1)!.headers['range'], undefined);
  });

  test('of a server that says 200 beside the right part is taken', async (t) => {
    const scene = await s3Scene(t);
    const bytes = large(20 * MIB);
    scene.model('m', { big: bytes });
    scene.trouble = ({ key }) => (key === '' ? undefined : { range: 'part' });
    const result = await scene.fetch('m');
    assert.deepEqual(treeOf(scene.dest), treeFrom({ big: bytes }));
    assert.equal(result.fetchedBytes, bytes.length);
  });

  test('that changes half-way is SOURCE_CHANGED, also where If-Match is ignored', async (t) => {
    for (const ignoreIfMatch of [false, true]) {
      const scene = await s3Scene(t);
      scene.model('m', { big: large(24 * MIB) });
      let gets = 0;
      scene.trouble = ({ method, key }) => {
        if (method !== 'GET' || key === '') return undefined;
        if (++gets === 2) scene.s3.put('models', 'm/big', large(24 * MIB, 2));
        return { ignoreIfMatch };
      };
      await fails(scene.fetch('m', { concurrency: 1 }), 'SOURCE_CHANGED');
      assert.equal(existsSync(scene.dest), false);
    }
  });

  test('with a wrong byte is DIGEST_MISMATCH, and what came is thrown away', async (t) => {
    const scene = await s3Scene(t);
    const crc = Buffer.alloc(8, 1).toString('base64');
    scene.s3.put('models', 'm/big', large(24 * MIB), { stated: { crc64nvme: crc } });
    await fails(scene.fetch('m'), 'DIGEST_MISMATCH', /crc64nvme should be 0101010101010101/);
    assert.equal(existsSync(scene.dest), false);
  });

  test('concurrency is never exceeded at the server', async (t) => {
    const scene = await s3Scene(t);
    const files = { big: large(40 * MIB), ...small(20) };
    scene.model('m', files);
    let [open, most] = [0, 0];
    scene.trouble = ({ method, key }) => {
      if (method === 'GET' && key !== '') most = Math.max(most, ++open);
      if (method === 'GET' && key !== '') setTimeout(() => open--, 15);
      return { delayMs: 15 };
    };
    await scene.fetch('m', { concurrency: 3 });
    assert.ok(most >= 2 && most <= 3, `${String(most)} at a time`);
    assert.deepEqual(treeOf(scene.dest), treeFrom(files));
  });
});

describe('an interruption', () => {
  test('by a signal is prompt, leaves no sockets, and what is whole stays for the next run', async (t) => {
    const scene = await s3Scene(t);
    const files = { big: large(24 * MIB), little: 'x' };
    scene.model('m', files);
    scene.trouble = ({ key, headers }) =>
      key === 'm/big' && startOf(headers['range'])! >= 16 * MIB
        ? { stallAfter: 3 * MIB }
        : undefined;
    const controller = new AbortController();
    const fetching = scene.fetch('m', { signal: controller.signal });
    await until(() => journalledBytes(scene.dest) >= 18 * MIB);
    const asked = performance.now();
    controller.abort(new Error('SIGTERM'));
    const error = await fails(fetching, 'ABORTED');
    assert.equal(error.exitStatus, 130);
    assert.ok(performance.now() - asked < 1000);
    assert.deepEqual(treeOf(scene.dest), {});
    await until(() => !process.getActiveResourcesInfo().includes('TCPSocketWrap'));
    scene.trouble = undefined;
    scene.gets();
    await scene.fetch('m');
    assert.deepEqual(treeOf(scene.dest), treeFrom(files));
    // Of the range that was cut short, what had come counts too.
    const [rest, ...others] = scene.gets();
    assert.deepEqual(others, []);
    const from = startOf(rest!.headers['range'])!;
    assert.ok(from >= 18 * MIB && from <= 19 * MIB, `from ${String(from)}`);
  });

  test('is resumed by the CRC that the source vouches for', async (t) => {
    const scene = await s3Scene(t);
    const big = large(24 * MIB);
    scene.s3.put('models', 'm/big', big, { checksums: ['crc64nvme'] });
    scene.trouble = ({ headers }) =>
      startOf(headers['range']) === 16 * MIB ? { stallAfter: MIB } : undefined;
    const controller = new AbortController();
    const fetching = scene.fetch('m', { signal: controller.signal });
    await until(() => journalledBytes(scene.dest) >= 16 * MIB);
    controller.abort(new Error('SIGTERM'));
    await fails(fetching, 'ABORTED');
    scene.trouble = undefined;
    scene.gets();
    const result = await scene.fetch('m');
    assert.deepEqual(result.verified, { crc64nvme: 1 });
    assert.ok(result.fetchedBytes >= 7 * MIB && result.fetchedBytes <= 8 * MIB);
    assert.deepEqual(treeOf(scene.dest), treeFrom({ big }));
  });

  test('by the deadline is DEADLINE', async (t) => {
    const scene = await s3Scene(t);
    scene.model('m', { a: 'a' });
    scene.trouble = () => ({ delayMs: 1500 });
    const started = performance.now();
    const error = await fails(scene.fetch('m', { timeoutMs: 300 }), 'DEADLINE');
    assert.equal(error.exitStatus, 18);
    assert.ok(performance.now() - started < 2000);
  });

  test('a deadline beyond what a timer can hold is none', async (t) => {
    const scene = await s3Scene(t);
    scene.model('m', { a: 'a' });
    await scene.fetch('m', { timeoutMs: 2 ** 40, stallTimeoutMs: 2 ** 40 });
    assert.deepEqual(treeOf(scene.dest), { a: 'a' });
  });

  test('before it begins is told at once', async (t) => {
    const scene = await s3Scene(t);
    scene.model('m', { a: 'a' });
    await fails(scene.fetch('m', { signal: AbortSignal.abort() }), 'ABORTED');
    assert.equal(scene.s3.requests.length, 0);
    assert.equal(existsSync(scene.dest), false);
  });
});

describe('a killed run', () => {
  const SIZE = 64 * MIB;

  /** Ranges from `limit` on are not answered. Kills the run once all others are written down. */
  async function killedAt(t: TestContext, scene: S3Scene, limit: number): Promise<void> {
    scene.trouble = ({ headers }) =>
      (startOf(headers['range']) ?? -1) >= limit ? { stallAfter: 1000 } : undefined;
    const child = start(t, scene, { concurrency: 16 });
    await until(() => journalledBytes(scene.dest) >= limit);
    child.kill('SIGKILL');
    await new Promise((resolve) => child.on('close', resolve));
    scene.trouble = undefined;
    scene.gets();
  }

  test('and another are resumed by ranges: only what is missing is fetched', async (t) => {
    const scene = await s3Scene(t);
    const bytes = large(SIZE);
    scene.model('m', { big: bytes });
    await killedAt(t, scene, 32 * MIB);
    await killedAt(t, scene, 56 * MIB);
    const result = await scene.fetch('m');
    assert.equal(result.fetchedBytes, 8 * MIB);
    assert.deepEqual(treeOf(scene.dest), treeFrom({ big: bytes }));
    onlyManifestRemains(scene.dest);
  });

  for (const cores of ['one', 'more'])
    test(`loses little of the ranges that were not complete, on ${cores} core(s)`, async (t) => {
      const scene = await s3Scene(t);
      const bytes = large(SIZE);
      scene.s3.put('models', 'm/big', bytes, { checksums: ['crc64nvme'] });
      scene.trouble = ({ headers }) =>
        headers['range'] === undefined ? undefined : { stallAfter: 5 * MIB };
      // A limit that does not bind, under which all bytes go by the main thread.
      const one = { limitRate: 2 ** 40 };
      const child = start(t, scene, { concurrency: 16, ...(cores === 'one' && one) });
      await until(() => journalledBytes(scene.dest) >= (SIZE / 8) * 4);
      child.kill('SIGKILL');
      await new Promise((resolve) => child.on('close', resolve));
      scene.trouble = undefined;
      const { fetchedBytes, verified } = await scene.fetch('m');
      assert.ok(fetchedBytes <= (SIZE / 8) * 4, `${String(fetchedBytes)} bytes fetched again`);
      assert.deepEqual(verified, { crc64nvme: 1 });
      assert.deepEqual(treeOf(scene.dest), treeFrom({ big: bytes }));
      onlyManifestRemains(scene.dest);
    });

  test('leaves bytes that are checked before they are believed', async (t) => {
    const scene = await s3Scene(t);
    const bytes = large(SIZE);
    scene.model('m', { big: bytes });
    await killedAt(t, scene, 32 * MIB);
    const staged = stagedFile(scene.dest, 'big');
    const part = readFileSync(staged);
    part[9 * MIB] = part[9 * MIB]! ^ 0xff;
    writeFileSync(staged, part);
    const { fetchedBytes } = await scene.fetch('m');
    assert.equal(fetchedBytes, 40 * MIB);
    assert.deepEqual(treeOf(scene.dest), treeFrom({ big: bytes }));
  });

  test('of another version of the object is not resumed', async (t) => {
    const scene = await s3Scene(t);
    scene.model('m', { big: large(SIZE) });
    await killedAt(t, scene, 32 * MIB);
    scene.model('m', { big: large(SIZE, 2) });
    const { fetchedBytes } = await scene.fetch('m');
    assert.equal(fetchedBytes, SIZE);
    assert.deepEqual(treeOf(scene.dest), treeFrom({ big: large(SIZE, 2) }));
    onlyManifestRemains(scene.dest);
  });

  test('small files that were whole are not fetched again, unless they were damaged', async (t) => {
    const scene = await s3Scene(t);
    const files = { ...small(20), last: 'last' };
    scene.model('m', files);
    scene.trouble = ({ key }) => (key === 'm/last' ? { stallAfter: 0 } : undefined);
    const child = start(t, scene, {});
    await until(() => journalLines(scene.dest) >= 20);
    child.kill('SIGKILL');
    await new Promise((resolve) => child.on('close', resolve));
    writeFileSync(stagedFile(scene.dest, 'f3'), 'CONTENT 3');
    scene.trouble = undefined;
    scene.gets();
    await scene.fetch('m');
    assert.deepEqual(
      scene
        .gets()
        .map(({ key }) => key)
        .sort(),
      ['m/f3', 'm/last'],
    );
    assert.deepEqual(treeOf(scene.dest), treeFrom(files));
  });
});

describe('digests', () => {
  for (const name of ['crc32', 'crc32c', 'crc64nvme', 'sha1', 'sha256'] as const) {
    test(`${name} of the source is checked, on small and large files`, async (t) => {
      const scene = await s3Scene(t);
      const files = { small: Buffer.from('small'), large: large(17 * MIB) };
      for (const [path, bytes] of Object.entries(files))
        scene.s3.put('models', `m/${path}`, bytes, { checksums: [name] });
      const result = await scene.fetch('m');
      assert.deepEqual(result.verified, { [name]: 2 });
      assert.deepEqual(treeOf(scene.dest), treeFrom(files));
      const length = { crc32: 4, crc32c: 4, crc64nvme: 8, sha1: 20, sha256: 32 }[name];
      const stated = { [name]: Buffer.alloc(length, 7).toString('base64') };
      for (const [path, bytes] of Object.entries(files)) {
        scene.s3.put('models', `bad-${path}/x`, bytes, { stated });
        const hex = '07'.repeat(length);
        await fails(
          scene.fetch(`bad-${path}`),
          'DIGEST_MISMATCH',
          new RegExp(`${name} should be ${hex}`),
        );
      }
      assert.deepEqual(treeOf(scene.dest), treeFrom(files));
    });
  }

  test('a composite checksum is one of the parts, however it is stated', async (t) => {
    const scene = await s3Scene(t);
    const bytes = large(20 * MIB);
    for (const [i, stateType] of [true, false].entries())
      scene.s3.put('models', `m/${String(i)}`, bytes, {
        parts: 8 * MIB,
        checksums: ['crc32c'],
        checksumType: 'COMPOSITE',
        stateType,
      });
    const result = await scene.fetch('m');
    assert.deepEqual(result.verified, { crc32c: 2 });
    assert.deepEqual(treeOf(scene.dest), treeFrom({ 0: bytes, 1: bytes }));
  });

  for (const [what, size] of [
    ['small', 100],
    ['large', 17 * MIB],
  ] as const) {
    test(`the checksum asked for of one ${what} file: right and wrong`, async (t) => {
      const scene = await s3Scene(t);
      const bytes = large(size);
      scene.model('m', { model: bytes });
      const right = `sha256:${sha256(bytes)}` as const;
      const result = await scene.fetch('m', { checksum: right });
      assert.equal(result.verified['sha256'], 1);
      assert.equal((await scene.fetch('m', { checksum: right })).unchanged, true);
      scene.gets();
      const wrong = `sha256:${sha256('other')}` as const;
      await fails(scene.fetch('m', { checksum: wrong }), 'DIGEST_MISMATCH');
      assert.deepEqual(treeOf(scene.dest), treeFrom({ model: bytes }));
      assert.equal((await scene.fetch('m', { checksum: right })).unchanged, true);
    });
  }

  test('a file that was published without the checksum now asked for is fetched and checked', async (t) => {
    const scene = await s3Scene(t);
    scene.model('m', { model: 'model' });
    await scene.fetch('m');
    scene.gets();
    await scene.fetch('m', { checksum: `sha256:${sha256('model')}` });
    assert.equal(scene.gets().length, 1);
  });

  test('the expected revision: of an object and of a listing', async (t) => {
    const scene = await s3Scene(t);
    scene.model('m', { a: 'a', b: 'b' });
    const one = await scene.fetch('s3://models/m/a');
    const { revision } = one.sources[0]!;
    assert.ok(revision);
    await scene.fetch('s3://models/m/a', { expectRevision: revision });
    const { fingerprint } = (await scene.fetch('m')).sources[0]!;
    await scene.fetch('m', { expectRevision: fingerprint });
    scene.s3.put('models', 'm/a', 'A');
    await fails(scene.fetch('s3://models/m/a', { expectRevision: revision }), 'REFUSED');
    await fails(scene.fetch('m', { expectRevision: fingerprint }), 'REFUSED');
    assert.deepEqual(treeOf(scene.dest), { a: 'a', b: 'b' });
  });
});

function small(count: number): Record<string, string> {
  return Object.fromEntries(
    Array.from({ length: count }, (_, i) => [`f${String(i)}`, `content ${String(i)}`]),
  );
}

function start(t: TestContext, scene: S3Scene, options: FetchOptions): ChildProcess {
  const { env } = scene.options;
  const given = JSON.stringify({ ...options, env, connectGraceMs: 0 });
  const child = spawn(process.execPath, [CHILD, 's3://models/m/', scene.dest, given], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  t.after(() => child.kill('SIGKILL'));
  return child;
}

/** Lines in the journals of the runs that were interrupted, the latest one's own. */
/** Lines of the journal that says most. */
function journalLines(dest: string): number {
  return Math.max(0, ...journals(dest).map((lines) => lines.length));
}

/** Bytes that the journal that says most says are in place. Of lines with one start, the last one counts. */
function journalledBytes(dest: string): number {
  return Math.max(
    0,
    ...journals(dest).map((lines) => {
      const ends = new Map<number, number>();
      for (const line of lines) {
        const { range } = JSON.parse(line) as { range?: [number, number] };
        if (range) ends.set(...range);
      }
      return [...ends].reduce((sum, [start, end]) => sum + end - start, 0);
    }),
  );
}

function journals(dest: string): string[][] {
  const staging = join(dest, '.model-fetch', 'staging');
  if (!existsSync(staging)) return [];
  return readdirSync(staging).map((id) => {
    const journal = join(staging, id, 'journal.jsonl');
    return existsSync(journal) ? readFileSync(journal, 'utf8').split('\n').slice(0, -1) : [];
  });
}

function stagedFile(dest: string, path: string): string {
  const staging = join(dest, '.model-fetch', 'staging');
  const files = readdirSync(staging).map((id) => join(staging, id, 'trees', '0', path));
  return files.find((file) => existsSync(file))!;
}

async function until(condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 20_000;
  while (!condition()) {
    assert.ok(Date.now() < deadline, 'waited too long');
    await sleep(20);
  }
}
