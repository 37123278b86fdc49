/** Errands on threads: bytes in their place, counted, shortened, stopped; the process ends when they are done. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { execFile } from 'node:child_process';
import { closeSync, ftruncateSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, test, type TestContext } from 'node:test';
import { crc32 } from 'node:zlib';
import type { HttpLocation } from '../../src/fetcher.ts';
import type { Errand } from '../../src/transfer/errand.ts';
import { createThreads, type Threads } from '../../src/transfer/threads.ts';

const MIB = 1024 * 1024;
const BODY = Buffer.from(
  Uint32Array.from({ length: MIB }, (_, i) => Math.imul(i, 2654435761)).buffer,
);

/** A server of `BODY` that knows ranges; `slow` sends a first MiB and then waits. */
async function serve(
  t: TestContext,
): Promise<{ location: HttpLocation; slow: HttpLocation; held: ServerResponse[] }> {
  const held: ServerResponse[] = [];
  const server: Server = createServer((request, response) => {
    const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? [];
    const [start, end] = from === undefined ? [0, BODY.length] : [Number(from), Number(to) + 1];
    response.writeHead(from === undefined ? 200 : 206, {
      'content-length': end - start,
      ...(from !== undefined && {
        'content-range': `bytes ${String(start)}-${String(end - 1)}/${String(BODY.length)}`,
      }),
    });
    if (request.url === '/slow') {
      held.push(response);
      response.write(BODY.subarray(start, start + MIB));
    } else response.end(BODY.subarray(start, end));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const url = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`;
  const at = (path: string): HttpLocation => ({ kind: 'http', url: url + path, headers: {} });
  return { location: at('/fast'), slow: at('/slow'), held };
}

function threads(t: TestContext, most = 2): Threads {
  const made = createThreads(() => most, { env: {}, policy: 'default' });
  t.after(() => made.close());
  return made;
}

function partFile(t: TestContext): { fd: number; path: string } {
  const folder = mkdtempSync(join(tmpdir(), 'model-fetch-test-'));
  const path = join(folder, 'part');
  const fd = openSync(path, 'w+');
  ftruncateSync(fd, BODY.length);
  t.after(() => {
    closeSync(fd);
    rmSync(folder, { recursive: true });
  });
  return { fd, path };
}

const forever = new AbortController().signal;

describe('errands on threads', () => {
  test('put ranges of one file in their places, with the CRC of each', async (t) => {
    const { location } = await serve(t);
    const pool = threads(t);
    const file = partFile(t);
    let counted = 0;
    const step = MIB / 2;
    const outcomes = await Promise.all(
      Array.from({ length: BODY.length / step }, async (_, i) => {
        const range = { start: i * step, end: (i + 1) * step };
        const errand: Errand = {
          location,
          range,
          size: BODY.length,
          stallMs: 5000,
          place: { kind: 'file', ...file },
          at: range.start,
          crcs: ['crc32', 'crc64nvme'],
        };
        const onBytes = (bytes: number): void => {
          counted += bytes;
        };
        return { range, ...(await pool.run(errand, { signal: forever, onBytes }).outcome) };
      }),
    );
    for (const { range, bytes, crcs, digests, error } of outcomes) {
      assert.equal(error, undefined);
      assert.equal(bytes, step);
      assert.deepEqual(digests, []);
      assert.equal(Number(crcs.get('crc32')), crc32(BODY.subarray(range.start, range.end)));
      assert.ok(crcs.has('crc64nvme'));
    }
    assert.equal(counted, BODY.length);
    assert.ok(readFileSync(file.path).equals(BODY));
  });

  test('of small files leave a core to the main thread, large ones take all', async (t) => {
    const { location } = await serve(t);
    const pool = threads(t, 2);
    const file = partFile(t);
    const busy = new Set<number>();
    const some = (count: number, bytes: number): Promise<unknown> =>
      Promise.all(
        Array.from({ length: count }, async () => {
          const errand: Errand = {
            location,
            range: { start: 0, end: bytes },
            size: BODY.length,
            stallMs: 5000,
            place: { kind: 'file', ...file },
            at: 0,
            crcs: [],
          };
          const { outcome } = pool.run(errand, { signal: forever, onBytes: () => undefined });
          busy.add(pool.writers.busy);
          assert.equal((await outcome).error, undefined);
        }),
      );
    const end = Date.now() + 300;
    while (Date.now() < end) await some(20, 1000);
    assert.deepEqual([...busy], [1]);
    const late = Date.now() + 10_000;
    while (!busy.has(2) && Date.now() < late) await some(4, MIB);
    assert.ok(busy.has(2));
  });

  test('are shortened to exactly so many bytes, or not at all', async (t) => {
    const { slow, held } = await serve(t);
    const pool = threads(t);
    const bytes = new SharedArrayBuffer(BODY.length);
    let counted: (bytes: number) => void = () => undefined;
    const firstMiB = new Promise<void>((resolve) => {
      let sum = 0;
      counted = (count) => {
        if ((sum += count) >= MIB / 2) resolve();
      };
    });
    const running = pool.run(
      { location: slow, stallMs: 5000, place: { kind: 'memory', bytes }, at: 0, crcs: [] },
      {
        signal: forever,
        onBytes: (count) => {
          counted(count);
        },
      },
    );
    await firstMiB;
    assert.equal(await running.shorten(MIB / 4), false, 'it is past that');
    assert.equal(await running.shorten(2 * MIB + 5), true);
    held[0]!.end(BODY.subarray(MIB));
    const outcome = await running.outcome;
    assert.equal(outcome.error, undefined);
    assert.equal(outcome.bytes, 2 * MIB + 5);
    assert.ok(Buffer.from(bytes, 0, outcome.bytes).equals(BODY.subarray(0, outcome.bytes)));
    assert.ok(
      new Uint8Array(bytes, outcome.bytes).every((byte) => byte === 0),
      'nothing beyond',
    );
    assert.equal(await running.shorten(1), false, 'it has ended');
  });

  test('stop when they are told to, and say what they have', async (t) => {
    const { slow } = await serve(t);
    const pool = threads(t);
    const stop = new AbortController();
    const { outcome } = pool.run(
      {
        location: slow,
        stallMs: 60_000,
        place: { kind: 'memory', bytes: new SharedArrayBuffer(BODY.length) },
        at: 0,
        crcs: [],
      },
      {
        signal: stop.signal,
        onBytes: () => {
          stop.abort();
        },
      },
    );
    const { error, bytes } = await outcome;
    assert.ok(error instanceof Error);
    assert.ok(bytes > 0 && bytes <= MIB);
  });

  test('come back as failures when their thread ends, and no more are taken', async (t) => {
    const { slow } = await serve(t);
    const pool = threads(t);
    // A place that is no place: what the thread throws outside of an errand ends it.
    const broken = { kind: 'memory', bytes: undefined } as unknown as Errand['place'];
    const watch = { signal: forever, onBytes: () => undefined };
    const { outcome } = pool.run(
      { location: slow, stallMs: 5000, place: broken, at: 0, crcs: [] },
      watch,
    );
    const { error } = await outcome;
    assert.ok(error instanceof Error);
  });

  test('do not keep the process alive once they are done', async (t) => {
    const { location } = await serve(t);
    const source = new URL('../../src/transfer/threads.ts', import.meta.url).href;
    const script = `
      import { createThreads } from ${JSON.stringify(source)};
      const pool = createThreads(() => 1, { env: {}, policy: 'default' });
      const bytes = new SharedArrayBuffer(${String(BODY.length)});
      const errand = { location: ${JSON.stringify(location)}, stallMs: 5000, place: { kind: 'memory', bytes }, at: 0, crcs: [] };
      const watch = { signal: new AbortController().signal, onBytes() {} };
      const { bytes: count } = await pool.run(errand, watch).outcome;
      console.log(count);`;
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ['--input-type=module', '--eval', script],
      { timeout: 20_000 },
    );
    assert.equal(stdout.trim(), String(BODY.length));
  });
});
