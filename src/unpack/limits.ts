/** How much an archive may become. A bomb is stopped while it unpacks, whatever it declares. */
import { tooMuch } from './refuse.ts';

export interface UnpackLimits {
  /** Members of any kind. */
  readonly files: number;
  /** Bytes of all files together. */
  readonly bytes: number;
  /** Bytes out for every byte in, once more than a GiB has come out. Absent: any. */
  readonly ratio?: number;
  /** Folders below each other, the file itself included. */
  readonly depth: number;
}

/** Larger than any model known; gzip cannot exceed a ratio of 1032, so only the denser formats meet that limit. */
export const defaultLimits: UnpackLimits = {
  files: 200_000,
  bytes: 2 ** 40,
  ratio: 1100,
  depth: 64,
};

/** Nobody needs a ratio to judge less than this. */
const RATIO_FROM = 2 ** 30;
/** Extended headers and padding that never become a file. */
const MOST_OVERHEAD = 2 ** 28;

/** What one archive has used up so far. Every method throws `LIMIT_EXCEEDED`. */
export class Budget {
  readonly limits: UnpackLimits;
  #members = 0;
  #bytes = 0;
  #overhead = 0;
  #read = 0;
  #inflated = 0;

  constructor(limits: UnpackLimits) {
    this.limits = limits;
  }

  /** One more member, of `size` declared bytes. */
  member(size: number): void {
    this.#members++;
    if (this.#members > this.limits.files)
      throw tooMuch(`it has more than ${this.limits.files} members`);
    this.bytes(size);
  }

  /** Bytes that will be on disk. */
  bytes(size: number): void {
    this.#bytes += size;
    if (this.#bytes > this.limits.bytes)
      throw tooMuch(`its files have more than ${this.limits.bytes} bytes`);
  }

  /** Bytes of the decompressed stream that belong to no file. */
  overhead(bytes: number): void {
    this.#overhead += bytes;
    if (this.#overhead > MOST_OVERHEAD)
      throw tooMuch(`it has more than ${MOST_OVERHEAD} bytes of headers and padding`);
  }

  /** Bytes that came from the source. */
  read(bytes: number): void {
    this.#read += bytes;
  }

  /** Bytes that came out of decompression. */
  inflated(bytes: number): void {
    this.#inflated += bytes;
    const { ratio } = this.limits;
    if (ratio === undefined || this.#inflated <= RATIO_FROM) return;
    if (this.#inflated > this.#read * ratio)
      throw tooMuch(
        `${this.#inflated} bytes came out of ${this.#read}, which is no model but a bomb`,
      );
  }
}
