/** Exactly these bytes, whatever it takes: retries, resumes at the byte reached, fresh locations, the right lane. */
import { ModelFetchError } from '../errors.ts';
import type { Reporter } from '../events.ts';
import { retryAfterMs } from '../retry-after.ts';
import type { HashThread } from '../verify/hash-thread.ts';
import type { ByteRange, Digest, Location } from '../fetcher.ts';
import type { CrcAlgorithm } from '../verify/crc.ts';
import { attempt, type Progress } from './attempt.ts';
import { Enough, type Place } from './errand.ts';
import { RangeIgnored, Refusal, type Lane } from './lane.ts';
import type { FileMark } from './part-file.ts';
import type { RateLimit } from './rate.ts';
import { readStream } from './read-stream.ts';
import { connectionCut, Patience, pause, type RetryPolicy } from './retry.ts';
import type { Slots } from './slots.ts';
import type { Source } from './source.ts';
import type { Steering } from './steering.ts';
import type { Stretch } from './stretch.ts';
import type { Threads } from './threads.ts';

/** What every read of a run shares. */
export interface Transfer {
  readonly fast: Lane;
  readonly slow: Lane;
  readonly slots: Slots;
  readonly steering: Steering;
  /** The most requests there may ever be at a time: as many files and ranges are begun. */
  readonly most: number;
  /** How many pieces, of 4 MiB, of a body that is wanted in order may be in memory at a time. */
  readonly ahead: number;
  readonly retry: RetryPolicy;
  readonly stallMs: number;
  readonly rate: RateLimit | undefined;
  readonly hashing: HashThread;
  /** Where large bodies go, when there is more than one core. */
  readonly threads: Threads | undefined;
  /** Files are made durable before they count as whole. */
  readonly sync: boolean;
  readonly report: Reporter;
  readonly signal: AbortSignal;
}

export interface ReadRequest {
  /** Absent: the whole, by a plain GET, whose answer may carry digests and a length we did not know. */
  readonly range?: ByteRange | Stretch;
  /** Told what an answer that begins at the first byte says of the whole. */
  readonly onDigests?: (digests: readonly Digest[]) => void;
  readonly sink: (chunk: Uint8Array) => void | Promise<void>;
  /** What the sink does, in a form that a thread can take over. */
  readonly errand?: SentOut;
  /** The source can only be read from its start again: forget what came. Absent: such a break is final. */
  readonly restart?: () => void;
}

/** A body that need not come by the sink: it goes to `place` directly, and `took` is told what did. */
export interface SentOut {
  readonly place: Place;
  /** Where in the place the first byte of the read goes. */
  readonly at: number;
  readonly crcs: readonly CrcAlgorithm[];
  readonly took: (
    bytes: number,
    crcs: ReadonlyMap<CrcAlgorithm, bigint>,
    mark: FileMark | undefined,
  ) => void;
  /** So many bytes since the last `took` lie in the place already; `took` will tell of them too. */
  readonly reached?: (bytes: number, crcs: ReadonlyMap<CrcAlgorithm, bigint>) => void;
}

const RETRYABLE_STATUS: ReadonlySet<number> = new Set([408, 425, 429, 500, 502, 503, 504]);

/** Hands the bytes of `source` to the sink, in order. Throws `RangeIgnored` when parts cannot be had there. */
export async function read(
  transfer: Transfer,
  source: Source,
  request: ReadRequest,
): Promise<void> {
  const patience = new Patience(transfer.retry);
  const progress: Progress = { at: request.range?.start ?? 0, slowOnly: false };
  let resumable = request.range !== undefined || canResume(source);
  let furthest = progress.at;
  for (;;) {
    transfer.signal.throwIfAborted();
    let location: Location | undefined;
    try {
      location = await source.location();
      if (location.kind === 'http') await attempt(transfer, source, location, request, progress);
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
      if (error instanceof Enough) return;
      // What came before a restart and comes again is no progress.
      if (progress.at > furthest) {
        furthest = progress.at;
        patience.progressed();
        source.works();
        if (connectionCut(error)) transfer.steering.cut();
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
