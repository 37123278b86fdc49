/** Checksums as S3 states them: base64 of big-endian bytes, of a whole object or of the digests of its parts. */
import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';

export const CHECKSUMS = ['crc32', 'crc32c', 'crc64nvme', 'sha1', 'sha256'] as const;
export type ChecksumName = (typeof CHECKSUMS)[number];
export type ChecksumType = 'FULL_OBJECT' | 'COMPOSITE';

/** The raw digest, big-endian. */
export function checksum(name: ChecksumName, bytes: Uint8Array): Buffer {
  switch (name) {
    case 'crc32':
      return fourBytes(crc32(bytes));
    case 'crc32c':
      return fourBytes(crc32c(bytes));
    case 'crc64nvme':
      return crc64nvme(bytes);
    case 'sha1':
    case 'sha256':
      return createHash(name).update(bytes).digest();
  }
}

/** What the `x-amz-checksum-*` header says: a composite is the digest of the parts' digests, and tells their number. */
export function statedChecksum(
  name: ChecksumName,
  type: ChecksumType,
  whole: Uint8Array,
  parts: readonly Uint8Array[],
): string {
  if (type === 'FULL_OBJECT') return checksum(name, whole).toString('base64');
  const digests = Buffer.concat(parts.map((part) => checksum(name, part)));
  return `${checksum(name, digests).toString('base64')}-${parts.length}`;
}

/** `"md5"`, or `"md5-N"` of the parts' digests for a multipart upload. */
export function etagOf(whole: Uint8Array, parts: readonly Uint8Array[] | undefined): string {
  const md5 = (bytes: Uint8Array): Buffer => createHash('md5').update(bytes).digest();
  if (!parts) return `"${md5(whole).toString('hex')}"`;
  return `"${md5(Buffer.concat(parts.map(md5))).toString('hex')}-${parts.length}"`;
}

function fourBytes(value: number): Buffer {
  const out = Buffer.alloc(4);
  out.writeUInt32BE(value >>> 0);
  return out;
}

/** CRC-32C (Castagnoli), reflected 0x82f63b78. Source: RFC 3720 appendix B.4. */
const TABLE_32C = Uint32Array.from({ length: 256 }, (_, index) => {
  let value = index;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1;
  return value;
});

function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = TABLE_32C[(crc ^ byte) & 0xff]! ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

/** CRC-64/NVME, reflected 0x9a6c9329ac4bc9b5, in two halves. Source: NVM Express NVM command set, 5.2.1.3.4. */
const TABLE_64 = (() => {
  const high = new Uint32Array(256);
  const low = new Uint32Array(256);
  for (let index = 0; index < 256; index++) {
    let value = BigInt(index);
    for (let bit = 0; bit < 8; bit++)
      value = value & 1n ? (value >> 1n) ^ 0x9a6c9329ac4bc9b5n : value >> 1n;
    high[index] = Number(value >> 32n);
    low[index] = Number(value & 0xffffffffn);
  }
  return { high, low };
})();

function crc64nvme(bytes: Uint8Array): Buffer {
  let high = 0xffffffff;
  let low = 0xffffffff;
  for (const byte of bytes) {
    const index = (low ^ byte) & 0xff;
    low = ((low >>> 8) | (high << 24)) ^ TABLE_64.low[index]!;
    high = (high >>> 8) ^ TABLE_64.high[index]!;
  }
  return Buffer.concat([fourBytes(high ^ 0xffffffff), fourBytes(low ^ 0xffffffff)]);
}
