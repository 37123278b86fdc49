/** A stretch of a file, read once from start to end in large pieces, the next one while this one is used. */
import { badArchive } from './refuse.ts';
import { view, type Read } from './zip-end.ts';

const PIECE = 1024 * 1024;

export class Window {
  readonly #read: Read;
  readonly #end: number;
  /** Bytes read and not yet used, beginning at `position`. */
  #have: Buffer = Buffer.alloc(0);
  #next: Promise<Uint8Array> | undefined;
  /** How far has been asked for. */
  #asked: number;
  #position: number;

  constructor(read: Read, start: number, end: number) {
    this.#read = read;
    this.#end = end;
    this.#asked = start;
    this.#position = start;
  }

  /** Offset in the file of the next byte. */
  get position(): number {
    return this.#position;
  }

  /** The next `count` bytes, at most a few MiB. Throws `BAD_ARCHIVE` where they would reach past the end. */
  async take(count: number): Promise<Buffer> {
    const bytes = await this.peek(count);
    if (bytes.length < count) throw past();
    this.#use(count);
    return bytes;
  }

  /** Like `take`, but they stay, and there are fewer at the end. */
  async peek(count: number): Promise<Buffer> {
    while (this.#have.length < count && (await this.#more()));
    return this.#have.subarray(0, count);
  }

  /** The next `count` bytes, however many, in pieces. */
  async *through(count: number): AsyncGenerator<Buffer> {
    for (let left = count; left > 0;) {
      if (this.#have.length === 0 && !(await this.#more())) throw past();
      const piece = this.#have.subarray(0, left);
      this.#use(piece.length);
      left -= piece.length;
      yield piece;
    }
  }

  #use(count: number): void {
    this.#have = this.#have.subarray(count);
    this.#position += count;
  }

  async #more(): Promise<boolean> {
    const asked = this.#next ?? this.#ask();
    if (!asked) return false;
    const bytes = view(await asked);
    this.#next = this.#ask();
    this.#have = this.#have.length === 0 ? bytes : Buffer.concat([this.#have, bytes]);
    return true;
  }

  #ask(): Promise<Uint8Array> | undefined {
    if (this.#asked >= this.#end) return undefined;
    const from = this.#asked;
    this.#asked = Math.min(this.#end, from + PIECE);
    const reading = this.#read(from, this.#asked);
    // A failure is told when the bytes are wanted, if they ever are.
    reading.catch(() => undefined);
    return reading;
  }
}

function past(): Error {
  return badArchive('a member of it reaches into its directory');
}
