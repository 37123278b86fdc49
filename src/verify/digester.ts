/** Digests of one file while its bytes arrive: CRCs range by range in any order, the others along the contiguous front. */
import { createHash, type Hash } from 'node:crypto';
import type { ByteRange, Digest, DigestAlgorithm } from '../fetcher.ts';
import type { FileHash } from './hash-thread.ts';
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

interface Piece extends ByteRange {
  readonly crcs: ReadonlyMap<CrcAlgorithm, bigint>;
}

/**
 * Puts the pieces of a file together. `readBack` gives bytes that have been written, for digests that need order, unless
 * `elsewhere` computes those on another thread.
 */
export class FileDigester {
  /** At least one. The first is what is recorded. */
  readonly crcs: readonly [CrcAlgorithm, ...CrcAlgorithm[]];
  readonly #hashes: ReadonlyMap<DigestAlgorithm, Hash>;
  readonly #readBack: ReadBack;
  readonly #elsewhere: FileHash | undefined;
  readonly #waiting = new Map<number, Piece>();
  readonly #combined = new Map<CrcAlgorithm, bigint>();
  #front = 0;
  #advancing: Promise<void> = Promise.resolve();

  constructor(
    algorithms: Iterable<DigestAlgorithm>,
    readBack: ReadBack,
    elsewhere?: (ordered: readonly DigestAlgorithm[]) => FileHash,
  ) {
    const all = new Set<DigestAlgorithm>(algorithms);
    this.crcs = neededCrcs(all);
    const ordered = [...all].filter((name) => !isCrc(name));
    this.#elsewhere = ordered.length > 0 ? elsewhere?.(ordered) : undefined;
    this.#hashes = new Map(this.#elsewhere ? [] : ordered.map((name) => [name, createHash(name)]));
    this.#readBack = readBack;
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
    for (const [name, hash] of this.#hashes) result.set(name, hash.digest('hex'));
    for (const [name, hex] of (await this.#elsewhere?.digests()) ?? []) result.set(name, hex);
    return result;
  }

  /** Of the `result`, what is recorded of the file. */
  recorded(result: ReadonlyMap<DigestAlgorithm, string>): Digest {
    return `${this.crcs[0]}:${result.get(this.crcs[0])!}`;
  }

  /** Resolves when nothing reads the file any more. */
  async idle(): Promise<void> {
    await this.#advancing.catch(() => undefined);
    await this.#elsewhere?.idle();
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
      if (this.#elsewhere) await this.#elsewhere.range(piece);
      else if (this.#hashes.size > 0) await this.#hash(piece);
      this.#front = piece.end;
      if (piece.end === piece.start) break;
    }
  }

  async #hash(piece: Piece): Promise<void> {
    for await (const bytes of pieces(piece, this.#readBack))
      for (const hash of this.#hashes.values()) hash.update(bytes);
  }
}
