/** Both lanes, one suite: whatever a server says, the right bytes or a typed error. */
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { ModelFetchError } from '../../src/errors.ts';
import type { ByteRange, HttpLocation } from '../../src/fetcher.ts';
import { createSlowLane } from '../../src/http/slow-lane.ts';
import { createNetwork } from '../../src/net/create-network.ts';
import { createFastLane } from '../../src/transfer/fast-lane.ts';
import { NotForFastLane, Refusal, type Head, type Lane } from '../../src/transfer/lane.ts';
import { createThreads } from '../../src/transfer/threads.ts';
import { certificatePath, serverCertificate } from '../support/certs.ts';
import { startAlerting, startRaw, type RawRequest } from '../servers/raw.ts';
import type { Socket } from 'node:net';

const BODY = Buffer.from(Array.from({ length: 1000 }, (_, i) => (i * 7) % 251));
const RANGE: ByteRange = { start: 100, end: 300 };
const PART = BODY.subarray(100, 300);
const PARTIAL = `HTTP/1.1 206 Partial Content\r\ncontent-length: 200\r\ncontent-range: bytes 100-299/1000\r\netag: "v1"\r\n\r\n`;
const WHOLE = `HTTP/1.1 200 OK\r\ncontent-length: 1000\r\netag: "v1"\r\n\r\n`;

interface Outcome {
  bytes: Buffer;
  head?: Head;
  error?: unknown;
}

interface Options {
  range?: ByteRange;
  size?: number;
  stallMs?: number;
  signal?: AbortSignal;
  location?: Partial<HttpLocation>;
  sink?: (chunk: Uint8Array) => void | Promise<void>;
  repeat?: number;
  /** Milliseconds between repetitions. */
  pauseMs?: number;
  secure?: boolean;
  /** A fatal alert comes in the clear: instead of the handshake (0), or this many requests and a moment later. */
  alertAfter?: 0 | 1;
}

const LANES = ['fast', 'slow', 'threaded'] as const;

/** One pool for all: its connections end with their servers. */
const threads = createThreads(() => 1, { env: {}, policy: 'default' });
after(() => threads.close());

/** The fast lane on a thread, seen as a lane: the body goes to shared memory, and from there to the sink. */
const threadedLane: Lane = async ({ location, range, size, sink, signal, stallMs }) => {
  const bytes = new SharedArrayBuffer(4096);
  let counted = 0;
  const { outcome } = threads.run(
    {
      location,
      ...(range && { range }),
      ...(size !== undefined && { size }),
      stallMs,
      place: { kind: 'memory', bytes },
      at: 0,
      crcs: [],
    },
    {
      signal,
      onBytes: (count) => {
        counted += count;
      },
    },
  );
  const ended = await outcome;
  assert.equal(counted, ended.bytes);
  if (ended.bytes > 0) await sink(new Uint8Array(bytes, 0, ended.bytes));
  signal.throwIfAborted();
  if ('error' in ended) throw ended.error;
  return { status: range ? 206 : 200, headers: {} };
};

