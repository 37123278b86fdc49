/** A zip that is read by ranges while it is unpacked, never put on disk: every byte of it goes through its digests once. */
import { createHash } from 'node:crypto';
import type { ByteRange, Digest, DigestAlgorithm, PartDigest } from '../fetcher.ts';
import { linked } from '../linked.ts';
import { read, type Transfer } from '../transfer/read.ts';
import type { Source } from '../transfer/source.ts';
import type { ArchiveSource } from '../unpack/unpack.ts';
import { isCrc } from '../verify/crc.ts';
import { FileDigester, PieceLine, type Piece } from '../verify/digester.ts';
import { mustMatch, parts } from '../verify/expected.ts';
import { allOf, partsMustMatch } from '../verify/parts.ts';

/** Bytes up to the end of the file, as they were read; kept only where they are needed again. */
interface Tail {
  readonly pieces: readonly Piece[];
  readonly bytes: Buffer;
}

/** What `unpack` reads such a zip by. What reads throw comes from `read`: `RangeIgnored` where there are no ranges. */
export class RangedZip implements Required<
  Pick<ArchiveSource, 'size' | 'read' | 'fill' | 'ordered'>
> {
  readonly size: number;
  readonly ordered: boolean;
  readonly #source: Source;
  readonly #transfer: Transfer;
  readonly #stop = new AbortController();
  readonly #underWay = new Set<Promise<void>>();
  readonly #against: readonly Digest[];
  readonly #parts: readonly PartDigest[];
  readonly #crcs: FileDigester;
  readonly #hashes: ReadonlyMap<DigestAlgorithm, ReturnType<typeof createHash>>;
  /** How far the members were read, and all digests that need order once `#inTurn` has settled. */
  #front = 0;
  #inTurn: Promise<unknown> = Promise.resolve();
  readonly #tails = new Map<number, Tail>();
  /** The end, read first: the directory often lies in it. */
  #end: { readonly start: number; readonly bytes: Buffer } | undefined;

  /** The zip of a known size behind `source`, to be checked `against` these, and its parts by theirs, which are CRCs. */
  constructor(
    transfer: Transfer,
    source: Source,
    against: readonly Digest[],
    inParts: readonly PartDigest[],
  ) {
    this.size = source.entry.size!;
    this.#source = source;
    this.#transfer = { ...transfer, signal: linked(transfer.signal, this.#stop) };
    this.#against = against;
    const algorithms = against.map((digest) => parts(digest).algorithm);
    this.#parts = inParts;
    this.#crcs = new FileDigester(algorithms.filter(isCrc), () => 0, undefined, inParts);
    const others = algorithms.filter((name) => !isCrc(name));
    this.#hashes = new Map(others.map((name) => [name, createHash(name)]));
    this.ordered = others.length > 0;
  }

  /** Of the first bytes, and those up to the end. */
  readonly read = async (start: number, end: number): Promise<Buffer> => {
    const bytes = Buffer.allocUnsafe(end - start);
    const { start: known, bytes: there } = this.#end ?? { start: end, bytes: bytes.subarray(0, 0) };
    const fetched = Math.min(Math.max(known - start, 0), bytes.length);
    await this.#fetch(bytes.subarray(0, fetched), start);
    there.copy(bytes, fetched, start + fetched - known);
    if (end !== this.size) return bytes;
    this.#end ??= { start, bytes: Buffer.from(bytes) };
    const pieces = await this.#piecesOf({ start, end }, (update) => {
      update(bytes);
    });
    this.#tails.set(start, { pieces, bytes: this.ordered ? bytes : bytes.subarray(0, 0) });
    return bytes;
  };

  /** Of the members. */
  readonly fill = async (into: Uint8Array, start: number): Promise<void> => {
    const end = start + into.length;
    this.#front = Math.max(this.#front, end);
    const filled = this.#piecesOf({ start, end }, (update) =>
      this.#fetch(into, start, update),
    ).then((pieces) => {
      for (const piece of pieces) this.#crcs.add(piece);
    });
    const before = this.#inTurn;
    // Handed on only when it has been hashed: its memory is used again.
    const hashed = Promise.all([filled, before]).then(() => {
      for (const hash of this.#hashes.values()) hash.update(into);
    });
    this.#inTurn = hashed;
    hashed.catch(() => undefined);
    await (this.ordered ? hashed : filled);
  };

  /** When it has been unpacked: what the whole was checked against. Throws `DIGEST_MISMATCH`. */
  async result(): Promise<{ size: number; crc: Digest; against: readonly Digest[] }> {
    await this.#inTurn;
    const tail = this.#tails.get(this.#front);
    if (!tail) throw new Error('the members and the directory of a zip do not adjoin');
    for (const piece of tail.pieces) this.#crcs.add(piece);
    const found = new Map(await this.#crcs.result());
    for (const [name, hash] of this.#hashes) found.set(name, hash.update(tail.bytes).digest('hex'));
    const { entry, fetcher } = this.#source;
    const details = { uri: fetcher.uri, path: entry.path };
    mustMatch(this.#against, found, details);
    partsMustMatch(this.#parts, this.#crcs.partsFound, details);
    const against = allOf(this.#against, this.#parts);
    return { size: this.size, crc: this.#crcs.recorded(found), against };
  }

  /** Ends what is under way; resolves when that has ended. */
  async close(): Promise<void> {
    this.#stop.abort(new Error('the zip is read no more'));
    await Promise.allSettled(this.#underWay);
  }

  async #fetch(
    into: Uint8Array,
    start: number,
    each: (chunk: Uint8Array) => void = () => undefined,
  ): Promise<void> {
    if (into.length === 0) return;
    let at = 0;
    const reading = read(this.#transfer, this.#source, {
      range: { start, end: start + into.length },
      sink: (chunk) => {
        into.set(chunk, at);
        at += chunk.length;
        each(chunk);
      },
    });
    this.#underWay.add(reading);
    await reading.finally(() => this.#underWay.delete(reading));
  }

  /** The CRCs of `range`, which `feed` hands over. */
  async #piecesOf(
    range: ByteRange,
    feed: (update: (chunk: Uint8Array) => void) => void | Promise<void>,
  ): Promise<readonly Piece[]> {
    const pieces = new PieceLine(this.#crcs.crcs, range, this.#parts);
    await feed((chunk) => {
      pieces.update(chunk);
    });
    return pieces.done();
  }
}
