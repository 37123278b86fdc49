/** A view that moves along a stretch of a file: what is ahead may be looked at, what is behind is let go. */
import type { Piece, Pieces } from './pieces.ts';
import { badArchive } from './refuse.ts';

const NOTHING = Buffer.alloc(0);

/** Bytes, and the piece they lie in, kept for whoever has them. Without one they are a copy. */
export interface Held {
  readonly bytes: Buffer;
  readonly piece?: Piece;
}

export class Window {
  readonly #pieces: Pieces;
  readonly #beforeWaiting: () => void;
  /** Read and not yet let go: the first may be used up. */
  readonly #parts: { readonly piece: Piece; at: number }[] = [];
  /** Bytes ahead in `#parts`. */
  #have = 0;
  #position: number;

  /** `beforeWaiting` is called before more is asked for: who holds pieces must let them go in time. */
  constructor(pieces: Pieces, start: number, beforeWaiting: () => void) {
    this.#pieces = pieces;
    this.#position = start;
    this.#beforeWaiting = beforeWaiting;
  }

  /** Offset in the file of the next byte. */
  get position(): number {
    return this.#position;
  }

  /** The next `count` bytes, at most a few MiB, valid until the next call. Throws `BAD_ARCHIVE` where they would reach past the end. */
  async take(count: number): Promise<Buffer> {
    const bytes = await this.peek(count);
    if (bytes.length < count) throw past();
    this.#use(count);
    return bytes;
  }

  /** Like `take`, but they stay, and there are fewer at the end. */
  async peek(count: number): Promise<Buffer> {
    this.#drop();
    while (this.#have < count && (await this.#more()));
    return this.#look(Math.min(count, this.#have));
  }

  /** Like `take`, valid until the piece is released. */
  async hold(count: number): Promise<Held> {
    const bytes = await this.take(count);
    const piece = this.#parts[0]?.piece;
    if (piece?.bytes.buffer !== bytes.buffer) return { bytes };
    piece.keep();
    return { bytes, piece };
  }

  /** The next `count` bytes, however many, in pieces that are valid until the next one is asked for. */
  async *through(count: number): AsyncGenerator<Buffer> {
    for (let left = count; left > 0;) {
      this.#drop();
      if (this.#have === 0 && !(await this.#more())) throw past();
      const { piece, at } = this.#parts[0]!;
      const bytes = piece.bytes.subarray(at, at + left);
      this.#use(bytes.length);
      left -= bytes.length;
      yield bytes;
    }
  }

  /** Lets go of everything. */
  close(): void {
    for (const { piece } of this.#parts.splice(0)) piece.release();
    this.#have = 0;
  }

  #look(count: number): Buffer {
    const [first] = this.#parts;
    if (!first || count === 0) return NOTHING;
    const { piece, at } = first;
    if (piece.bytes.length - at >= count) return piece.bytes.subarray(at, at + count);
    const rest = this.#parts.map((part) => part.piece.bytes.subarray(part.at));
    return Buffer.concat(rest, count);
  }

  #use(count: number): void {
    this.#position += count;
    this.#have -= count;
    for (const part of this.#parts) {
      const here = Math.min(count, part.piece.bytes.length - part.at);
      part.at += here;
      count -= here;
    }
  }

  /** Not as soon as they are used up: what was taken last is still being looked at. */
  #drop(): void {
    while (this.#parts[0] && this.#parts[0].at === this.#parts[0].piece.bytes.length)
      this.#parts.shift()!.piece.release();
  }

  async #more(): Promise<boolean> {
    this.#beforeWaiting();
    const piece = await this.#pieces.next();
    if (!piece) return false;
    this.#parts.push({ piece, at: 0 });
    this.#have += piece.bytes.length;
    return true;
  }
}

function past(): Error {
  return badArchive('a member of it reaches into its directory');
}
