/**
 * The one number that bounds requests: a fair semaphore whose width may change while it is in use. A share of it is kept
 * for short requests, so that configuration and tokenizer of a model do not wait behind its weights.
 */

/** Of the width, for short requests while any of them waits. */
const SHORT_SHARE = 1 / 4;

interface Queue {
  busy: number;
  readonly waiting: (() => void)[];
}

export class Slots {
  #width: number;
  readonly #longOf: (width: number) => number;
  readonly #short: Queue = { busy: 0, waiting: [] };
  readonly #long: Queue = { busy: 0, waiting: [] };

  /** `longOf` says how many of a width may be long requests: all, unless it says less. */
  constructor(width: number, longOf: (width: number) => number = (all) => all) {
    this.#width = width;
    this.#longOf = longOf;
  }

  /** Requests allowed at a time. A smaller width takes effect as running ones end. */
  get width(): number {
    return this.#width;
  }

  set width(width: number) {
    this.#width = width;
    this.#wake();
  }

  /** Of them, long ones. */
  get longWidth(): number {
    return this.#longOf(this.#width);
  }

  /** Whether any request is under way. */
  get busy(): boolean {
    return this.#short.busy + this.#long.busy > 0;
  }

  /** Whether more would run if they were allowed to. */
  get saturated(): boolean {
    return this.#short.waiting.length + this.#long.waiting.length > 0;
  }

  /**
   * Takes a slot: at once, or when the promise resolves; first come, first served among its kind. `short`: for a small file,
   * not a range of a large one. Whoever has entered leaves.
   */
  enter(short: boolean): Promise<void> | undefined {
    const queue = short ? this.#short : this.#long;
    if (!this.#mayBegin(queue) || queue.waiting.length > 0)
      return new Promise<void>((resolve) => queue.waiting.push(resolve));
    queue.busy++;
    return undefined;
  }

  leave(short: boolean): void {
    (short ? this.#short : this.#long).busy--;
    this.#wake();
  }

  #mayBegin(queue: Queue): boolean {
    if (this.#short.busy + this.#long.busy >= this.#width) return false;
    return queue === this.#short || this.#long.busy < this.longWidth;
  }

  #wake(): void {
    for (let queue = this.#next(); queue; queue = this.#next()) {
      queue.busy++;
      queue.waiting.shift()!();
    }
  }

  /** Whose turn it is: short ones up to their share, and beyond it only when nothing long could begin. */
  #next(): Queue | undefined {
    const share = Math.max(1, Math.floor(this.#width * SHORT_SHARE));
    const [first, second] =
      this.#short.busy < share ? [this.#short, this.#long] : [this.#long, this.#short];
    return [first, second].find((queue) => queue.waiting.length > 0 && this.#mayBegin(queue));
  }
}
