/** Tells when nothing has been heard for too long. One timer for all that a connection does: a timer for each request costs more than sending it. */
export class Silence {
  readonly #tooLong: () => void;
  #timer: NodeJS.Timeout | undefined;
  #ms = 0;

  constructor(tooLong: () => void) {
    this.#tooLong = tooLong;
  }

  /** Milliseconds that are too long, from now on. */
  allow(ms: number): void {
    if (this.#timer && ms === this.#ms) {
      this.#timer.refresh();
      return;
    }
    this.end();
    this.#ms = ms;
    // What is waited for keeps the process alive, not the waiting.
    this.#timer = setTimeout(this.#tooLong, ms).unref();
  }

  /** Something was heard. */
  broken(): void {
    this.#timer?.refresh();
  }

  end(): void {
    clearTimeout(this.#timer);
  }
}
