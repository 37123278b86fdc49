/** The ranges of one file, handed out in order; when none is left, halves of the slow ones. */
import type { ByteRange } from '../fetcher.ts';
import { Stretch } from './stretch.ts';

const MIB = 1024 * 1024;
/** Bytes: what is left of a stretch must be worth another request. */
const WORTH_SHARING = 4 * MIB;
/** Milliseconds that a stretch must need still, at its pace: on a fast link a second request would come too late. */
const SLOW_MS = 3_000;
/** Of the pace of those that are done. When all are slow, the link is, and sharing would only cost requests. */
const SLOW = 1 / 2;
/** Milliseconds between two looks at what the others do. */
const LOOK_MS = 250;

export class Stretches {
  readonly #queue: Stretch[];
  readonly #under = new Set<Stretch>();
  readonly #idle: () => boolean;
  readonly #ahead: () => number;
  #wake: () => void = () => undefined;
  #changed: Promise<void> | undefined;
  #sharing = false;
  /** Paces of those that are done. */
  readonly #paces = { sum: 0, count: 0 };

  /**
   * `idle` says whether a request more could run at once; `ahead`, how many bytes behind the first that is still to come
   * another may begin. Sockets are not read in turns: without a bound the first may be the last to be read.
   */
  constructor(ranges: readonly ByteRange[], idle: () => boolean, ahead = () => Infinity) {
    this.#queue = ranges.map(({ start, end }) => new Stretch(start, end));
    this.#idle = idle;
    this.#ahead = ahead;
  }

  /** The next to read; undefined when there is nothing left to begin or to share. */
  async next(): Promise<Stretch | undefined> {
    for (;;) {
      const stretch = this.#first() ?? (await this.#half());
      if (stretch) {
        this.#under.add(stretch);
        return stretch;
      }
      if (this.#under.size === 0 && this.#queue.length === 0) return undefined;
      await this.#look();
    }
  }

  /** It is read, or given up. */
  done(stretch: Stretch): void {
    this.#under.delete(stretch);
    this.#paces.sum += stretch.pace ?? 0;
    this.#paces.count++;
    this.#wake();
  }

  /** Nothing more is begun. */
  close(): void {
    this.#queue.length = 0;
    this.#under.clear();
    this.#wake();
  }

  /** The next in order, unless it is too far ahead. */
  #first(): Stretch | undefined {
    const [next] = this.#queue;
    if (!next) return undefined;
    for (const { start } of this.#under) if (next.start - start >= this.#ahead()) return undefined;
    return this.#queue.shift();
  }

  /** Half of what is left of the stretch that will be done last. */
  async #half(): Promise<Stretch | undefined> {
    if (this.#sharing || !this.#idle()) return undefined;
    const slow = [...this.#under]
      .filter((one) => this.#isSlow(one))
      .sort((a, b) => b.remainingMs - a.remainingMs)[0];
    if (!slow) return undefined;
    const { end } = slow;
    const middle = Math.ceil((slow.reached + end) / 2 / MIB) * MIB;
    if (middle >= end) return undefined;
    this.#sharing = true;
    try {
      return (await slow.cut(middle)) ? new Stretch(middle, end) : undefined;
    } finally {
      this.#sharing = false;
    }
  }

  #isSlow(stretch: Stretch): boolean {
    const { sum, count } = this.#paces;
    return (
      stretch.steady &&
      count > 0 &&
      stretch.pace! < (sum / count) * SLOW &&
      stretch.end - stretch.reached >= WORTH_SHARING &&
      stretch.remainingMs > SLOW_MS
    );
  }

  /** Until a stretch is done, or for a moment. */
  async #look(): Promise<void> {
    this.#changed ??= new Promise((resolve) => {
      const timer = setTimeout(resolve, LOOK_MS);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    await this.#changed;
    this.#changed = undefined;
  }
}
