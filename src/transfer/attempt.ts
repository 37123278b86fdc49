/** One exchange of a read, on the lane that can do it, here or on a thread. */
import type { HttpLocation } from '../fetcher.ts';
import { digestsOf } from '../verify/learn.ts';
import { Leash } from './errand.ts';
import { NotForFastLane, type Lane, type LaneJob } from './lane.ts';
import { held } from './rate.ts';
import type { ReadRequest, SentOut, Transfer } from './read.ts';
import type { Source } from './source.ts';
import { Stretch, type Shorten } from './stretch.ts';
import type { Threads } from './threads.ts';

/** Bytes of a file whose request is a short one. */
const SHORT = 1024 * 1024;

/** Where a read is: the byte that comes next, and whether the fast lane has refused it. */
export interface Progress {
  at: number;
  slowOnly: boolean;
}

/** Reads on from `progress.at`. Throws what the lanes throw, and `Enough` when the rest was taken over. */
export async function attempt(
  transfer: Transfer,
  source: Source,
  location: HttpLocation,
  request: ReadRequest,
  progress: Progress,
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
  const { onDigests, errand } = request;
  const job: Job = {
    location,
    range,
    size,
    onHead:
      resumed || !onDigests
        ? undefined
        : ({ status, headers }) => {
            onDigests(digestsOf(headers, status === 200));
          },
    signal: transfer.signal,
    stallMs: transfer.stallMs,
  };
  const { threads } = transfer;
  const left = (end ?? 0) - progress.at;
  const short = size !== undefined && size < SHORT;
  const waiting = transfer.slots.enter(short, source.entry);
  if (waiting) await waiting;
  const began = performance.now();
  const from = progress.at;
  try {
    if (progress.slowOnly) await takeHere(transfer, transfer.slow, source, job, request, progress);
    else if (threads && errand && suits(errand, progress) && threads.worth(left))
      await sendOut(transfer, threads, source, job, errand, request, progress);
    else await takeHere(transfer, transfer.fast, source, job, request, progress);
  } catch (error) {
    if (!(error instanceof NotForFastLane)) throw error;
    progress.slowOnly = true;
    await takeHere(transfer, transfer.slow, source, job, request, progress);
  } finally {
    ends(request, progress.at);
    transfer.slots.leave(short);
  }
  transfer.steering.request(short, progress.at - from, performance.now() - began);
}

/** A new file is made in one go or not at all. */
function suits({ place }: SentOut, { at }: Progress): boolean {
  return place.kind !== 'new' || at === 0;
}

type Job = Omit<LaneJob, 'sink'>;

/** The body by the sink, on this thread. */
function takeHere(
  transfer: Transfer,
  lane: Lane,
  source: Source,
  job: Job,
  request: ReadRequest,
  progress: Progress,
): Promise<unknown> {
  const from = progress.at;
  const leash = new Leash(job.signal, (bytes) => {
    counted(transfer, source, request, bytes);
  });
  begins(request, from, (end) => leash.shorten(end - from));
  return lane({
    ...job,
    sink: (chunk) => {
      const part = leash.own(chunk);
      progress.at += part.length;
      const sunk = held(transfer, request.sink(part), part.length);
      leash.took(part.length);
      return sunk;
    },
  });
}

/** The body by a thread. What it brought counts before its error is thrown. */
async function sendOut(
  transfer: Transfer,
  threads: Threads,
  source: Source,
  job: Job,
  errand: SentOut,
  request: ReadRequest,
  progress: Progress,
): Promise<void> {
  const { location, range, size, stallMs, signal } = job;
  const { place, crcs } = errand;
  const from = progress.at;
  const running = threads.run(
    {
      location,
      range,
      size,
      stallMs,
      place,
      at: errand.at + from - (request.range?.start ?? 0),
      crcs,
    },
    {
      signal,
      onBytes: (bytes) => {
        counted(transfer, source, request, bytes);
      },
      ...(errand.reached && { onMark: errand.reached }),
    },
  );
  begins(request, from, (end) => running.shorten(end - from));
  const outcome = await running.outcome;
  if (job.onHead) request.onDigests?.(outcome.digests);
  progress.at += outcome.bytes;
  errand.took(outcome.bytes, outcome.crcs, outcome.mark);
  if ('error' in outcome) throw outcome.error;
}

function begins({ range }: ReadRequest, from: number, shorten: Shorten): void {
  if (range instanceof Stretch) range.begins(from, shorten);
}

function ends({ range }: ReadRequest, at: number): void {
  if (range instanceof Stretch) range.ends(at);
}

function counted(transfer: Transfer, source: Source, { range }: ReadRequest, bytes: number): void {
  if (range instanceof Stretch) range.reached += bytes;
  transfer.steering.bytes(bytes);
  transfer.report({ type: 'progress', path: source.entry.path, bytes });
}
