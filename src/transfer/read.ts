/** Exactly these bytes, whatever it takes: retries, resumes at the byte reached, fresh locations, the right lane. */
import { ModelFetchError } from '../errors.ts';
import type { Reporter } from '../events.ts';
import { retryAfterMs } from '../retry-after.ts';
import type { HashThread } from '../verify/hash-thread.ts';
import type { ByteRange, HttpLocation, Location, StreamLocation } from '../fetcher.ts';
import { NotForFastLane, RangeIgnored, Refusal, type Head, type Lane } from './lane.ts';
import type { RateLimit } from './rate.ts';
import { Patience, pause, type RetryPolicy } from './retry.ts';
import type { Slots } from './slots.ts';
import type { Source } from './source.ts';
import type { Steering } from './steering.ts';

/** What every read of a run shares. */
export interface Transfer {
  readonly fast: Lane;
  readonly slow: Lane;
  readonly slots: Slots;
  readonly steering: Steering;
  /** The most requests there may ever be at a time: as many files and ranges are begun. */
  readonly most: number;
  readonly retry: RetryPolicy;
  readonly stallMs: number;
  readonly rate: RateLimit | undefined;
  readonly hashing: HashThread;
  /** Files are made durable before they count as whole. */
  readonly sync: boolean;
  readonly report: Reporter;
  readonly signal: AbortSignal;
}

export interface ReadRequest {
  /** Absent: the whole, by a plain GET, whose answer may carry digests and a length we did not know. */
  readonly range?: ByteRange;
  readonly onHead?: (head: Head) => void;
  readonly sink: (chunk: Uint8Array) => void | Promise<void>;
  /** The source can only be read from its start again: forget what came. Absent: such a break is final. */
  readonly restart?: () => void;
}

const RETRYABLE_STATUS: ReadonlySet<number> = new Set([408, 425, 429, 500, 502, 503, 504]);

/** Hands the bytes of `source` to the sink, in order. Throws `RangeIgnored` when parts cannot be had there. */
export async function read(
  transfer: Transfer,
  source: Source,
  request: ReadRequest,
): Promise<void> {
  const patience = new Patience(transfer.retry);
  const progress = { at: request.range?.start ?? 0 };
  const slowOnly = { value: false };
  let resumable = request.range !== undefined || canResume(source);
  let furthest = progress.at;
  for (;;) {
    transfer.signal.throwIfAborted();
    let location: Location | undefined;
    try {
      location = await source.location();
      if (location.kind === 'http')
        await attempt(transfer, source, location, request, progress, slowOnly);
      else if (location.kind === 'stream')
        await readStream(transfer, source, location, request, progress);
      else
        throw new ModelFetchError('INTERNAL', 'a local file is copied, not read', {
          path: source.entry.path,
        });
      source.works();
      return;
    } catch (error) {
      transfer.signal.throwIfAborted();
      // What came before a restart and comes again is no progress.
      if (progress.at > furthest) {
        furthest = progress.at;
        patience.progressed();
        source.works();
      }
      if (error instanceof RangeIgnored && !request.range) resumable = false;
      const failure = await asFailure(transfer, error, source, location, request);
      if (!failure) continue;
      const inMs = patience.after(failure);
      if (!resumable) rewind(transfer, source, request, progress, failure);
      transfer.report({
        type: 'retry',
        path: source.entry.path,
        at: progress.at,
        inMs,
        attempt: patience.failures,
        code: failure.code,
        message: failure.message,
      });
      await pause(inMs, transfer.signal);
    }
  }
}

/** One exchange on the lane that can do it. */
async function attempt(
  transfer: Transfer,
  source: Source,
  location: HttpLocation,
  request: ReadRequest,
  progress: { at: number },
  slowOnly: { value: boolean },
): Promise<void> {
  const { size } = source.entry;
  const end = request.range?.end ?? size;
  const resumed = !request.range && progress.at > 0;
  if (end !== undefined && progress.at === end && (resumed || request.range)) return;
  const range = request.range
    ? { start: progress.at, end: request.range.end }
    : resumed
      ? { start: progress.at, end: size! }
      : undefined;
  const job = {
    location,
    ...(range && { range }),
    ...(size !== undefined && { size }),
    ...(request.onHead && !resumed && { onHead: request.onHead }),
    sink: (chunk: Uint8Array): void | Promise<void> => {
      progress.at += chunk.length;
      transfer.steering.bytes(chunk.length);
      transfer.report({ type: 'progress', path: source.entry.path, bytes: chunk.length });
      return held(transfer, request.sink(chunk), chunk.length);
    },
    signal: transfer.signal,
    stallMs: transfer.stallMs,
  };
  await transfer.slots.run(async () => {
    try {
      if (!slowOnly.value) return await transfer.fast(job);
    } catch (error) {
      if (!(error instanceof NotForFastLane)) throw error;
      slowOnly.value = true;
    }
    return transfer.slow(job);
  });
  transfer.steering.request();
}

