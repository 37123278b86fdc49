/**
 * Threads that run errands, each with connections of its own: sockets, TLS, checksums and writes of large bodies then use
 * every core, and the main thread is free for what only it can do. Started as work comes, ended with the run.
 */
import type { EventLoopUtilization } from 'node:perf_hooks';
import type { Worker } from 'node:worker_threads';
import { ModelFetchError } from '../errors.ts';
import type { NetworkOptions } from '../net/create-connector.ts';
import { startThread } from '../start-thread.ts';
import type { CrcAlgorithm } from '../verify/crc.ts';
import type { Errand, Outcome } from './errand.ts';
import type { FromThread, ToThread } from './errand-worker.ts';
import { packErrand, unpackOutcome } from './errand-data.ts';

/** Errands a thread may have before another thread is started. */
const BUSY = 2;
/** Bytes of an errand for which a thread is started. */
const LARGE = 1024 * 1024;
/** Errands of fewer bytes, after which one is started all the same. */
const SMALL = 64;
/** Large errands that the main thread does itself while the first thread gets ready, which takes a tenth of a second. */
const MEANWHILE = 2;

export interface Threads {
  /** Whether an errand of so many bytes is for a thread. False also while none is ready, and when there are none to be had. */
  worth(bytes: number): boolean;
  /** Threads that write to files at present, and how long writes of all have taken so far, as they have told. */
  readonly writers: { readonly busy: number; readonly ms: number };
  /** How each thread's event loop has been used since it began. */
  readonly loops: readonly EventLoopUtilization[];
  /** Never rejects, and settles only when the errand's place is not touched any more. */
  run(errand: Errand, watch: Watch): Running;
  close(): Promise<void>;
}

export interface Watch {
  readonly signal: AbortSignal;
  /** Told of bytes some time after they are in place. Negative: of these, some are not. */
  readonly onBytes: (count: number) => void;
  /** So many bytes of the errand lie in a file for good, and these are their CRCs. Told now and then. */
  readonly onMark?: (bytes: number, crcs: ReadonlyMap<CrcAlgorithm, bigint>) => void;
}

/** An errand under way. */
export interface Running {
  readonly outcome: Promise<Outcome>;
  /** Makes it end after `most` bytes. False: it has as many already, or has ended. */
  shorten(most: number): Promise<boolean>;
}

interface Thread {
  readonly worker: Worker;
  ready: boolean;
  /** Said in this turn, and sent at its end. */
  readonly outbox: ToThread[];
  readonly errands: Map<number, Pending>;
  /** Milliseconds in writes. */
  writingMs: number;
}

interface Pending {
  readonly watch: Watch;
  readonly settle: (outcome: Outcome) => void;
  /** Those who asked for it to be shortened. */
  readonly asking: ((yes: boolean) => void)[];
  counted: number;
  readonly toFile: boolean;
}

