/** `--limit-rate`: bytes per second over all connections together. */

export class RateLimit {
  readonly #bytesPerMs: number;
  #paidUntil = 0;

  constructor(bytesPerSecond: number) {
    this.#bytesPerMs = bytesPerSecond / 1000;
  }

  /** Milliseconds to hold back after `bytes` have arrived, so that the average stays below the limit. */
  charge(bytes: number, now = performance.now()): number {
    this.#paidUntil = Math.max(this.#paidUntil, now) + bytes / this.#bytesPerMs;
    return Math.max(0, this.#paidUntil - now);
  }
}
