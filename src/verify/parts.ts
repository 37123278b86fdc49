/**
 * Files whose source vouches for the parts they were uploaded in. Every part is checked by itself, and the digest of their
 * digests says it of the whole.
 */
import { createHash } from 'node:crypto';
import type { ByteRange, Digest, DigestAlgorithm, PartDigest, Parts } from '../fetcher.ts';
import { crcHex, createCrc, isCrc } from './crc.ts';
import { mismatch, parts as split } from './expected.ts';

/** Of which all are; undefined where there are none. */
export function algorithmOf(parts: readonly PartDigest[]): DigestAlgorithm | undefined {
  return parts[0] && split(parts[0].digest).algorithm;
}

/** What can be checked against `parts` in a file of `size` bytes: nothing, where they contradict it, themselves or each other. */
export function believable(parts: Parts, size: number | undefined): readonly PartDigest[] {
  const { digests, digest } = parts;
  const algorithm = algorithmOf(digests);
  let at = 0;
  for (const part of digests) {
    if (part.end <= at || split(part.digest).algorithm !== algorithm) return [];
    at = part.end;
  }
  const fits = digest === undefined || digest === digestOfDigests(digests);
  return fits && (size === undefined || at === size) ? digests : [];
}

/** The digest of the raw digests, one after the other. Source: Amazon S3 user guide, "Checking object integrity", composite checksums. */
function digestOfDigests(parts: readonly PartDigest[]): Digest | undefined {
  const algorithm = algorithmOf(parts);
  if (!algorithm) return undefined;
  const state = running(algorithm);
  for (const { digest } of parts) state.update(Buffer.from(split(digest).hex, 'hex'));
  return `${algorithm}:${state.digest()}`;
}

/** What a file was checked against: `whole`, and its parts as S3 writes it: `crc32:1b2c3d4e-12` for twelve. */
export function allOf(whole: readonly Digest[], parts: readonly PartDigest[]): readonly Digest[] {
  const digest = digestOfDigests(parts);
  return digest ? [...whole, `${digest}-${String(parts.length)}` as Digest] : whole;
}

/** `range`, cut where parts end: each piece lies in one. */
export function cutAtParts(range: ByteRange, parts: readonly PartDigest[]): ByteRange[] {
  const pieces: ByteRange[] = [];
  let { start } = range;
  for (const { end } of parts) {
    if (end <= start) continue;
    if (end >= range.end) break;
    pieces.push({ start, end });
    start = end;
  }
  return [...pieces, { start, end: range.end }];
}

/** Throws `DIGEST_MISMATCH`, naming the first part of which another digest was found, and its bytes. */
export function partsMustMatch(
  parts: readonly PartDigest[],
  found: readonly string[],
  details: { uri: string; path: string },
): void {
  let start = 0;
  for (const [index, { end, digest }] of parts.entries()) {
    const { algorithm, hex } = split(digest);
    if (found[index] !== hex)
      throw mismatch(
        `part ${String(index + 1)} of ${String(parts.length)} of ${details.path}, bytes ${String(start)} to ${String(end - 1)},`,
        { algorithm, expected: hex, found: found[index] },
        details,
      );
    start = end;
  }
}

/** The digests of parts whose bytes come in order. */
export class PartsLine {
  /** Hex, of those that have ended. */
  readonly found: string[] = [];
  readonly #parts: readonly PartDigest[];
  #at = 0;
  #state: Running | undefined;

  constructor(parts: readonly PartDigest[]) {
    this.#parts = parts;
  }

  update(chunk: Uint8Array): void {
    let from = 0;
    for (
      let part = this.#parts[this.found.length];
      part && from < chunk.length;
      part = this.#parts[this.found.length]
    ) {
      const piece = chunk.subarray(from, from + part.end - this.#at);
      this.#state ??= running(split(part.digest).algorithm);
      this.#state.update(piece);
      from += piece.length;
      this.#at += piece.length;
      if (this.#at < part.end) return;
      this.found.push(this.#state.digest());
      this.#state = undefined;
    }
  }
}

interface Running {
  update(bytes: Uint8Array): void;
  /** Hex. */
  digest(): string;
}

function running(algorithm: DigestAlgorithm): Running {
  if (isCrc(algorithm)) {
    const state = createCrc(algorithm);
    return {
      update: (bytes) => {
        state.update(bytes);
      },
      digest: () => crcHex(algorithm, state.value()),
    };
  }
  const hash = createHash(algorithm);
  return {
    update: (bytes) => {
      hash.update(bytes);
    },
    digest: () => hash.digest('hex'),
  };
}
