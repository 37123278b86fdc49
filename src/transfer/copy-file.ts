/**
 * The bytes of one local file into another, and their CRC. One thread reads and writes: the kernel lets only one at a time
 * write to a file, and a second one that waits for its turn spins. What can be done beside it is the summing.
 */
import { readSync } from 'node:fs';
import { isLocal } from '../file-systems.ts';
import { createCrcKernel, type CrcKernel } from '../verify/crc-kernel.ts';
import { writeAt } from './part-file.ts';
import { followCopy } from './sum-copy.ts';

/** The descriptors stay the caller's, who closes them when the copy has ended, in whichever way. */
export interface Copying {
  readonly source: number;
  /** Open for reading too. */
  readonly target: number;
  /** Of the target, for messages. */
  readonly path: string;
  /** Bytes. */
  readonly size: number;
}

/** What was copied: less than `size` where the source ends too soon. */
export interface Copied {
  readonly bytes: number;
  readonly crc32: bigint;
}

/** Bytes from which starting a thread pays. */
const WORTH_A_THREAD = 128 * 1024 * 1024;
/** Bytes: written in larger pieces, they cost a virtual machine several times the CPU (see `unpack/file-writer.ts`). */
const PIECE = 256 * 1024;
/** Pieces after which signals and other files get their turn. */
const TURN = 64;

/** Large files are copied one after another: there is one memory bus. */
let large: Promise<unknown> = Promise.resolve();
let kernel: CrcKernel | undefined;

/**
 * Copies `size` bytes between the descriptors; answers how many there were and their CRC-32. With `threads`, a large file is
 * summed by another one as it lies in the target, unless that is on a volume of another machine, where reading costs.
 */
export async function copyBytes(
  copying: Copying,
  threads: boolean,
  signal: AbortSignal,
): Promise<Copied> {
  signal.throwIfAborted();
  if (!threads || copying.size < WORTH_A_THREAD || !(await isLocal(copying.path)))
    return copyAndSum(copying, signal);
  const turn = large.then(async () => copyBesideSum(copying, signal));
  large = turn.catch(() => undefined);
  return turn;
}

async function copyAndSum(copying: Copying, signal: AbortSignal): Promise<Copied> {
  let crc32 = 0n;
  const bytes = await copy(copying, signal, (piece, { update }) => {
    crc32 = update('crc32', crc32, piece);
  });
  return { bytes, crc32 };
}

async function copyBesideSum(copying: Copying, signal: AbortSignal): Promise<Copied> {
  const follower = followCopy(copying.target);
  let written = 0;
  try {
    const bytes = await copy(copying, signal, (piece) => {
      follower.reached((written += piece.length));
    });
    return { bytes, crc32: await follower.sum() };
  } finally {
    // The descriptor is the thread's too until then.
    await follower.idle();
  }
}

/** Calls `copied` with every piece once it is written; it may look at it until it returns. */
async function copy(
  { source, target, path, size }: Copying,
  signal: AbortSignal,
  copied: (piece: Uint8Array, kernel: CrcKernel) => void,
): Promise<number> {
  kernel ??= createCrcKernel(PIECE);
  const { room } = kernel;
  let at = 0;
  for (let pieces = 1; at < size; pieces++) {
    // Where a CRC is computed without another copy. Nobody else has it in between: there is no pause within a piece.
    const got = readSync(source, room, 0, Math.min(PIECE, size - at), at);
    if (got === 0) break;
    const piece = room.subarray(0, got);
    writeAt(target, path, piece, at);
    copied(piece, kernel);
    at += got;
    if (pieces % TURN > 0 || at === size) continue;
    await new Promise(setImmediate);
    signal.throwIfAborted();
  }
  return at;
}
