/** The thread that sums a file behind its writer. See `sum-copy.ts`. */
import { readSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { createCrcKernel } from '../verify/crc-kernel.ts';
import { toData, type ErrorData } from './error-data.ts';

/** What both threads see. */
export interface Follow {
  readonly fd: number;
  /** How many bytes lie in the file; when they are all there will be, the complement of that, a negative number. */
  readonly state: BigInt64Array;
}

export type SumAnswer = { readonly crc32: bigint } | { readonly error: ErrorData };

const PIECE = 256 * 1024;

function sum({ fd, state }: Follow): bigint {
  const { room, update } = createCrcKernel(PIECE);
  let crc32 = 0n;
  for (let at = 0; ;) {
    const now = Atomics.load(state, 0);
    const end = Number(now < 0n ? ~now : now);
    while (at < end) {
      const got = readSync(fd, room, 0, Math.min(PIECE, end - at), at);
      if (got === 0) throw new Error(`copied bytes at ${String(at)} are gone`);
      crc32 = update('crc32', crc32, room.subarray(0, got));
      at += got;
    }
    if (now < 0n) return crc32;
    Atomics.wait(state, 0, now);
  }
}

function answer(): SumAnswer {
  try {
    return { crc32: sum(workerData as Follow) };
  } catch (error) {
    return { error: toData(error) };
  }
}

parentPort!.postMessage(answer());
