/** The bytes of an entry in order, fetched by parallel ranges, in bounded memory: what a tar stream is fed with. */
import type { ByteRange, Digest } from '../fetcher.ts';
import { linked } from '../linked.ts';
import { RangeIgnored } from './lane.ts';
import { read, type Transfer } from './read.ts';
import type { Source } from './source.ts';

/** Bytes a piece: with 30 to 100 ms to the first byte and some tens of MB/s a connection, most of the time is transfer. */
const PIECE = 4 * 1024 * 1024;
/** Chunks are valid until the next one is asked for. `onDigests` tells what answers said about the whole, if they did. */
export async function* inOrder(
  transfer: Transfer,
  source: Source,
  onDigests: (digests: readonly Digest[]) => void,
): AsyncGenerator<Uint8Array> {
  const { size, ranges } = source.entry;
  const location = await source.location();
  if (location.kind === 'http' && location.digests) onDigests(location.digests);
  if (size === undefined || ranges === false || size <= PIECE) {
    yield* onePass(transfer, source, onDigests);
    return;
  }
  let yielded = false;
  try {
    for await (const piece of byPieces(transfer, source, size)) {
      yielded = true;
      yield piece;
    }
  } catch (error) {
    if (!(error instanceof RangeIgnored) || yielded) throw error;
    yield* onePass(transfer, source, onDigests);
  }
}

async function* byPieces(
  transfer: Transfer,
  source: Source,
  size: number,
): AsyncGenerator<Uint8Array> {
  const stop = new AbortController();
  const own: Transfer = { ...transfer, signal: linked(transfer.signal, stop) };
  const free: Buffer<SharedArrayBuffer>[] = [];
  const queue: { buffer: Buffer<SharedArrayBuffer>; length: number; done: Promise<void> }[] = [];
  let next = 0;
  const startMore = (): void => {
    while (queue.length < transfer.ahead && next < size) {
      const range = { start: next, end: Math.min(next + PIECE, size) };
      next = range.end;
      const buffer = free.pop() ?? Buffer.from(new SharedArrayBuffer(PIECE));
      const done = fill(own, source, range, buffer);
      // Awaited in its turn; until then a failure is not unhandled.
      done.catch(() => undefined);
      queue.push({ buffer, length: range.end - range.start, done });
    }
  };
  try {
    startMore();
    while (queue.length > 0) {
      const { buffer, length, done } = queue.shift()!;
      await done;
      yield buffer.subarray(0, length);
      free.push(buffer);
      startMore();
    }
  } finally {
    stop.abort(new Error('the consumer needs no more'));
    await Promise.allSettled(queue.map(({ done }) => done));
  }
}

async function fill(
  transfer: Transfer,
  source: Source,
  range: ByteRange,
  buffer: Buffer<SharedArrayBuffer>,
): Promise<void> {
  let at = 0;
  await read(transfer, source, {
    range,
    sink: (chunk) => {
      buffer.set(chunk, at);
      at += chunk.length;
    },
    errand: {
      place: { kind: 'memory', bytes: buffer.buffer },
      at: 0,
      crcs: [],
      took: (bytes) => {
        at += bytes;
      },
    },
  });
}

/** One exchange, handed over chunk by chunk: the sink's promise holds the socket until the consumer has had its chunk. */
async function* onePass(
  transfer: Transfer,
  source: Source,
  onDigests: (digests: readonly Digest[]) => void,
): AsyncGenerator<Uint8Array> {
  const stop = new AbortController();
  const own: Transfer = { ...transfer, signal: linked(transfer.signal, stop) };
  let wake = (): void => undefined;
  let taken = (): void => undefined;
  let chunk: Uint8Array | undefined;
  let ended: { error?: unknown } | undefined;
  const reading = read(own, source, {
    onDigests,
    sink: (bytes) => {
      chunk = bytes;
      wake();
      return new Promise<void>((resolve) => {
        taken = resolve;
      });
    },
  }).then(
    () => {
      ended = {};
      wake();
    },
    (error: unknown) => {
      ended = { error };
      wake();
    },
  );
  try {
    for (;;) {
      if (!chunk && !ended)
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      if (chunk) {
        yield chunk;
        chunk = undefined;
        taken();
        continue;
      }
      if (ended && 'error' in ended) throw ended.error;
      if (ended) return;
    }
  } finally {
    stop.abort(new Error('the consumer needs no more'));
    taken();
    await reading;
  }
}
