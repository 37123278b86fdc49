/** Bytes passed through while their digests are computed, and checked at the end: for streams that are consumed on the way. */
import { createHash } from 'node:crypto';
import type { Digest, DigestAlgorithm, PartDigest } from '../fetcher.ts';
import { crcHex, isCrc, neededCrcs } from './crc.ts';
import { rangeDigester, type RangeDigester } from './digester.ts';
import { chooseDigests, mustMatch, parts } from './expected.ts';
import { allOf, partsMustMatch, PartsLine } from './parts.ts';

export interface CheckedStream {
  readonly bytes: AsyncGenerator<Uint8Array>;
  /** After the end: what was checked, how many bytes, and a CRC of them. */
  result(): { readonly size: number; readonly crc: Digest; readonly against: readonly Digest[] };
}

/**
 * `declared` is asked when the first chunk is here, for some digests are only learnt from the answer's head. A mismatch is
 * thrown at the end of the stream, as `DIGEST_MISMATCH`: whoever consumes it must not publish before. The digests of
 * `declaredParts`, if there are any, are checked too.
 */
export function checkedStream(
  source: AsyncIterable<Uint8Array>,
  required: readonly Digest[],
  declared: () => readonly Digest[],
  details: { uri: string; path: string },
  declaredParts: readonly PartDigest[] = [],
): CheckedStream {
  let result: ReturnType<CheckedStream['result']> | undefined;
  async function* pass(): AsyncGenerator<Uint8Array> {
    let size = 0;
    const line = new PartsLine(declaredParts);
    let against: readonly Digest[] | undefined;
    let crcs: RangeDigester | undefined;
    let hashes = new Map<DigestAlgorithm, ReturnType<typeof createHash>>();
    const begin = (): void => {
      against = chooseDigests(required, declared());
      const algorithms = against.map((digest) => parts(digest).algorithm);
      crcs = rangeDigester(algorithms.filter(isCrc));
      hashes = new Map(
        algorithms.filter((name) => !isCrc(name)).map((name) => [name, createHash(name)]),
      );
    };
    for await (const chunk of source) {
      if (!crcs) begin();
      crcs!.update(chunk);
      for (const hash of hashes.values()) hash.update(chunk);
      line.update(chunk);
      size += chunk.length;
      yield chunk;
    }
    if (!crcs) begin();
    const found = new Map<DigestAlgorithm, string>();
    for (const [name, value] of crcs!.values()) found.set(name, crcHex(name, value));
    for (const [name, hash] of hashes) found.set(name, hash.digest('hex'));
    mustMatch(against!, found, details);
    partsMustMatch(declaredParts, line.found, details);
    const [name] = neededCrcs(against!.map((digest) => parts(digest).algorithm));
    result = { size, crc: `${name}:${found.get(name)!}`, against: allOf(against!, declaredParts) };
  }
  return {
    bytes: pass(),
    result: () => {
      if (!result) throw new Error('the stream has not ended');
      return result;
    },
  };
}
