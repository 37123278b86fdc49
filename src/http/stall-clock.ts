/** Notices when nothing comes any more. */

/** Calls `onStall` once after `ms` without a `touch`. Paused time does not count. One timer, however many touches. */
export class StallClock {
  readonly #ms: number;
  readonly #onStall: () => void;
  #last = performance.now();
  #timer: NodeJS.Timeout | undefined;

  constructor(ms: number, onStall: () => void) {
    this.#ms = ms;
    this.#onStall = onStall;
    this.#arm(ms);
  }

  touch(): void {
    this.#last = performance.now();
  }

  pause(): void {
    this.stop();
  }

  resume(): void {
    this.touch();
    if (!this.#timer) this.#arm(this.#ms);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #arm(ms: number): void {
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined;
        const left = this.#last + this.#ms - performance.now();
        if (left <= 0) this.#onStall();
        else this.#arm(left);
      },
      Math.max(1, ms),
    );
  }
}
