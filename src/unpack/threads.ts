/** Threads that unpack small members of a zip: each takes a batch, inflates, checks and writes it, and answers when all is done. */
import { availableParallelism } from 'node:os';
import { startThread as startWorker } from '../start-thread.ts';
import { fromData } from '../transfer/error-data.ts';
import type { BatchAnswer, BatchAsk } from './unpack-worker.ts';
import type { ZipContent } from './zip-content.ts';

/** A small member and its packed bytes. */
export interface SmallMember {
  readonly member: ZipContent;
  readonly packed: Uint8Array;
}

export interface Threads {
  readonly count: number;
  /** Whether it takes longer to unpack `members` here than to start a thread. */
  worthwhile(members: readonly ZipContent[]): boolean;
  /** Resolves when all of them are on the disk. Throws the typed error of the first that is not; others may be there. */
  run(batch: readonly SmallMember[]): Promise<void>;
  /** Nothing more is to be done: what is under way ends with the member that is being written. */
  stop(): void;
  close(): Promise<void>;
}

const MOST = 4;
/** Milliseconds of work that make up for a thread's start. */
const LEAST_MS = 80;
const MS_A_MEMBER = 0.08;
const BYTES_A_MS = 200_000;

/** Threads are started by the first batches, as many as there are batches at a time, at most `count`. */
export function createThreads({
  count = Math.min(MOST, availableParallelism()),
  leastMs = LEAST_MS,
} = {}): Threads {
  const stop = new Int32Array(new SharedArrayBuffer(4));
  const idle: Thread[] = [];
  const all: Thread[] = [];
  const waiting: ((thread: Thread) => void)[] = [];
  const take = async (): Promise<Thread> => {
    const free = idle.pop();
    if (free) return free;
    if (all.length >= count)
      return new Promise((resolve) => {
        waiting.push(resolve);
      });
    const thread = startThread(stop);
    all.push(thread);
    return thread;
  };
  const giveBack = (thread: Thread): void => {
    const next = waiting.shift();
    if (next) next(thread);
    else idle.push(thread);
  };
  return {
    count,
    worthwhile: (members) =>
      count > 1 &&
      members.reduce((ms, { size }) => ms + MS_A_MEMBER + size / BYTES_A_MS, 0) > leastMs,
    run: async (batch) => {
      const thread = await take();
      try {
        await thread.run(batch);
      } finally {
        giveBack(thread);
      }
    },
    stop: () => {
      Atomics.store(stop, 0, 1);
    },
    close: async () => {
      Atomics.store(stop, 0, 1);
      await Promise.all(all.splice(0).map((thread) => thread.close()));
    },
  };
}

interface Thread {
  run(batch: readonly SmallMember[]): Promise<void>;
  close(): Promise<void>;
}

function startThread(stop: Int32Array): Thread {
  const worker = startWorker(import.meta.url, 'unpack-worker', {
    name: 'model-fetch unpack',
    workerData: stop,
    resourceLimits: { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 4 },
  });
  let current: { resolve: () => void; reject: (error: Error) => void } | undefined;
  let dead: Error | undefined;
  worker.on('message', ({ error }: BatchAnswer) => {
    const { resolve, reject } = current!;
    current = undefined;
    worker.unref();
    if (error === undefined) resolve();
    else reject(fromData(error));
  });
  const died = (error: Error): void => {
    dead ??= error;
    current?.reject(dead);
    current = undefined;
  };
  worker.on('error', (error) => {
    died(error as Error);
  });
  worker.on('exit', () => {
    died(new Error('the thread that unpacks has ended'));
  });
  return {
    run: (batch) =>
      new Promise((resolve, reject) => {
        if (dead) {
          reject(dead);
          return;
        }
        current = { resolve, reject };
        worker.ref();
        worker.postMessage({ batch } satisfies BatchAsk);
      }),
    close: async () => {
      await worker.terminate();
    },
  };
}
