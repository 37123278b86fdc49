/** CRCs bit by bit, as the definition has them: what every faster way is held against. */
import { CRC_PARAMETERS, type CrcAlgorithm } from '../../src/verify/crc-parameters.ts';

export function bitwise(algorithm: CrcAlgorithm, bytes: Uint8Array): bigint {
  const { width, polynomial } = CRC_PARAMETERS[algorithm];
  const ones = (1n << BigInt(width)) - 1n;
  let value = ones;
  for (const byte of bytes) {
    value ^= BigInt(byte);
    for (let bit = 0; bit < 8; bit++) value = value & 1n ? (value >> 1n) ^ polynomial : value >> 1n;
  }
  return value ^ ones;
}
