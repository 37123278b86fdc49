/** The parts of `unbzip2-stream` that are used here; it brings no types. */

declare module 'unbzip2-stream/lib/bit_iterator.js' {
  export type ReadBits = ((count: number | null) => number) & { readonly bytesRead: number };
  /** `next` answers the next bytes; it must throw when there are none. */
  export default function bitIterator(next: () => Uint8Array): ReadBits;
}

declare module 'unbzip2-stream/lib/bzip2.js' {
  import type { ReadBits } from 'unbzip2-stream/lib/bit_iterator.js';
  const bzip2: {
    /** Reads `BZh1` to `BZh9`. Answers the level. */
    header(bits: ReadBits): number;
    /** Decodes one block, byte by byte, or checks the end of a stream. Answers the running CRC; null after the end. */
    decompress(
      bits: ReadBits,
      out: (byte: number) => void,
      work: Int32Array,
      workLength: number,
      crc: number,
    ): number | null;
  };
  export default bzip2;
}
