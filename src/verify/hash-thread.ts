/**
 * Digests that need their bytes in order, computed on another thread from what has just been written: on a machine with a
 * second core, SHA-256 of a large file costs the download nothing. The descriptor stays the main thread's own.
 */
import type { Worker } from 'node:worker_threads';
import type { ByteRange, DigestAlgorithm } from '../fetcher.ts';
import { startThread } from '../start-thread.ts';
import type { HashAnswer, HashAsk } from './hash-worker.ts';

/** The ordered digests of one file. */
export interface FileHash {
  /** The next range, which adjoins the last. Resolves when it has been read. */
  range(range: ByteRange): Promise<void>;
  /** Hex digests, after the last range. */
  digests(): Promise<ReadonlyMap<DigestAlgorithm, string>>;
  /** Resolves when the thread reads the descriptor no more: only then may it be closed. */
  idle(): Promise<void>;
}

export interface HashThread {
  /** Whether it has been given a file: then it wants a core of its own. */
  readonly used: boolean;
  /** `algorithms` of the file behind `fd`. */
  file(fd: number, algorithms: readonly DigestAlgorithm[]): FileHash;
  close(): Promise<void>;
}

/** The thread is started with the first file and shared by all: bytes are read in turn, as one core can hash them. */
export function createHashThread(): HashThread {
  let worker: Worker | undefined;
  let files = 0;
  const waiting: { resolve: (answer: HashAnswer) => void; reject: (error: Error) => void }[] = [];
  const start = (): Worker => {
    const started = startThread(import.meta.url, 'hash-worker', {
      name: 'model-fetch hash',
      resourceLimits: { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 4 },
    });
    started.on('message', (answer: HashAnswer) => {
      const { resolve, reject } = waiting.shift()!;
      if (waiting.length === 0) started.unref();
      if (answer.error === undefined) resolve(answer);
      else reject(new Error(answer.error));
    });
    started.on('error', (error) => {
      for (const { reject } of waiting.splice(0)) reject(error as Error);
    });
    return started;
  };
  const ask = (message: HashAsk): Promise<HashAnswer> =>
    new Promise((resolve, reject) => {
      waiting.push({ resolve, reject });
      worker ??= start();
      worker.ref();
      worker.postMessage(message);
    });
  return {
    get used() {
      return files > 0;
    },
    file: (fd, algorithms) => {
      const file = files++;
      let last: Promise<unknown> = Promise.resolve();
      return {
        range: async ({ start: from, end }) => {
          const done = ask({ type: 'range', file, algorithms, fd, start: from, end });
          last = done.catch(() => undefined);
          await done;
        },
        digests: async () => {
          const { digests = [] } = await ask({ type: 'finish', file });
          return new Map(digests as readonly (readonly [DigestAlgorithm, string])[]);
        },
        idle: async () => {
          await last;
        },
      };
    },
    close: async () => {
      await worker?.terminate();
    },
  };
}
