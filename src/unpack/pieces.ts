/** A stretch of a file in order, in pieces of shared memory that are fetched ahead and used again when all are done with them. */
import type { Guarded } from './source.ts';

/** Bytes in memory that other threads see as well, until they are let go as often as they were kept. */
export interface Piece {
  readonly bytes: Buffer;
  keep(): void;
  release(): void;
}

/** Bytes a piece. */
const SIZE = 1024 * 1024;
/** Pieces in memory at a time, of all stretches together: 12 MiB. */
const MOST = 12;

/** Memory for the pieces of one stretch at a time: what a stretch has done with, the next one uses. */
export class PieceMemory {
  /** Bytes a piece. */
  readonly size: number;
  readonly #free: SharedArrayBuffer[] = [];
  #left: number;

  /** For a file of `fileSize` bytes, `beside` stretches of which are read at a time. */
  constructor(fileSize: number, beside: number) {
    this.size = Math.min(SIZE, Math.max(1, fileSize));
    this.#left = Math.max(3, Math.floor(MOST / beside));
  }

  take(): SharedArrayBuffer | undefined {
    const free = this.#free.pop();
    if (free || this.#left === 0) return free;
    this.#left--;
    return new SharedArrayBuffer(this.size);
  }

  giveBack(memory: SharedArrayBuffer): void {
    this.#free.push(memory);
  }
}

export class Pieces {
  readonly #source: Guarded;
  readonly #memory: PieceMemory;
  readonly #end: number;
  readonly #queue: { memory: SharedArrayBuffer; bytes: Buffer; done: Promise<void> }[] = [];
  #asked: number;
  /** Wakes who waits for memory. */
  #freed: (() => void) | undefined;

  /** From `start` up to `end`. */
  constructor(source: Guarded, memory: PieceMemory, start: number, end: number) {
    this.#source = source;
    this.#memory = memory;
    this.#asked = start;
    this.#end = end;
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
        this.#memory.giveBack(memory);
        this.#more();
        this.#freed?.();
      },
    };
  }

  /** Asks for as much as there is memory for. */
  #more(): void {
    while (this.#asked < this.#end) {
      const memory = this.#memory.take();
      if (!memory) return;
      const start = this.#asked;
      this.#asked = Math.min(this.#end, start + this.#memory.size);
      const bytes = Buffer.from(memory, 0, this.#asked - start);
      const done = this.#source.fill(bytes, start);
      // A failure is told when the bytes are wanted, if they ever are.
      done.catch(() => undefined);
      this.#queue.push({ memory, bytes, done });
    }
  }
}
