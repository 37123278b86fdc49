/** How wide a run may become on this machine: requests at a time, threads, and what waits in memory. */
import type { Machine } from './machine.ts';

export interface Widths {
  /** Requests at a time to begin with, and at most. */
  readonly first: number;
  readonly most: number;
  readonly threads: number;
  /** Pieces of a body that is wanted in order, such as an archive's, in memory at a time. */
  readonly ahead: number;
}

const MIB = 2 ** 20;
const FIRST_REQUESTS = 16;
const MOST_REQUESTS = 128;
/** Long requests at a time to begin with: near a server, what more of them bring lies waiting until it is out of the cache. */
const FEW_LONG = 4;
/** Fewer do not hide the time to the first byte. */
const LEAST_REQUESTS = 4;
/** Each moves 1 to 2 GB/s. */
const MOST_THREADS = 4;
const LEAST_AHEAD = 2;
const MOST_AHEAD = 8;

/** Bytes: Node with our code; a connection while its sink holds it back; a thread; a piece. */
const BASE = 60 * MIB;
const CONNECTION = 512 * 1024;
const THREAD = 12 * MIB;
const PIECE = 4 * MIB;
/** Of what a limit leaves beside the base, for each of these; the rest is for decompression, digests and the file cache. */
const SHARE = 1 / 4;

/** With less than two cores there are no threads: handing over would only cost. */
export function widths({ cores, memory }: Pick<Machine, 'cores' | 'memory'>): Widths {
  const bytes = memory === undefined ? Infinity : Math.max(0, memory - BASE) * SHARE;
  const most = Math.min(MOST_REQUESTS, Math.max(LEAST_REQUESTS, Math.floor(bytes / CONNECTION)));
  return {
    first: Math.min(FIRST_REQUESTS, most),
    most,
    ahead: Math.min(MOST_AHEAD, Math.max(LEAST_AHEAD, Math.floor(bytes / PIECE))),
    threads: cores < 2 ? 0 : Math.min(MOST_THREADS, Math.floor(cores), Math.floor(bytes / THREAD)),
  };
}

/** Of `width` requests, how many may be long ones: few to begin with, all from 64 on. */
export function longOf(width: number): number {
  return Math.min(width, Math.max(FEW_LONG, Math.floor(width ** 2 / 64)));
}
