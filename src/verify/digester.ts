/** Digests of one file while its bytes arrive: CRCs range by range in any order, the others along the contiguous front. */
import { createHash } from 'node:crypto';
import type { ByteRange, Digest, DigestAlgorithm, PartDigest } from '../fetcher.ts';
import type { FileHash } from './hash-thread.ts';
import { algorithmOf, cutAtParts } from './parts.ts';
import { combineCrc, crcHex, createCrc, isCrc, neededCrcs, type CrcAlgorithm } from './crc.ts';

/** CRCs of one range, whose bytes come in order. */
export interface RangeDigester {
  update(chunk: Uint8Array): void;
  /** The CRCs so far, by algorithm. */
  values(): ReadonlyMap<CrcAlgorithm, bigint>;
  /** Forgets what came. */
  reset(): void;
}

/** The CRCs that are asked for, or CRC-32. */
export function rangeDigester(algorithms: Iterable<CrcAlgorithm>): RangeDigester {
  const states = neededCrcs(algorithms).map((name) => [name, createCrc(name)] as const);
  return {
    update: (chunk) => {
      for (const [, state] of states) state.update(chunk);
    },
    values: () => new Map(states.map(([name, state]) => [name, state.value()])),
    reset: () => {
      for (const [, state] of states) state.reset();
    },
  };
}

/** The CRCs of a range whose bytes come in order, cut into pieces where parts end. */
export class PieceLine {
  readonly #pieces: readonly ByteRange[];
  readonly #done: Piece[] = [];
  readonly #digester: RangeDigester;
  #at: number;

  constructor(algorithms: Iterable<CrcAlgorithm>, range: ByteRange, parts: readonly PartDigest[]) {
    this.#pieces = cutAtParts(range, parts);
    this.#digester = rangeDigester(algorithms);
    this.#at = range.start;
  }

