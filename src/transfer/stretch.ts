/** A range that is being read, and whose end may come closer: what is far from done is shared with whoever is idle. */
import type { ByteRange } from '../fetcher.ts';

/** Makes what is under way end at `end`. False: it is past that already. */
export type Shorten = (end: number) => boolean | Promise<boolean>;

export class Stretch implements ByteRange {
  readonly start: number;
  #end: number;
  /** Up to here bytes are in place, as far as is known: a thread tells a little later. */
  reached: number;
  #pace: number | undefined;
  /** When an exchange began that is under way: milliseconds of `performance.now()`, and the byte it began at. */
  #under: { readonly since: number; readonly from: number; readonly shorten: Shorten } | undefined;

  constructor(start: number, end: number) {
    this.start = start;
    this.#end = end;
    this.reached = start;
  }

  get end(): number {
    return this.#end;
  }

  /** An exchange from `from` on begins; how to shorten it. */
  begins(from: number, shorten: Shorten): void {
    this.reached = from;
    this.#under = { since: performance.now(), from, shorten };
  }

  /** It ended, having reached `at`. */
  ends(at: number): void {
    this.reached = at;
    this.#pace = this.pace;
    this.#under = undefined;
  }

  /** Bytes a millisecond of the exchange that is under way, or else of the last one; undefined before there is one. */
  get pace(): number | undefined {
    if (!this.#under) return this.#pace;
    const ms = performance.now() - this.#under.since;
    return (this.reached - this.#under.from) / Math.max(1, ms);
  }

  /** Whether what is under way has shown its pace by now. */
  get steady(): boolean {
    return this.#under !== undefined && performance.now() - this.#under.since > LONG_ENOUGH_MS;
  }

  /** Milliseconds until it is done at its pace. */
  get remainingMs(): number {
    return (this.#end - this.reached) / (this.pace || Number.MIN_VALUE);
  }

  /** The part from `at` on becomes somebody else's. False: too late for that. */
  async cut(at: number): Promise<boolean> {
    if (!this.#under || at <= this.reached || !(await this.#under.shorten(at))) return false;
    this.#end = at;
    return true;
  }
}

/** Milliseconds before a pace is one. */
const LONG_ENOUGH_MS = 1_000;
