/** What a target's result will say, counted while it comes about. */
import type { FetchEvent } from '../events.ts';

export interface Tally {
  files: number;
  bytes: number;
  kept: number;
  fetchedBytes: number;
  retries: number;
  verified: Record<string, number>;
}

export function count(tally: Tally, event: FetchEvent): void {
  if (event.type === 'progress') tally.fetchedBytes += event.bytes;
  if (event.type === 'retry') tally.retries++;
  if (event.type !== 'verified') return;
  const names = event.against.map((digest) => digest.slice(0, digest.indexOf(':')));
  for (const name of names.length > 0 ? names : ['length'])
    tally.verified[name] = (tally.verified[name] ?? 0) + 1;
}
