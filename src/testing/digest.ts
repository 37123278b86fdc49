/** Digests computed apart from the engine's own, so that the suite does not check a mistake with itself. */
import { createHash } from 'node:crypto';
import type { Digest, DigestAlgorithm } from '../fetcher.ts';

/** Reflected polynomials and widths. Source: the CRC catalogue's CRC-32/ISO-HDLC, CRC-32/ISCSI and CRC-64/NVME. */
const CRC: Partial<Record<DigestAlgorithm, { polynomial: bigint; bits: bigint }>> = {
  crc32: { polynomial: 0xedb88320n, bits: 32n },
  crc32c: { polynomial: 0x82f63b78n, bits: 32n },
  crc64nvme: { polynomial: 0x9a6c9329ac4bc9b5n, bits: 64n },
};

/** The digest of `bytes` in the form entries declare it. Slow: for the few KiB of a test. */
export function digestOf(algorithm: DigestAlgorithm, bytes: Uint8Array): Digest {
  const crc = CRC[algorithm];
  const hex = crc
    ? crcOf(bytes, crc.polynomial, crc.bits)
    : createHash(algorithm).update(bytes).digest('hex');
  return `${algorithm}:${hex}`;
}

function crcOf(bytes: Uint8Array, polynomial: bigint, bits: bigint): string {
  const ones = (1n << bits) - 1n;
  const table = Array.from({ length: 256 }, (_, index) => {
    let value = BigInt(index);
    for (let bit = 0; bit < 8; bit++) value = value & 1n ? (value >> 1n) ^ polynomial : value >> 1n;
    return value;
  });
  let crc = ones;
  for (const byte of bytes) crc = (crc >> 8n) ^ table[Number((crc ^ BigInt(byte)) & 0xffn)]!;
  return (crc ^ ones).toString(16).padStart(Number(bits / 4n), '0');
}
