/** CRCs byte by byte: the tables the kernel starts from, and what does the work where there is no WebAssembly SIMD. */
import type { CrcParameters } from './crc-parameters.ts';

/** What each byte adds to a CRC, in halves of 32 bits: numbers are several times faster than bigints. */
export interface ByteTable {
  readonly low: Uint32Array;
  readonly high: Uint32Array;
}

export function byteTable({ polynomial }: CrcParameters): ByteTable {
  const low = new Uint32Array(256);
  const high = new Uint32Array(256);
  for (let byte = 0; byte < 256; byte++) {
    let value = BigInt(byte);
    for (let bit = 0; bit < 8; bit++) value = value & 1n ? (value >> 1n) ^ polynomial : value >> 1n;
    low[byte] = Number(value & 0xffffffffn);
    high[byte] = Number(value >> 32n);
  }
  return { low, high };
}

/** The CRC of what `crc` is of, and then `chunk`. */
export function plainCrc(
  { width }: CrcParameters,
  table: ByteTable,
  crc: bigint,
  chunk: Uint8Array,
): bigint {
  const ones = (1n << BigInt(width)) - 1n;
  let low = Number(~crc & ones & 0xffffffffn);
  let high = Number((~crc & ones) >> 32n);
  for (const byte of chunk) {
    const entry = (low ^ byte) & 0xff;
    low = ((low >>> 8) | (high << 24)) ^ table.low[entry]!;
    high = (high >>> 8) ^ table.high[entry]!;
  }
  return ~((BigInt(high >>> 0) << 32n) | BigInt(low >>> 0)) & ones;
}
