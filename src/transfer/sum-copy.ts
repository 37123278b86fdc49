/** The CRC-32 of a file that is being written, by a thread that reads it behind the writer. */
import { once } from 'node:events';
import { startThread } from '../start-thread.ts';
import { fromData } from './error-data.ts';
import type { Follow, SumAnswer } from './sum-worker.ts';

/** Bytes that lie in the file before the thread is told: waking it costs. */
const STEP = 4 * 1024 * 1024;

export interface Follower {
  /** So many bytes lie in the file, from its start. */
  reached(bytes: number): void;
  /** The CRC of all that was reached. */
  sum(): Promise<bigint>;
  /** Ends it, in whatever state it is. Resolves when nothing reads the descriptor any more. */
  idle(): Promise<void>;
}

/** Starts a thread that reads `fd`, which stays the caller's to close. */
export function followCopy(fd: number): Follower {
  const follow: Follow = { fd, state: new BigInt64Array(new SharedArrayBuffer(8)) };
  const thread = startThread(import.meta.url, 'sum-worker', {
    name: 'model-fetch sum',
    workerData: follow,
    resourceLimits: { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 4 },
  });
  const answer = once(thread, 'message') as Promise<[SumAnswer]>;
  answer.catch(() => undefined);
  let told = 0;
  let reached = 0;
  const tell = (state: bigint): void => {
    told = reached;
    Atomics.store(follow.state, 0, state);
    Atomics.notify(follow.state, 0);
  };
  const end = (): void => {
    tell(~BigInt(reached));
  };
  return {
    reached: (bytes) => {
      reached = bytes;
      if (bytes - told >= STEP) tell(BigInt(bytes));
    },
    sum: async () => {
      end();
      const [said] = await answer;
      if ('error' in said) throw fromData(said.error);
      return said.crc32;
    },
    idle: async () => {
      end();
      await answer.catch(() => undefined);
    },
  };
}
