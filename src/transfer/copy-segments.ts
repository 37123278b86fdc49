/** The segments of a file that is copied, taken by whichever thread is free: read, summed and written in one go. */
import { readSync } from 'node:fs';
import { createCrcKernel } from '../verify/crc-kernel.ts';
import { writeAt } from './part-file.ts';

/** Plain data: it crosses to a thread. The descriptors stay the main thread's, which closes them when no thread copies any more. */
export interface Copying {
  readonly source: number;
  readonly target: number;
  /** Of the target, for messages. */
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  /** Number of the segment that is taken next, in shared memory where there are several threads. */
  readonly next: Int32Array;
}

/** What was copied of one segment: less than all of it where the source ends too soon. */
export interface Segment {
  readonly start: number;
  readonly bytes: number;
  readonly crc32: bigint;
}

const SEGMENT = 16 * 1024 * 1024;

/** Bytes: written in larger pieces, they cost a virtual machine several times the CPU (see `unpack/file-writer.ts`). */
const PIECE = 256 * 1024;

let kernel: ReturnType<typeof createCrcKernel> | undefined;

export function* copySegments({ source, target, path, size, next }: Copying): Generator<Segment> {
  // Where the CRC is computed without another copy. Nobody else has it in between: a segment is done without a pause.
  const { room, update } = (kernel ??= createCrcKernel(PIECE));
  for (;;) {
    const start = Atomics.add(next, 0, 1) * SEGMENT;
    if (start >= size) return;
    const end = Math.min(start + SEGMENT, size);
    let crc32 = 0n;
    let at = start;
    while (at < end) {
      const got = readSync(source, room, 0, Math.min(PIECE, end - at), at);
      if (got === 0) break;
      const piece = room.subarray(0, got);
      crc32 = update('crc32', crc32, piece);
      writeAt(target, path, piece, at);
      at += got;
    }
    yield { start, bytes: at - start, crc32 };
  }
}

/** Whoever asks for a segment now gets none. */
export function stopCopying({ next, size }: Copying): void {
  Atomics.store(next, 0, Math.ceil(size / SEGMENT));
}
