/**
 * Tells when nothing has been heard for too long. One timer for all that a connection does, and it is not set back for what is
 * heard, but set again for what is left when it goes off: a timer for each request costs more than sending it.
 */
export class Silence {
  readonly #tooLong: () => void;
  #timer: NodeJS.Timeout | undefined;
  #ms = 0;
  #since = 0;

  constructor(tooLong: () => void) {
    this.#tooLong = tooLong;
  }

  /** Milliseconds that are too long, from now on. */
  allow(ms: number): void {
    this.#since = performance.now();
    if (this.#timer && ms === this.#ms) return;
    this.#ms = ms;
    this.#set(ms);
  }

  /** Something was heard. */
  broken(): void {
    this.#since = performance.now();
  }

  end(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #set(ms: number): void {
    clearTimeout(this.#timer);
    // What is waited for keeps the process alive, not the waiting.
    this.#timer = setTimeout(() => {
      this.#look();
    }, ms).unref();
  }

  #look(): void {
    const left = this.#since + this.#ms - performance.now();
    if (left > 0) {
      this.#set(Math.ceil(left));
      return;
    }
    this.#timer = undefined;
    this.#tooLong();
  }
}