/** Runs one exchange against a server that answers with `script`. */
async function exchange(
  which: (typeof LANES)[number],
  script: (request: RawRequest, socket: Socket) => void | Promise<void>,
  options: Options = {},
): Promise<Outcome & { requests: RawRequest[]; openAfter: number }> {
  await using server = await startRaw(script, options.secure ? serverCertificate() : undefined);
  await using alerting =
    options.alertAfter === undefined ? undefined : await startAlerting(server, options.alertAfter);
  const network = createNetwork({ env: {}, policy: 'default' });
  const fast = createFastLane({ network });
  const lane: Lane = {
    fast: fast.lane,
    slow: createSlowLane({ network }),
    threaded: threadedLane,
  }[which];
  let outcome: Outcome = { bytes: Buffer.alloc(0) };
  try {
    for (let i = 0; i < (options.repeat ?? 1); i++) {
      const parts: Buffer[] = [];
      outcome = { bytes: Buffer.alloc(0) };
      try {
        outcome.head = await lane({
          location: {
            kind: 'http',
            url: `${(alerting ?? server).url}/model`,
            headers: {},
            pin: { response: { etag: '"v1"' } },
            ...(options.secure && { transport: { ca: certificatePath('ca') } }),
            ...options.location,
          },
          ...(options.range && { range: options.range }),
          ...(options.size !== undefined && { size: options.size }),
          sink:
            options.sink ??
            ((chunk) => {
              parts.push(Buffer.from(chunk));
            }),
          signal: options.signal ?? new AbortController().signal,
          stallMs: options.stallMs ?? 2000,
        });
      } catch (error) {
        outcome.error = error;
      }
      outcome.bytes = Buffer.concat(parts);
      if (options.pauseMs !== undefined)
        await new Promise((resolve) => setTimeout(resolve, options.pauseMs));
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
    return { ...outcome, requests: server.requests, openAfter: server.open.size };
  } finally {
    fast.close();
    network.close();
  }
}

function code(error: unknown): string {
  return error instanceof ModelFetchError
    ? error.code
    : error instanceof Error
      ? error.name
      : String(error);
}

for (const lane of LANES) {
  describe(`${lane} lane`, () => {
    const WITH_SINK = {
      skip: lane === 'threaded' && 'what a thread writes to never makes it wait',
    };

    test('takes exactly the range asked for', async () => {
      const { bytes, error, requests } = await exchange(
        lane,
        (_, s) => void s.write(Buffer.concat([Buffer.from(PARTIAL), PART])),
        { range: RANGE, size: 1000 },
      );
      assert.equal(error, undefined);
      assert.deepEqual(bytes, PART);
      assert.equal(requests[0]!.header('range'), 'bytes=100-299');
      assert.equal(requests[0]!.header('accept-encoding'), 'identity');
    });

    test('takes a whole answer, and an empty one', async () => {
      const whole = await exchange(
        lane,
        (_, s) => void s.write(Buffer.concat([Buffer.from(WHOLE), BODY])),
        { size: 1000 },
      );
      assert.deepEqual(whole.bytes, BODY);
      const empty = await exchange(
        lane,
        (_, s) => void s.write('HTTP/1.1 200 OK\r\ncontent-length: 0\r\netag: "v1"\r\n\r\n'),
        { size: 0 },
      );
      assert.equal(empty.error, undefined);
      assert.equal(empty.bytes.length, 0);
    });

    test('reads an answer that is split at every byte', async () => {
      const answer = Buffer.concat([Buffer.from(PARTIAL), PART]);
      for (let at = 1; at < answer.length; at += at < PARTIAL.length + 3 ? 1 : 37) {
        const { bytes, error } = await exchange(
          lane,
          async (_, s) => {
            s.setNoDelay(true);
            s.write(answer.subarray(0, at));
            await new Promise((resolve) => setTimeout(resolve, 1));
            s.write(answer.subarray(at));
          },
          { range: RANGE, size: 1000 },
        );
        assert.equal(error, undefined, `split at ${String(at)}`);
        assert.deepEqual(bytes, PART, `split at ${String(at)}`);
      }
    });

    test('keeps the connection for the next request', async () => {
      const sockets = new Set<Socket>();
      await exchange(
        lane,
        (_, s) => {
          sockets.add(s);
          s.write(Buffer.concat([Buffer.from(PARTIAL), PART]));
        },
        { range: RANGE, repeat: 5 },
      );
      assert.equal(sockets.size, 1);
    });

    test('goes again when a kept connection was closed in the meantime', async () => {
      const { bytes, error } = await exchange(
        lane,
        (request, s) => {
          if (request.index === 1) s.destroy();
          else s.write(Buffer.concat([Buffer.from(PARTIAL), PART]));
        },
        { range: RANGE, repeat: 2 },
      );
      // The slow lane leaves the second try to the engine's retry.
      if (lane === 'fast') assert.deepEqual(bytes, PART);
      else assert.ok(error === undefined || code(error) === 'UNAVAILABLE');
    });

    test('passes over interim answers', async () => {
      const { bytes } = await exchange(
        lane,
        (_, s) =>
          void s.write(
            Buffer.concat([
              Buffer.from('HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n' + PARTIAL),
              PART,
            ]),
          ),
        { range: RANGE },
      );
      assert.deepEqual(bytes, PART);
    });

    test('takes a 200 that says by Content-Range that it is the part', async () => {
      const { bytes, error } = await exchange(
        lane,
        (_, s) =>
          void s.write(
            Buffer.concat([Buffer.from(PARTIAL.replace('206 Partial Content', '200 OK')), PART]),
          ),
        { range: RANGE, size: 1000 },
      );
      assert.equal(error, undefined);
      assert.deepEqual(bytes, PART);
    });

    const refused: Record<string, [string, string]> = {
      'a wrong Content-Range': [PARTIAL.replace('100-299', '0-199'), 'BAD_RESPONSE'],
      'a range of another size': [PARTIAL.replace('100-299', '100-298'), 'BAD_RESPONSE'],
      'a 206 without Content-Range': [
        PARTIAL.replace(/content-range: [^\r]*\r\n/, ''),
        'BAD_RESPONSE',
      ],
      'a total that is not the size': [PARTIAL.replace('/1000', '/1001'), 'SOURCE_CHANGED'],
      'another ETag': [PARTIAL.replace('"v1"', '"v2"'), 'SOURCE_CHANGED'],
      'a missing ETag': [PARTIAL.replace('etag: "v1"\r\n', ''), 'BAD_RESPONSE'],
      'a content coding': [
        PARTIAL.replace('etag', 'content-encoding: gzip\r\netag'),
        'BAD_RESPONSE',
      ],
      'a whole although a part was asked for': [WHOLE, 'RangeIgnored'],
    };
    for (const [what, [head, expected]] of Object.entries(refused)) {
      test(`refuses ${what}, before a byte reaches the sink`, async () => {
        const { bytes, error } = await exchange(
          lane,
          (_, s) => void s.write(Buffer.concat([Buffer.from(head), PART])),
          { range: RANGE, size: 1000 },
        );
        assert.equal(code(error), expected);
        assert.equal(bytes.length, 0);
      });
    }

    test('takes what is labelled as encoded where that is how it is stored', async () => {
      const { bytes, error } = await exchange(
        lane,
        (_, s) =>
          void s.write(
            Buffer.concat([
              Buffer.from(PARTIAL.replace('etag', 'content-encoding: gzip\r\netag')),
              PART,
            ]),
          ),
        { range: RANGE, size: 1000, location: { stored: true } },
      );
      assert.equal(error, undefined);
      assert.deepEqual(bytes, PART);
    });

    test('refuses a whole of another length', async () => {
      const { error } = await exchange(
        lane,
        (_, s) => void s.write(Buffer.concat([Buffer.from(WHOLE.replace('1000', '999')), BODY])),
        { size: 1000 },
      );
      assert.equal(code(error), 'SOURCE_CHANGED');
    });

    for (const how of ['end', 'destroy', 'reset'] as const) {
      test(`tells a body cut short by ${how}, after handing over what came`, async () => {
        const { bytes, error } = await exchange(
          lane,
          async (_, s) => {
            s.write(Buffer.concat([Buffer.from(PARTIAL), PART.subarray(0, 50)]));
            await new Promise((resolve) => setTimeout(resolve, 20));
            if (how === 'end') s.end();
            else if (how === 'destroy') s.destroy();
            else s.resetAndDestroy();
          },
          { range: RANGE },
        );
        assert.ok(['TRUNCATED', 'UNAVAILABLE'].includes(code(error)), code(error));
        assert.ok(bytes.length === 50 || how === 'reset', `${String(bytes.length)} bytes`);
        assert.deepEqual(bytes, PART.subarray(0, bytes.length));
      });
    }

    test('tells a server that hangs up without an answer', async () => {
      const { error } = await exchange(lane, (_, s) => void s.end(), { range: RANGE });
      assert.equal(code(error), 'UNAVAILABLE');
      assert.ok((error as ModelFetchError).retryable);
    });

    test('gives up on silence, before and within the body', async () => {
      const before = await exchange(lane, () => undefined, { range: RANGE, stallMs: 500 });
      assert.equal(code(before.error), 'STALLED');
      const within = await exchange(
        lane,
        (_, s) => void s.write(Buffer.concat([Buffer.from(PARTIAL), PART.subarray(0, 50)])),
        { range: RANGE, stallMs: 500 },
      );
      assert.equal(code(within.error), 'STALLED');
      assert.deepEqual(within.bytes, PART.subarray(0, 50));
    });

    test('hands a refusal to the caller, body and all', async () => {
      const { error } = await exchange(
        lane,
        (_, s) =>
          void s.write('HTTP/1.1 403 Forbidden\r\ncontent-length: 6\r\nx-why: a\r\n\r\ndenied'),
        { range: RANGE },
      );
      assert.ok(error instanceof Refusal);
      assert.equal(error.head.status, 403);
      assert.equal(error.head.headers['x-why'], 'a');
      assert.equal(error.body, 'denied');
      const beyond = await exchange(
        lane,
        (_, s) =>
          void s.write(
            'HTTP/1.1 416 Range Not Satisfiable\r\ncontent-range: bytes */50\r\ncontent-length: 0\r\n\r\n',
          ),
        { range: RANGE },
      );
      assert.ok(beyond.error instanceof Refusal);
      assert.equal(beyond.error.head.status, 416);
    });

    test('does not follow redirects', async () => {
      const { error, requests } = await exchange(
        lane,
        (_, s) =>
          void s.write(
            'HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n',
          ),
        { range: RANGE },
      );
      assert.ok(error instanceof Refusal);
      assert.equal(requests.length, 1);
    });

    test('refuses more bytes than announced', async () => {
      const { error } = await exchange(
        lane,
        (_, s) => void s.end(Buffer.concat([Buffer.from(PARTIAL), PART, Buffer.from('surplus')])),
        { range: RANGE },
      );
      // Bytes after the body belong to no answer: the fast lane sees them, an HTTP parser may have stopped reading.
      if (lane === 'fast') assert.equal(code(error), 'BAD_RESPONSE');
    });

    test('drops a connection on which bytes come that nobody asked for', async () => {
      const forged = Buffer.concat([Buffer.from(PARTIAL), Buffer.alloc(PART.length, 'x')]);
      const sockets = new Set<Socket>();
      const { bytes, error } = await exchange(
        lane,
        (request, s) => {
          sockets.add(s);
          s.write(Buffer.concat([Buffer.from(PARTIAL), PART]));
          if (request.index === 0) setTimeout(() => s.write(forged), 50);
        },
        { range: RANGE, repeat: 2, pauseMs: 200 },
      );
      assert.equal(error, undefined);
      assert.deepEqual(bytes, PART);
      assert.equal(sockets.size, 2);
    });

    test('tells a TLS alert, instead of a handshake and within a body', async () => {
      const { error: refused } = await exchange(lane, () => undefined, {
        range: RANGE,
        secure: true,
        alertAfter: 0,
      });
      assert.equal(code(refused), 'UNAVAILABLE');
      const within = await exchange(
        lane,
        (_, s) => void s.write(Buffer.concat([Buffer.from(PARTIAL), PART.subarray(0, 50)])),
        { range: RANGE, secure: true, alertAfter: 1 },
      );
      assert.ok(['TRUNCATED', 'UNAVAILABLE'].includes(code(within.error)), code(within.error));
      assert.ok((within.error as ModelFetchError).retryable);
      assert.deepEqual(within.bytes, PART.subarray(0, within.bytes.length));
    });

    for (const secure of [false, true])
      test(
        `waits for the sink, and for nothing else meanwhile${secure ? ', over TLS' : ''}`,
        WITH_SINK,
        async () => {
          const body = Buffer.from(
            Uint32Array.from({ length: 512 * 1024 }, (_, i) => (i * 2654435761) >>> 0).buffer,
          );
          const handler = (_: RawRequest, socket: Socket): void => {
            socket.write(
              Buffer.concat([
                Buffer.from(
                  `HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\netag: "v1"\r\n\r\n`,
                ),
                body,
              ]),
            );
          };
          const received: Buffer[] = [];
          let busy = 0;
          const { error } = await exchange(lane, handler, {
            secure,
            stallMs: 500,
            sink: async (chunk) => {
              assert.equal(++busy, 1, 'one chunk at a time');
              const before = Buffer.from(chunk);
              // Longer than the stall timeout: silence that we cause ourselves is no stall.
              await new Promise((resolve) => setTimeout(resolve, received.length === 0 ? 1200 : 2));
              assert.ok(before.equals(chunk), 'the chunk stays as it is until its promise settles');
              received.push(before);
              busy--;
            },
          });
          assert.equal(error, undefined);
          assert.ok(Buffer.concat(received).equals(body));
        },
      );

    test('ends when the sink throws, with its error', async () => {
      for (const sink of [
        () => {
          throw new RangeError('disk');
        },
        async () => {
          throw new RangeError('disk');
        },
      ]) {
        const { error } = await exchange(
          lane,
          (_, s) => void s.write(Buffer.concat([Buffer.from(PARTIAL), PART])),
          { range: RANGE, sink },
        );
        assert.ok(error instanceof RangeError, code(error));
      }
    });

    test('stops at once when aborted, and closes the connection', async () => {
      const controller = new AbortController();
      setTimeout(() => {
        controller.abort(new ModelFetchError('ABORTED', 'enough'));
      }, 50);
      const started = Date.now();
      const { error, openAfter } = await exchange(lane, (_, s) => void s.write(PARTIAL), {
        range: RANGE,
        signal: controller.signal,
        stallMs: 5000,
      });
      assert.equal(code(error), 'ABORTED');
      assert.ok(Date.now() - started < 1000);
      assert.equal(openAfter, 0);
    });

    test('asks WebHDFS for a part by offset and length, which has no Content-Range', async () => {
      const { bytes, requests, error } = await exchange(
        lane,
        (_, s) =>
          void s.write(
            Buffer.concat([Buffer.from('HTTP/1.1 200 OK\r\ncontent-length: 200\r\n\r\n'), PART]),
          ),
        { range: RANGE, size: 1000, location: { range: 'offset-length', pin: {} } },
      );
      assert.equal(error, undefined);
      assert.deepEqual(bytes, PART);
      assert.match(requests[0]!.lines[0]!, /offset=100&length=200/);
      assert.equal(requests[0]!.header('range'), undefined);
    });
  });
}

describe('what the fast lane leaves to the slow one', () => {
  const chunked = `HTTP/1.1 206 Partial Content\r\ntransfer-encoding: chunked\r\ncontent-range: bytes 100-299/1000\r\netag: "v1"\r\n\r\nc8\r\n`;
  const odd: Record<string, [Buffer, boolean]> = {
    'a chunked body': [
      Buffer.concat([Buffer.from(chunked), PART, Buffer.from('\r\n0\r\n\r\n')]),
      true,
    ],
    'a body ended by close, of the right length': [
      Buffer.concat([Buffer.from(PARTIAL.replace(/content-length: [^\r]*\r\n/, '')), PART]),
      true,
    ],
    'two lengths': [
      Buffer.concat([Buffer.from(PARTIAL.replace('etag', 'content-length: 200\r\netag')), PART]),
      false,
    ],
    'HTTP/1.0': [Buffer.concat([Buffer.from(PARTIAL.replace('HTTP/1.1', 'HTTP/1.0')), PART]), true],
    'a folded header': [
      Buffer.concat([Buffer.from(PARTIAL.replace('etag', 'x-a: b\r\n c\r\netag')), PART]),
      false,
    ],
    'a flood of headers': [
      Buffer.concat([
        Buffer.from(
          PARTIAL.replace('etag', `${'x-a: '.concat('b'.repeat(60), '\r\n').repeat(1000)}etag`),
        ),
        PART,
      ]),
      false,
    ],
    garbage: [Buffer.from('hello\r\n\r\n'), false],
  };
  for (const [what, [answer, good]] of Object.entries(odd)) {
    test(what, async () => {
      const fast = await exchange('fast', (_, s) => void s.end(answer), {
        range: RANGE,
        size: 1000,
      });
      assert.ok(fast.error instanceof NotForFastLane, code(fast.error));
      assert.equal(fast.bytes.length, 0);
      const slow = await exchange('slow', (_, s) => void s.end(answer), {
        range: RANGE,
        size: 1000,
      });
      if (good) {
        assert.equal(slow.error, undefined);
        assert.deepEqual(slow.bytes, PART);
      } else assert.ok(slow.error !== undefined || slow.bytes.equals(PART));
    });
  }

  test('a chunked body that breaks off is never taken for whole', async () => {
    const { error } = await exchange(
      'slow',
      (_, s) => void s.end(Buffer.concat([Buffer.from(chunked), PART.subarray(0, 50)])),
      { range: RANGE },
    );
    assert.ok(error instanceof ModelFetchError && error.retryable, code(error));
  });

  test('a whole of unknown length that ends by close proves nothing', async () => {
    const { error } = await exchange(
      'slow',
      (_, s) =>
        void s.end(Buffer.concat([Buffer.from('HTTP/1.1 200 OK\r\netag: "v1"\r\n\r\n'), BODY])),
    );
    assert.equal(code(error), 'BAD_RESPONSE');
  });
});
