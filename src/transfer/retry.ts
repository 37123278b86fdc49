/** When to try again. One retry layer for all bodies; the control plane has its own, smaller one. */
import { setTimeout as sleep } from 'node:timers/promises';
import { ModelFetchError } from '../errors.ts';

export interface RetryPolicy {
  /** Failures in a row, without one new byte, before giving up. */
  readonly attempts: number;
  /** Milliseconds during which refused connections do not count: a mesh sidecar may still be starting. */
  readonly connectGraceMs: number;
}

const FIRST_MS = 200;
const LONGEST_MS = 30_000;
const LONGEST_RETRY_AFTER_MS = 300_000;

/** Milliseconds to wait before attempt `failures` + 1: full jitter over an exponential, or what Retry-After asks for. */
export function backoff(
  failures: number,
  retryAfterMs?: number,
  random: () => number = Math.random,
): number {
  const ceiling = Math.min(LONGEST_MS, FIRST_MS * 2 ** (failures - 1));
  const jittered = Math.round(ceiling * (0.5 + random() / 2));
  return retryAfterMs === undefined
    ? jittered
    : Math.min(LONGEST_RETRY_AFTER_MS, retryAfterMs) + Math.round(random() * 250);
}

/** Counts failures of one read and says how long to wait; throws the error itself when it is time to give up. */
export class Patience {
  readonly #policy: RetryPolicy;
  readonly #started = Date.now();
  #failures = 0;

  constructor(policy: RetryPolicy) {
    this.#policy = policy;
  }

  /** A new byte arrived. */
  progressed(): void {
    this.#failures = 0;
  }

  get failures(): number {
    return this.#failures;
  }

  /** Milliseconds to wait after `error`. Throws it when it cannot be helped by waiting, or has not been for too long. */
  after(error: ModelFetchError): number {
    if (!error.retryable) throw error;
    if (connectionRefused(error) && Date.now() - this.#started < this.#policy.connectGraceMs)
      return 250 + Math.round(Math.random() * 500);
    this.#failures++;
    if (this.#failures >= this.#policy.attempts) {
      const seconds = Math.round((Date.now() - this.#started) / 1000);
      throw new ModelFetchError(
        error.code,
        `${error.message} (gave up after ${this.#failures} attempts without a new byte, ${seconds} s)`,
        {
          ...(error.uri !== undefined && { uri: error.uri }),
          ...(error.path !== undefined && { path: error.path }),
          ...(error.hint !== undefined && { hint: error.hint }),
          cause: error.cause ?? error,
        },
      );
    }
    return backoff(this.#failures, error.retryAfterMs);
  }
}

/** Whether nobody listened, wherever in the chain of causes that is said. */
export function connectionRefused(error: unknown): boolean {
  for (
    let at: unknown = error, depth = 0;
    at instanceof Error && depth < 8;
    at = at.cause, depth++
  ) {
    if ((at as NodeJS.ErrnoException).code === 'ECONNREFUSED') return true;
    if (at instanceof AggregateError && at.errors.length > 0 && at.errors.every(connectionRefused))
      return true;
  }
  return false;
}

/** Whether the other side, or someone between, cut a connection that was there: by a reset, or by an end too early. */
export function connectionCut(error: unknown): boolean {
  if (error instanceof ModelFetchError && error.code === 'TRUNCATED') return true;
  for (let at: unknown = error, depth = 0; at instanceof Error && depth < 8; at = at.cause, depth++)
    if (['ECONNRESET', 'EPIPE'].includes((at as NodeJS.ErrnoException).code ?? '')) return true;
  return false;
}

/** Waits, or throws the signal's reason as soon as it is aborted. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await sleep(ms, undefined, { signal });
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  }
}
