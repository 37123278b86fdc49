/** `--limit-rate`: bytes per second over all connections together. */
import { pause } from './retry.ts';

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

/** Waits for the sink, and as long as the limit asks for. */
export function held(
  { rate, signal }: { readonly rate: RateLimit | undefined; readonly signal: AbortSignal },
  sunk: void | Promise<void>,
  bytes: number,
): void | Promise<void> {
  const ms = rate?.charge(bytes) ?? 0;
  if (ms < 1) return sunk;
  return Promise.all([sunk, pause(ms, signal)]).then(() => undefined);
}
