/** Cutting a file into ranges: pure. */
import type { ByteRange, PartDigest } from '../fetcher.ts';
import { cutAtParts } from '../verify/parts.ts';

const MIB = 1024 * 1024;
/** Below this, waiting for the first byte outweighs the bytes; above, the tail of a file keeps one connection busy alone. */
const LEAST = 8 * MIB;
const MOST = 64 * MIB;

/** Bytes a range: large enough to amortise a round trip, small enough that all of `width` connections have work. */
export function rangeSize(size: number, width: number): number {
  const even = Math.ceil(size / (4 * Math.max(1, width)) / MIB) * MIB;
  return Math.min(MOST, Math.max(LEAST, even));
}

/**
 * The ranges of `[0, size)` that are not in `done`, in order, none across the end of one of `parts`. `done` need not be
 * sorted, but must not overlap.
 */
export function cutRanges(
  size: number,
  width: number,
  done: readonly ByteRange[] = [],
  parts: readonly PartDigest[] = [],
): ByteRange[] {
  const step = rangeSize(size, width);
  const ranges: ByteRange[] = [];
  const gap = (from: number, to: number): void => {
    for (const { start, end } of from < to ? cutAtParts({ start: from, end: to }, parts) : [])
      for (let at = start; at < end; at += step)
        ranges.push({ start: at, end: Math.min(at + step, end) });
  };
  let at = 0;
  for (const { start, end } of done.toSorted((a, b) => a.start - b.start)) {
    gap(at, start);
    at = Math.max(at, end);
  }
  gap(at, size);
  return ranges;
}
