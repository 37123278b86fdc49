/**
 * bzip2 over the block decoder of `unbzip2-stream`, which checks the CRC of every block and of the whole. Its stream is not
 * used: it takes an empty input for a whole one and keeps every byte of a block as a JavaScript number, and a hostile
 * block becomes 46 MB.
 */
import bitReader, { type ReadBits } from 'unbzip2-stream/lib/bit_iterator.js';
import decoder from 'unbzip2-stream/lib/bzip2.js';
import { badArchive } from './refuse.ts';

/** More than any block of a level compresses to, so that a block is only decoded when all of it is there. */
const largestBlock = (level: number): number => 25_000 + 100_000 * level;
const PIECE = 256 * 1024;

/** Decompresses one or more joined streams. Throws `BAD_ARCHIVE`; what `chunks` throws comes out as it is. */
export async function* bunzip2(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const stream = new Bzip2();
  for await (const chunk of chunks) {
    stream.push(new Uint8Array(chunk));
    while (stream.hasBlock) yield* stream.block();
  }
  while (stream.hasMore) yield* stream.block();
  stream.end();
}

class Bzip2 {
  readonly #queue: Uint8Array[] = [];
  #given = 0;
  #bits: ReadBits | undefined;
  /** 0 between streams. */
  #level = 0;
  #crc = 0;
  #work = new Int32Array(0);
  #begun = false;

  push(chunk: Uint8Array): void {
    if (chunk.length === 0) return;
    this.#queue.push(chunk);
    this.#given += chunk.length;
  }

  get hasMore(): boolean {
    return this.#level > 0 || this.#given > (this.#bits?.bytesRead ?? 0);
  }

  get hasBlock(): boolean {
    const waiting = this.#given - (this.#bits?.bytesRead ?? 0);
    return this.hasMore && waiting >= (this.#level === 0 ? 4 : largestBlock(this.#level));
  }

  /** Reads the next header, block or end. */
  block(): Uint8Array[] {
    const out = new Pieces();
    try {
      this.#bits ??= bitReader(() => this.#next());
      if (this.#level === 0) {
        this.#level = decoder.header(this.#bits);
        this.#crc = 0;
        this.#begun = true;
        if (this.#work.length < 100_000 * this.#level)
          this.#work = new Int32Array(100_000 * this.#level);
        return [];
      }
      const crc = decoder.decompress(
        this.#bits,
        out.byte,
        this.#work,
        100_000 * this.#level,
        this.#crc,
      );
      if (crc === null) this.#level = 0;
      else this.#crc = crc;
    } catch (error) {
      throw error instanceof RanOut ? endsEarly() : damaged(error);
    }
    return out.all();
  }

  end(): void {
    if (!this.#begun) throw endsEarly();
  }

  #next(): Uint8Array {
    const chunk = this.#queue.shift();
    if (!chunk) throw new RanOut();
    return chunk;
  }
}

class RanOut extends Error {}

/** Bytes, one at a time, into buffers. */
class Pieces {
  readonly #full: Uint8Array[] = [];
  #piece = new Uint8Array(PIECE);
  #used = 0;

  readonly byte = (byte: number): void => {
    if (this.#used === PIECE) {
      this.#full.push(this.#piece);
      this.#piece = new Uint8Array(PIECE);
      this.#used = 0;
    }
    this.#piece[this.#used++] = byte;
  };

  all(): Uint8Array[] {
    return this.#used === 0 ? this.#full : [...this.#full, this.#piece.subarray(0, this.#used)];
  }
}

function endsEarly(): Error {
  return badArchive('its compressed data ends early');
}

function damaged(error: unknown): Error {
  return badArchive('its compressed data is damaged (bzip2)', undefined, error);
}
