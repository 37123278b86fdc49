/** Which of a file's declared digests are checked, and how a mismatch is told. */
import { ModelFetchError } from '../errors.ts';
import type { Digest, DigestAlgorithm } from '../fetcher.ts';

/** Algorithm and lower-case hex of a digest. */
export function parts(digest: Digest): { algorithm: DigestAlgorithm; hex: string } {
  const colon = digest.indexOf(':');
  return { algorithm: digest.slice(0, colon) as DigestAlgorithm, hex: digest.slice(colon + 1) };
}

/** Cheapest first: CRCs are combined from ranges, the rest must follow the bytes in order. */
const BY_COST: readonly DigestAlgorithm[] = [
  'crc32',
  'crc64nvme',
  'crc32c',
  'sha256',
  'sha512',
  'sha1',
  'md5',
];
const STRONG: ReadonlySet<DigestAlgorithm> = new Set(['sha256', 'sha512']);

/**
 * Everything a person asked for (`required`), the source's strong digests, and the cheapest of the rest: a second CRC or
 * an MD5 beside a CRC would cost time and find nothing more.
 */
export function chooseDigests(required: readonly Digest[], declared: readonly Digest[]): Digest[] {
  if (required.length + declared.length === 0) return [];
  const chosen = new Set(required);
  const strong = declared.filter((digest) => STRONG.has(parts(digest).algorithm));
  for (const digest of strong) chosen.add(digest);
  if (strong.length === 0) {
    const [cheapest] = declared.toSorted(
      (a, b) => BY_COST.indexOf(parts(a).algorithm) - BY_COST.indexOf(parts(b).algorithm),
    );
    if (cheapest) chosen.add(cheapest);
  }
  return [...chosen];
}

/** Throws `DIGEST_MISMATCH`, naming file, algorithm, what was expected and what was found. */
export function mustMatch(
  expected: readonly Digest[],
  found: ReadonlyMap<DigestAlgorithm, string>,
  details: { uri: string; path: string },
): void {
  for (const digest of expected) {
    const { algorithm, hex } = parts(digest);
    const actual = found.get(algorithm);
    if (actual !== hex)
      throw mismatch(details.path, { algorithm, expected: hex, found: actual }, details);
  }
}

/** `DIGEST_MISMATCH`: `what` has another digest than it should. */
export function mismatch(
  what: string,
  digest: { algorithm: DigestAlgorithm; expected: string; found: string | undefined },
  details: { uri: string; path: string },
): ModelFetchError {
  const { algorithm, expected, found = 'unknown' } = digest;
  return new ModelFetchError(
    'DIGEST_MISMATCH',
    `${what} does not match its digest: ${algorithm} should be ${expected} and is ${found}`,
    {
      ...details,
      hint: 'The bytes were damaged on the way or at the source; nothing was published. Fetch again, or check the source.',
    },
  );
}
