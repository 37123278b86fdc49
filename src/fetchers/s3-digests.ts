/** Checksums that S3 states, as digests of the whole object; anything less is left out. */
import type { HeadObjectCommandOutput } from '@aws-sdk/client-s3';
import type { Digest, DigestAlgorithm } from '../fetcher.ts';

const FIELDS: readonly (readonly [keyof HeadObjectCommandOutput, DigestAlgorithm, number])[] = [
  ['ChecksumSHA512', 'sha512', 64],
  ['ChecksumSHA256', 'sha256', 32],
  ['ChecksumSHA1', 'sha1', 20],
  ['ChecksumMD5', 'md5', 16],
  ['ChecksumCRC64NVME', 'crc64nvme', 8],
  ['ChecksumCRC32C', 'crc32c', 4],
  ['ChecksumCRC32', 'crc32', 4],
];

/**
 * Full-object digests among the answer's checksums. A composite is a digest of digests: told by its type, by its `-N`,
 * or, from servers that say neither, by a multipart ETag. The ETag of a plain upload is its MD5, but only without KMS
 * and SSE-C, and MD5 costs more than it proves beside a pinned ETag: it is not used.
 */
export function digestsOf(head: HeadObjectCommandOutput): Digest[] {
  if (head.ChecksumType === 'COMPOSITE') return [];
  const multipart = /-\d+"?$/.test(head.ETag ?? '');
  if (head.ChecksumType === undefined && multipart) return [];
  return FIELDS.flatMap(([field, algorithm, length]) => {
    const value = head[field];
    if (typeof value !== 'string' || !/^[A-Za-z0-9+/]+={0,2}$/.test(value)) return [];
    const bytes = Buffer.from(value, 'base64');
    return bytes.length === length ? [`${algorithm}:${bytes.toString('hex')}` as const] : [];
  });
}