/** The sink's own wait, and the rate limit's. */
function held(transfer: Transfer, sunk: void | Promise<void>, bytes: number): void | Promise<void> {
  const ms = transfer.rate?.charge(bytes) ?? 0;
  if (ms < 1) return sunk;
  return Promise.all([sunk, pause(ms, transfer.signal)]).then(() => undefined);
}

/** Undefined: a fresh location is there, try at once. Else the error to be patient about. */
async function asFailure(
  transfer: Transfer,
  error: unknown,
  source: Source,
  location: Location | undefined,
  request: ReadRequest,
): Promise<ModelFetchError | undefined> {
  if (error instanceof Refusal) {
    const { status, headers } = error.head;
    const { path } = source.entry;
    if (RETRYABLE_STATUS.has(status)) {
      if (status === 429 || status === 503) transfer.steering.pushBack();
      const after = retryAfterMs(headers['retry-after']);
      return new ModelFetchError('UNAVAILABLE', `the server answered ${String(status)}`, {
        path,
        uri: source.fetcher.uri,
        ...(after !== undefined && { retryAfterMs: after }),
      });
    }
    if (status === 416 || status === 412)
      throw new ModelFetchError(
        'SOURCE_CHANGED',
        `${path} changed while it was read (HTTP ${String(status)})`,
        {
          path,
          uri: source.fetcher.uri,
          hint: 'Run again once the upload has finished, or pin a version.',
        },
      );
    if (location?.kind === 'http') await source.refused(location, error);
    return undefined;
  }
  if (error instanceof RangeIgnored && !request.range)
    return new ModelFetchError(
      'TRUNCATED',
      `${source.entry.path} broke off, and its server cannot go on in the middle`,
      { path: source.entry.path, uri: source.fetcher.uri, cause: error },
    );
  if (error instanceof ModelFetchError) return error;
  throw error;
}

/** Whether a plain GET that broke half-way can go on where it stopped. */
function canResume({ entry }: Source): boolean {
  return entry.size !== undefined && entry.ranges !== false;
}

/** A body that broke half-way and cannot go on starts anew, if whoever reads it can. */
function rewind(
  transfer: Transfer,
  source: Source,
  request: ReadRequest,
  progress: { at: number },
  failure: ModelFetchError,
): void {
  const { entry } = source;
  if (progress.at === 0) return;
  if (!request.restart) throw failure;
  request.restart();
  transfer.report({ type: 'progress', path: entry.path, bytes: -progress.at });
  progress.at = 0;
}

/** Bytes only the fetcher can produce, under our clock and count: the source is trusted with neither. */
async function readStream(
  transfer: Transfer,
  source: Source,
  location: StreamLocation,
  request: ReadRequest,
  progress: { at: number },
): Promise<void> {
  const { entry } = source;
  const end = request.range?.end ?? entry.size;
  const from = progress.at;
  const bytes = await location.open(
    end !== undefined && (request.range || from > 0) ? { start: from, end } : undefined,
  );
  const iterator = bytes[Symbol.asyncIterator]();
  try {
    for (;;) {
      const step = await withinStall(iterator.next(), transfer);
      if (step.done === true) break;
      const { value } = step;
      if (end !== undefined && progress.at + value.length > end)
        throw new ModelFetchError('BAD_RESPONSE', `${entry.path}: more bytes than asked for`, {
          path: entry.path,
        });
      progress.at += value.length;
      transfer.report({ type: 'progress', path: entry.path, bytes: value.length });
      await held(transfer, request.sink(value), value.length);
    }
  } catch (error) {
    // What a source throws half-way is the network's doing, unless it says otherwise.
    if (error instanceof ModelFetchError) throw error;
    throw new ModelFetchError('UNAVAILABLE', `${entry.path} broke off`, {
      path: entry.path,
      cause: error,
    });
  } finally {
    // Not awaited: a source that hangs may never let go.
    void Promise.resolve(iterator.return?.()).catch(() => undefined);
  }
  if (end !== undefined && progress.at < end)
    throw new ModelFetchError(
      'TRUNCATED',
      `${entry.path} ended at byte ${String(progress.at)} of ${String(end)}`,
      { path: entry.path },
    );
}

async function withinStall<T>(promise: Promise<T>, transfer: Transfer): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  let abort: (() => void) | undefined;
  const guard = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new ModelFetchError('STALLED', `no byte for ${String(transfer.stallMs / 1000)} s`));
    }, transfer.stallMs);
    abort = () => {
      reject(transfer.signal.reason as Error);
    };
    transfer.signal.addEventListener('abort', abort, { once: true });
  });
  try {
    return await Promise.race([promise, guard]);
  } finally {
    clearTimeout(timer);
    if (abort) transfer.signal.removeEventListener('abort', abort);
  }
}
