/**
 * The one number that bounds requests: a fair semaphore whose width may change while it is in use. A share of it is kept
 * for short requests, so that configuration and tokenizer of a model do not wait behind its weights.
 */

/** Of the width, for short requests while any of them waits. */
const SHORT_SHARE = 1 / 4;

/** Files between which long requests take turns: the kernel lets only one thread at a time write to a file. */
const FILES_IN_TURN = 4;

interface Queue {
  busy: number;
  readonly waiting: Waiting;
}

/** Who waits: first come, first served among those of a file, the first few files by turns. */
class Waiting {
  readonly #files: { readonly file: unknown; readonly begins: (() => void)[] }[] = [];
  #turn = 0;

  get any(): boolean {
    return this.#files.length > 0;
  }

  push(file: unknown, begin: () => void): void {
    const known = this.#files.find((one) => one.file === file);
    if (known) known.begins.push(begin);
    else this.#files.push({ file, begins: [begin] });
  }

  /** Of whoever is next; only while there are any. */
  shift(): () => void {
    const turn = this.#turn++ % Math.min(FILES_IN_TURN, this.#files.length);
    const { begins } = this.#files[turn]!;
    const begin = begins.shift()!;
    if (begins.length === 0) this.#files.splice(turn, 1);
    return begin;
  }
}

export class Slots {
  #width: number;
  readonly #longOf: (width: number) => number;
  readonly #short: Queue = { busy: 0, waiting: new Waiting() };
  readonly #long: Queue = { busy: 0, waiting: new Waiting() };

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
    return this.#short.waiting.any || this.#long.waiting.any;
  }

  /**
   * Takes a slot: at once, or when the promise resolves. `short`: for a small file, first come, first served; not for a range
   * of a large one, `file`, which takes turns with others. Whoever has entered leaves.
   */
  enter(short: boolean, file?: object): Promise<void> | undefined {
    const queue = short ? this.#short : this.#long;
    if (!this.#mayBegin(queue) || queue.waiting.any)
      return new Promise<void>((resolve) => {
        queue.waiting.push(short ? undefined : file, resolve);
      });
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
      queue.waiting.shift()();
    }
  }

  /** Whose turn it is: short ones up to their share, and beyond it only when nothing long could begin. */
  #next(): Queue | undefined {
    const share = Math.max(1, Math.floor(this.#width * SHORT_SHARE));
    const [first, second] =
      this.#short.busy < share ? [this.#short, this.#long] : [this.#long, this.#short];
    return [first, second].find((queue) => queue.waiting.any && this.#mayBegin(queue));
  }
}
