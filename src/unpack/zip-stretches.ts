/** A zip cut into stretches that are read beside each other. Pure. */
import type { ZipMember } from './zip-directory.ts';

/** Members that lie one after the other, from `start` up to `end`. */
export interface Stretch {
  readonly start: number;
  readonly end: number;
  readonly members: readonly ZipMember[];
}

/** Bytes: enough that beginning one costs nothing in comparison, few enough that there is one for every core. */
const LEAST = 32 * 1024 * 1024;

/**
 * `members` in the order in which they lie, cut behind the one that makes a stretch long enough. Together the stretches reach
 * from the first byte up to `end`. Those of a file that must be read in order are one.
 */
export function cutStretches(
  members: readonly ZipMember[],
  end: number,
  ordered: boolean,
): Stretch[] {
  const stretches: Stretch[] = [];
  let start = 0;
  let first = 0;
  for (const [index, { at }] of members.entries()) {
    if (ordered || at - start < LEAST || end - at < LEAST) continue;
    stretches.push({ start, end: at, members: members.slice(first, index) });
    start = at;
    first = index;
  }
  stretches.push({ start, end, members: members.slice(first) });
  return stretches;
}