  update(chunk: Uint8Array): void {
    for (let from = 0; from < chunk.length;) {
      const piece = this.#pieces[this.#done.length];
      if (!piece) throw new RangeError('more bytes than the range has');
      const taken = chunk.subarray(from, from + piece.end - this.#at);
      this.#digester.update(taken);
      from += taken.length;
      this.#at += taken.length;
      if (this.#at < piece.end) return;
      this.#done.push({ ...piece, crcs: this.#digester.values() });
      this.#digester.reset();
    }
  }

  /** When all bytes have come. */
  done(): readonly Piece[] {
    return this.#done;
  }
}

/** The CRCs of `range` as it lies on disk, or undefined where the file is shorter. */
export async function crcsOnDisk(
  range: ByteRange,
  algorithms: Iterable<CrcAlgorithm>,
  read: ReadBack,
): Promise<ReadonlyMap<CrcAlgorithm, bigint> | undefined> {
  const digester = rangeDigester(algorithms);
  try {
    for await (const piece of pieces(range, read)) digester.update(piece);
    return digester.values();
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

/** Fills `into` from `position` on; answers how many bytes there were. */
export type ReadBack = (into: Uint8Array, position: number) => number;

/** `range` in pieces of 1 MiB; sockets get their turn in between. Throws `RangeError` where the file is shorter. */
async function* pieces(range: ByteRange, read: ReadBack): AsyncGenerator<Uint8Array> {
  const buffer = Buffer.allocUnsafe(Math.min(1024 * 1024, Math.max(1, range.end - range.start)));
  for (let at = range.start; at < range.end;) {
    const got = read(buffer.subarray(0, Math.min(buffer.length, range.end - at)), at);
    if (got === 0) throw new RangeError(`staged bytes at ${at} are gone`);
    yield buffer.subarray(0, got);
    at += got;
    await new Promise(setImmediate);
  }
}

/** Bytes that have been written, or summed for good. */
export interface Piece extends ByteRange {
  readonly crcs: ReadonlyMap<CrcAlgorithm, bigint>;
}

/** `FileHash` on this thread, of bytes that `read` gives back. */
function hashHere(algorithms: readonly DigestAlgorithm[], read: ReadBack): FileHash {
  const hashes = new Map(algorithms.map((name) => [name, createHash(name)]));
  return {
    range: async (range) => {
      for await (const bytes of pieces(range, read))
        for (const hash of hashes.values()) hash.update(bytes);
    },
    digests: () =>
      Promise.resolve(new Map([...hashes].map(([name, hash]) => [name, hash.digest('hex')]))),
    idle: () => Promise.resolve(),
  };
}

/**
 * Puts the pieces of a file together. `readBack` gives bytes that have been written, for digests that need order, unless
 * `elsewhere` computes those on another thread. Of each of `parts` the digest is found as well: no piece may reach across
 * the end of one.
 */
export class FileDigester {
  /** At least one. The first is what is recorded. */
  readonly crcs: readonly [CrcAlgorithm, ...CrcAlgorithm[]];
  /** Digests that need order: of the whole, and of the part that the front is in. */
  readonly #whole: FileHash | undefined;
  #part: FileHash | undefined;
  readonly #hash: (algorithms: readonly DigestAlgorithm[]) => FileHash;
  readonly #parts: readonly PartDigest[];
  readonly #partsFound: string[] = [];
  #partCrc: bigint | undefined;
  readonly #waiting = new Map<number, Piece>();
  readonly #combined = new Map<CrcAlgorithm, bigint>();
  #front = 0;
  #advancing: Promise<void> = Promise.resolve();

  constructor(
    algorithms: Iterable<DigestAlgorithm>,
    readBack: ReadBack,
    elsewhere?: (ordered: readonly DigestAlgorithm[]) => FileHash,
    parts: readonly PartDigest[] = [],
  ) {
    const all = new Set<DigestAlgorithm>(algorithms);
    const ofParts = algorithmOf(parts);
    this.crcs = neededCrcs(ofParts ? [...all, ofParts] : all);
    this.#hash = elsewhere ?? ((ordered) => hashHere(ordered, readBack));
    const ordered = [...all].filter((name) => !isCrc(name));
    this.#whole = ordered.length > 0 ? this.#hash(ordered) : undefined;
    this.#parts = parts;
  }

  /** Whether any digest waits for the bytes before. */
  get inOrder(): boolean {
    const ofParts = algorithmOf(this.#parts);
    return this.#whole !== undefined || (ofParts !== undefined && !isCrc(ofParts));
  }

  /** Hex digests of the parts, once there is a `result`. */
  get partsFound(): readonly string[] {
    return this.#partsFound;
  }

  /** A range is complete and written. */
  add(piece: Piece): void {
    this.#waiting.set(piece.start, piece);
    this.#advancing = this.#advancing.then(() => this.#advance());
    // Failures are told by `result`, which awaits the same promise.
    this.#advancing.catch(() => undefined);
  }

  /** Hex digests of the whole, once every piece has been added. */
  async result(): Promise<Map<DigestAlgorithm, string>> {
    await this.#advancing;
    const result = new Map<DigestAlgorithm, string>();
    for (const name of this.crcs) result.set(name, crcHex(name, this.#combined.get(name) ?? 0n));
    for (const [name, hex] of (await this.#whole?.digests()) ?? []) result.set(name, hex);
    return result;
  }

  /** Of the `result`, what is recorded of the file. */
  recorded(result: ReadonlyMap<DigestAlgorithm, string>): Digest {
    return `${this.crcs[0]}:${result.get(this.crcs[0])!}`;
  }

  /** Resolves when nothing reads the file any more. */
  async idle(): Promise<void> {
    await this.#advancing.catch(() => undefined);
    await this.#whole?.idle();
    await this.#part?.idle();
  }

  async #advance(): Promise<void> {
    for (
      let piece = this.#waiting.get(this.#front);
      piece;
      piece = this.#waiting.get(this.#front)
    ) {
      this.#waiting.delete(this.#front);
      for (const [name, crc] of piece.crcs) {
        const before = this.#combined.get(name);
        this.#combined.set(
          name,
          before === undefined ? crc : combineCrc(name, before, crc, piece.end - piece.start),
        );
      }
      await this.#whole?.range(piece);
      await this.#inPart(piece);
      this.#front = piece.end;
      if (piece.end === piece.start) break;
    }
  }

  /** What `piece` adds to the digest of its part. */
  async #inPart(piece: Piece): Promise<void> {
    const part = this.#parts[this.#partsFound.length];
    const algorithm = algorithmOf(this.#parts);
    if (!part || !algorithm) return;
    const ends = piece.end === part.end;
    if (isCrc(algorithm)) {
      const crc = piece.crcs.get(algorithm)!;
      const before = this.#partCrc;
      const combined =
        before === undefined ? crc : combineCrc(algorithm, before, crc, piece.end - piece.start);
      this.#partCrc = ends ? undefined : combined;
      if (ends) this.#partsFound.push(crcHex(algorithm, combined));
    } else {
      this.#part ??= this.#hash([algorithm]);
      await this.#part.range(piece);
      if (!ends) return;
      this.#partsFound.push((await this.#part.digests()).get(algorithm)!);
      this.#part = undefined;
    }
  }
}
