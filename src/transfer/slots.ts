/** The one number that bounds requests: a fair semaphore whose width may change while it is in use. */

export class Slots {
  #width: number;
  #busy = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(width: number) {
    this.#width = width;
  }

  /** Requests allowed at a time. A smaller width takes effect as running ones end. */
  get width(): number {
    return this.#width;
  }

  set width(width: number) {
    this.#width = width;
    this.#wake();
  }

  /** Whether more would run if they were allowed to. */
  get saturated(): boolean {
    return this.#waiting.length > 0;
  }

  /** Runs `work` when a slot is free; first come, first served. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#busy < this.#width && this.#waiting.length === 0) this.#busy++;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await work();
    } finally {
      this.#busy--;
      this.#wake();
    }
  }

  #wake(): void {
    while (this.#busy < this.#width && this.#waiting.length > 0) {
      this.#busy++;
      this.#waiting.shift()!();
    }
  }
}
