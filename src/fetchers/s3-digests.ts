/** Checksums that S3 states, as digests: of a whole object, or of the digests of its parts. */
import type { HeadObjectCommandOutput } from '@aws-sdk/client-s3';
import type { Digest, DigestAlgorithm } from '../fetcher.ts';

const FIELDS = [
  ['ChecksumSHA512', 'sha512', 64],
  ['ChecksumSHA256', 'sha256', 32],
  ['ChecksumSHA1', 'sha1', 20],
  ['ChecksumMD5', 'md5', 16],
  ['ChecksumCRC64NVME', 'crc64nvme', 8],
  ['ChecksumCRC32C', 'crc32c', 4],
  ['ChecksumCRC32', 'crc32', 4],
] as const satisfies readonly (readonly [keyof HeadObjectCommandOutput, DigestAlgorithm, number])[];

/** Where S3 states checksums: the answer to a HEAD, or what it says of a part. */
export type Stating = Pick<HeadObjectCommandOutput, (typeof FIELDS)[number][0]>;

/**
 * Full-object digests among the answer's checksums. A composite is a digest of digests: told by its type, by its `-N`,
 * or, from servers that say neither, by a multipart ETag. The ETag of a plain upload is its MD5, but only without KMS
 * and SSE-C, and MD5 costs more than it proves beside a pinned ETag: it is not used.
 */
export function digestsOf(head: HeadObjectCommandOutput): Digest[] {
  return isComposite(head) ? [] : stated(head).map(({ digest }) => digest);
}

/** The digest of the parts' digests that the answer states; of several the one that is cheapest to check. */
export function compositeOf(head: HeadObjectCommandOutput): Digest | undefined {
  return isComposite(head) ? stated(head, /-\d+$/).at(-1)?.digest : undefined;
}

/** The digest of a part by `algorithm`, as `part` states it. */
export function digestOfPart(part: Stating, algorithm: DigestAlgorithm): Digest | undefined {
  return stated(part).find((one) => one.algorithm === algorithm)?.digest;
}

function isComposite(head: HeadObjectCommandOutput): boolean {
  if (head.ChecksumType === 'COMPOSITE') return true;
  return head.ChecksumType === undefined && /-\d+"?$/.test(head.ETag ?? '');
}

function stated(
  from: Stating,
  suffix?: RegExp,
): { readonly algorithm: DigestAlgorithm; readonly digest: Digest }[] {
  return FIELDS.flatMap(([field, algorithm, length]) => {
    const value = suffix ? from[field]?.replace(suffix, '') : from[field];
    if (value === undefined || !/^[A-Za-z0-9+/]+={0,2}$/.test(value)) return [];
    const bytes = Buffer.from(value, 'base64');
    return bytes.length === length
      ? [{ algorithm, digest: `${algorithm}:${bytes.toString('hex')}` as const }]
      : [];
  });
}
