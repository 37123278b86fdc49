/** A stretch of a file in order, in pieces of shared memory that are fetched ahead and used again when all are done with them. */
import type { Guarded } from './source.ts';

/** Bytes in memory that other threads see as well, until they are let go as often as they were kept. */
export interface Piece {
  readonly bytes: Buffer;
  keep(): void;
  release(): void;
}

/** Bytes a piece, where the source reads into memory of ours, and where it does not. */
const LARGE = 2 * 1024 * 1024;
const PLAIN = 1024 * 1024;
/** Pieces of all stretches that are read at a time: 24 MiB at most. */
const MOST = 12;

export class Pieces {
  readonly #source: Guarded;
  readonly #end: number;
  readonly #size: number;
  readonly #most: number;
  readonly #free: SharedArrayBuffer[] = [];
  readonly #queue: { memory: SharedArrayBuffer; bytes: Buffer; done: Promise<void> }[] = [];
  #made = 0;
  #asked: number;
  /** Wakes who waits for memory. */
  #freed: (() => void) | undefined;

  /** From `start` up to `end`, while `beside` stretches in all are read. */
  constructor(source: Guarded, start: number, end: number, beside: number) {
    this.#source = source;
    this.#asked = start;
    this.#end = end;
    this.#size = Math.min(source.fills ? LARGE : PLAIN, Math.max(1, end - start));
    this.#most = Math.max(3, Math.floor(MOST / beside));
  }

  /** The next piece, kept once, or undefined at the end. */
  async next(): Promise<Piece | undefined> {
    this.#more();
    while (this.#queue.length === 0) {
      if (this.#asked >= this.#end) return undefined;
      await new Promise<void>((resolve) => {
        this.#freed = resolve;
      });
    }
    const { memory, bytes, done } = this.#queue.shift()!;
    await done;
    let kept = 1;
    return {
      bytes,
      keep: () => {
        kept++;
      },
      release: () => {
        if (--kept > 0) return;
        this.#free.push(memory);
        this.#more();
        this.#freed?.();
      },
    };
  }

  /** Asks for as much as there is memory for. */
  #more(): void {
    while (this.#asked < this.#end) {
      const memory = this.#free.pop() ?? this.#make();
      if (!memory) return;
      const start = this.#asked;
      this.#asked = Math.min(this.#end, start + this.#size);
      const bytes = Buffer.from(memory, 0, this.#asked - start);
      const done = this.#source.fill(bytes, start);
      // A failure is told when the bytes are wanted, if they ever are.
      done.catch(() => undefined);
      this.#queue.push({ memory, bytes, done });
    }
  }

  #make(): SharedArrayBuffer | undefined {
    if (this.#made >= this.#most) return undefined;
    this.#made++;
    return new SharedArrayBuffer(this.#size);
  }
}