/** Up to `most()` threads, which may change, with networks made from `network`. None is started before the first errand. */
export function createThreads(
  most: () => number,
  network: Pick<NetworkOptions, 'env' | 'policy'>,
): Threads {
  const threads: Thread[] = [];
  const groups = new WeakMap<AbortSignal, number>();
  let nextGroup = 0;
  let broken = false;
  let nextId = 0;
  let asked = 0;
  let meanwhile = 0;

  const start = (): Thread => {
    const worker = startThread(import.meta.url, 'errand-worker', {
      name: 'model-fetch lanes',
      workerData: { ...network, env: { ...network.env } },
      resourceLimits: { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 2 },
    });
    const thread: Thread = { worker, ready: false, outbox: [], errands: new Map(), writingMs: 0 };
    worker.on('message', (messages: readonly FromThread[]) => {
      thread.ready = true;
      for (const message of messages) receive(thread, message);
    });
    worker.on('error', (error) => {
      broken = true;
      for (const [id] of thread.errands)
        settle(thread, id, { bytes: 0, crcs: new Map(), digests: [], error: lost(error) });
    });
    // Only errands keep the process alive.
    worker.unref();
    threads.push(thread);
    return thread;
  };

  /** The one with least to do; when even that has enough, another is started for those to come. */
  const pick = (bytes: number): Thread => {
    const idlest = idlestOf(threads) ?? start();
    const allAreReady = threads.every(isReady);
    // With small errands the main thread has as much to do as any other: one core is its own.
    const enough = bytes < LARGE ? Math.max(1, most() - 1) : most();
    if (idlest.errands.size >= BUSY && allAreReady && threads.length < enough) start();
    return idlest;
  };

  /** What is aborted together is stopped together. */
  const groupOf = (signal: AbortSignal): number => {
    let group = groups.get(signal);
    if (group !== undefined) return group;
    groups.set(signal, (group = nextGroup++));
    const stop = { type: 'stop', group } as const;
    const stopAll = (): void => {
      for (const thread of threads) if (thread.errands.size > 0) say(thread, stop);
    };
    signal.addEventListener('abort', stopAll, { once: true });
    return group;
  };

  return {
    worth: (bytes) => {
      asked++;
      if (broken) return false;
      if (threads.length === 0 && (bytes >= LARGE || asked > SMALL)) start();
      if (threads.some(isReady)) return true;
      return bytes >= LARGE && meanwhile++ >= MEANWHILE;
    },
    get writers() {
      return {
        busy: threads.filter(writesToFile).length,
        ms: threads.reduce((sum, { writingMs }) => sum + writingMs, 0),
      };
    },
    get loops() {
      return threads.map(({ worker }) => worker.performance.eventLoopUtilization());
    },
    run: (errand, watch) => {
      const thread = pick(bytesOf(errand));
      const id = nextId++;
      const group = groupOf(watch.signal);
      const outcome = new Promise<Outcome>((settle) => {
        thread.errands.set(id, {
          watch,
          asking: [],
          counted: 0,
          toFile: errand.place.kind !== 'memory',
          settle,
        });
      });
      if (thread.errands.size === 1) thread.worker.ref();
      say(thread, [id, group, packErrand(errand)]);
      if (watch.signal.aborted) say(thread, { type: 'stop', group });
      return {
        outcome,
        shorten: (bytes) =>
          new Promise((resolve) => {
            const pending = thread.errands.get(id);
            if (!pending) {
              resolve(false);
              return;
            }
            pending.asking.push(resolve);
            say(thread, { type: 'shorten', id, most: bytes });
          }),
      };
    },
    close: async () => {
      await Promise.all(threads.map(({ worker }) => worker.terminate()));
    },
  };
}

function bytesOf({ range, size }: Errand): number {
  return range ? range.end - range.start : (size ?? LARGE);
}

function isReady({ ready }: Thread): boolean {
  return ready;
}

/** Of those that are ready, if there are any. */
function idlestOf(threads: readonly Thread[]): Thread | undefined {
  let found: Thread | undefined;
  for (const thread of threads)
    if (
      !found ||
      (thread.ready && !found.ready) ||
      (thread.ready === found.ready && thread.errands.size < found.errands.size)
    )
      found = thread;
  return found;
}

function say({ worker, outbox }: Thread, message: ToThread): void {
  if (outbox.push(message) > 1) return;
  setImmediate(() => {
    worker.postMessage(outbox);
    outbox.length = 0;
  });
}

function writesToFile({ errands }: Thread): boolean {
  for (const { toFile } of errands.values()) if (toFile) return true;
  return false;
}

function receive(thread: Thread, message: FromThread): void {
  if (!('type' in message)) {
    const [id, outcome] = message;
    settle(thread, id, unpackOutcome(outcome));
    return;
  }
  if (message.type === 'bytes') {
    thread.writingMs = message.writingMs;
    for (const [id, bytes, crcs] of message.counts) {
      const pending = thread.errands.get(id);
      if (!pending) continue;
      pending.counted += bytes;
      pending.watch.onBytes(bytes);
      if (crcs) pending.watch.onMark?.(pending.counted, crcs);
    }
    return;
  }
  thread.errands.get(message.id)?.asking.shift()?.(message.yes);
}

function settle(thread: Thread, id: number, outcome: Outcome): void {
  const pending = thread.errands.get(id);
  if (!pending) return;
  thread.errands.delete(id);
  // A thread without work does not keep the process alive.
  if (thread.errands.size === 0) thread.worker.unref();
  if (outcome.bytes !== pending.counted) pending.watch.onBytes(outcome.bytes - pending.counted);
  for (const answer of pending.asking) answer(false);
  pending.settle(outcome);
}

function lost(cause: unknown): ModelFetchError {
  return new ModelFetchError('UNAVAILABLE', 'a thread of ours ended', { cause });
}
