/**
 * Where a frame of a compressed stream ends, found without decompressing it. A zstd frame (RFC 8878, section 3.1) tells by the
 * headers of its blocks. A gzip member (RFC 1952) tells only where its writer says so in an extra field, and that is a claim.
 */

/** What is known of a frame so far. */
export interface Frame {
  /** Bytes it decompresses to: what it says, or else the most that its blocks so far can be. */
  plain: number;
  /** Whether it says so. */
  declared: boolean;
  /** Bytes its decoder must remember beside what it gives out. */
  window: number;
  /** Whether there is something to decompress. */
  empty: boolean;
}

/** Takes or passes over so many bytes at a time. Answers whether it found the frame's end, or cannot tell where that is. */
export type Walk = Generator<
  { readonly take: number } | { readonly skip: number },
  boolean,
  Uint8Array
>;

const ZSTD_MAGIC = 0xfd2fb528;
const SKIPPABLE_MAGIC = 0x184d2a50;
/** What Node's decoder accepts. It looks at this only where it needs a window, so such a frame is its to judge. */
const MOST_WINDOW = 2 ** 27;
const MOST_BLOCK = 128 * 1024;
const RLE_BLOCK = 1;
const COMPRESSED_BLOCK = 2;
const RESERVED_BLOCK = 3;

/** A zstd frame, or a skippable one. */
export function* zstdFrame(frame: Frame): Walk {
  const magic = little(yield { take: 4 });
  if (magic - (magic % 16) === SKIPPABLE_MAGIC) {
    frame.empty = true;
    yield { skip: little(yield { take: 4 }) };
    return true;
  }
  if (magic !== ZSTD_MAGIC) return false;
  const descriptor = little(yield { take: 1 });
  const single = (descriptor & 0x20) !== 0;
  if ((descriptor & 0x08) !== 0) return false;
  let window = 0;
  if (!single) {
    const exponent = little(yield { take: 1 });
    window = 2 ** (10 + (exponent >> 3)) * (1 + (exponent & 7) / 8);
  }
  yield { skip: [0, 1, 2, 4][descriptor & 3]! };
  const sizeBytes = [single ? 1 : 0, 2, 4, 8][descriptor >> 6]!;
  frame.declared = sizeBytes > 0;
  if (frame.declared) frame.plain = little(yield { take: sizeBytes }) + (sizeBytes === 2 ? 256 : 0);
  if (single) window = frame.plain;
  if (window > MOST_WINDOW) return false;
  if (!frame.declared) frame.window = window;
  for (let last = false; !last;) {
    const block = little(yield { take: 3 });
    const type = (block >> 1) & 3;
    const size = block >> 3;
    if (type === RESERVED_BLOCK) return false;
    if (!frame.declared)
      frame.plain += type === COMPRESSED_BLOCK ? Math.min(window, MOST_BLOCK) : size;
    yield { skip: type === RLE_BLOCK ? 1 : size };
    last = (block & 1) !== 0;
  }
  if ((descriptor & 0x04) !== 0) yield { skip: 4 };
  return true;
}

const GZIP_HEADER = 12;
const GZIP_TRAILER = 8;
const ONLY_EXTRA = 0x04;

/** A gzip member that says its size. */
export function* gzipMember(frame: Frame): Walk {
  const header = yield { take: GZIP_HEADER };
  const says = header[0] === 0x1f && header[1] === 0x8b && header[2] === 8;
  const flags = header[3]!;
  if (!says || (flags & ONLY_EXTRA) === 0) return false;
  const extraBytes = little(header.subarray(10));
  const beside = GZIP_HEADER + extraBytes;
  const size = memberSize(yield { take: extraBytes }, beside + GZIP_TRAILER, flags);
  const left = size - beside - 4;
  if (!(left > 0)) return false;
  yield { skip: left };
  frame.declared = true;
  frame.plain = little(yield { take: 4 });
  return true;
}

/** Bytes of a member whose header and trailer have `beside`, or NaN. */
function memberSize(extra: Uint8Array, beside: number, flags: number): number {
  for (let at = 0; at + 4 <= extra.length;) {
    const id = String.fromCharCode(extra[at]!, extra[at + 1]!);
    const length = little(extra.subarray(at + 2, at + 4));
    const field = extra.subarray(at + 4, at + 4 + length);
    const says = SAYS[`${id}${field.length}`];
    if (says?.whole) return says.size(field);
    // A name may stand between header and data, as long as it likes.
    if (says) return flags === ONLY_EXTRA ? beside + says.size(field) : NaN;
    at += 4 + length;
  }
  return NaN;
}

interface Says {
  /** Whether the size is that of the whole member, or that of its compressed data. */
  readonly whole: boolean;
  readonly size: (field: Uint8Array) => number;
}

/** Who says it how, by the extra field's id and length. */
const SAYS: Readonly<Record<string, Says | undefined>> = {
  // BGZF, of bgzip: the SAM format specification, section 4.1.
  BC2: { whole: true, size: (field) => little(field) + 1 },
  // pgzip, and mgzip up to 2025, for Python.
  IG4: { whole: true, size: little },
  // PGZF.
  ZC4: { whole: true, size: little },
  // MiGz, and mgzip since.
  MZ4: { whole: false, size: little },
  // Intel's QATzip: behind the size of the content.
  QZ8: { whole: false, size: (field) => little(field.subarray(4)) },
};

/** A number, its lowest byte first. */
function little(bytes: Uint8Array): number {
  let value = 0;
  for (let at = bytes.length - 1; at >= 0; at--) value = value * 256 + bytes[at]!;
  return value;
}

/** One frame, walked through as its bytes come. */
export class FrameWalk {
  readonly frame: Frame = { plain: 0, declared: false, window: 0, empty: false };
  state: 'within' | 'ended' | 'unknown' = 'within';
  /** Bytes walked through. */
  walked = 0;
  readonly #steps: Walk;
  #left = 0;
  /** What was taken of the step before its last bytes came. */
  #taken: Uint8Array | undefined;
  #taking = false;

  constructor(walk: (frame: Frame) => Walk) {
    this.#steps = walk(this.frame);
    this.#step(new Uint8Array());
  }

  /** Bytes of the whole frame, as far as known. */
  get packed(): number {
    return this.walked + this.#left;
  }

  /** Goes on in `chunk`, from `from`. Answers how far it came: to the end of the chunk, or of what could be walked. */
  read(chunk: Uint8Array, from: number): number {
    let at = from;
    while (this.state === 'within' && at < chunk.length) {
      const part = chunk.subarray(at, at + Math.min(this.#left, chunk.length - at));
      at += part.length;
      this.walked += part.length;
      this.#left -= part.length;
      const taken = this.#taking ? this.#take(part) : part;
      if (this.#left === 0) this.#step(taken);
    }
    return at;
  }

  #take(part: Uint8Array): Uint8Array {
    if (this.#left === 0 && !this.#taken) return part;
    const taken = this.#taken ?? new Uint8Array();
    this.#taken = new Uint8Array(taken.length + part.length);
    this.#taken.set(taken);
    this.#taken.set(part, taken.length);
    return this.#taken;
  }

  #step(bytes: Uint8Array): void {
    this.#taken = undefined;
    do {
      const { done, value } = this.#steps.next(bytes);
      if (done) {
        this.state = value ? 'ended' : 'unknown';
        return;
      }
      this.#taking = 'take' in value;
      this.#left = 'take' in value ? value.take : value.skip;
    } while (this.#left === 0);
  }
}
