/**
 * CRCs of ranges, combined into the CRC of the whole: parallel ranges in any order need no second pass.
 * crc(A·B) = crc(A)·x^(8·|B|) mod P ⊕ crc(B) over GF(2), for reflected CRCs with all-ones init and xorout.
 */
import { crc32 as zlibCrc32 } from 'node:zlib';
import { updateCrc } from './crc-kernel.ts';
import type { Digest } from '../fetcher.ts';
import {
  CRC_PARAMETERS,
  crcHex,
  isCrc,
  type CrcAlgorithm,
  type CrcParameters,
} from './crc-parameters.ts';

export { crcHex, isCrc, type CrcAlgorithm } from './crc-parameters.ts';

/** As it is recorded. */
export function crcDigest(algorithm: CrcAlgorithm, value: bigint): Digest {
  return `${algorithm}:${crcHex(algorithm, value)}`;
}

/** The algorithm of a CRC that was recorded; undefined for what is none, such as another version may have written. */
export function crcAlgorithm(digest: string | undefined): CrcAlgorithm | undefined {
  const [name = ''] = digest?.split(':', 1) ?? [];
  return isCrc(name) ? name : undefined;
}

/**
 * The CRCs to compute: those that are asked for, or CRC-32. One is needed, as the manifest records what was published; a
 * second beside the source's own would cost as much again.
 */
export function neededCrcs(algorithms: Iterable<string>): [CrcAlgorithm, ...CrcAlgorithm[]] {
  const found: CrcAlgorithm[] = [];
  for (const name of algorithms) if (isCrc(name) && !found.includes(name)) found.push(name);
  const [first = 'crc32', ...others] = found;
  return [first, ...others];
}

/** The CRC of two adjoining pieces, from theirs and the second one's length in bytes. */
export function combineCrc(
  algorithm: CrcAlgorithm,
  first: bigint,
  second: bigint,
  secondLength: number,
): bigint {
  if (secondLength === 0) return first;
  const parameters = CRC_PARAMETERS[algorithm];
  return multiply(parameters, power(algorithm, secondLength * 8), first) ^ second;
}

/** a·b mod P in reflected representation, where the top bit is x^0. */
function multiply({ width, polynomial }: CrcParameters, a: bigint, b: bigint): bigint {
  let product = 0n;
  for (let bit = 1n << BigInt(width - 1); bit > 0n; bit >>= 1n) {
    if (a & bit) product ^= b;
    b = b & 1n ? (b >> 1n) ^ polynomial : b >> 1n;
  }
  return product;
}

const squares = new Map<CrcAlgorithm, bigint[]>();
const powers = new Map<string, bigint>();

/** x^n mod P by repeated squaring. Most ranges have one length, so the last powers are kept. */
function power(algorithm: CrcAlgorithm, n: number): bigint {
  const key = `${algorithm}:${String(n)}`;
  const known = powers.get(key);
  if (known !== undefined) return known;
  const parameters = CRC_PARAMETERS[algorithm];
  let table = squares.get(algorithm);
  if (!table) squares.set(algorithm, (table = [1n << BigInt(parameters.width - 2)]));
  let result = 1n << BigInt(parameters.width - 1);
  for (let k = 0, rest = BigInt(n); rest > 0n; k++, rest >>= 1n) {
    table[k] ??= multiply(parameters, table[k - 1]!, table[k - 1]!);
    if (rest & 1n) result = multiply(parameters, table[k]!, result);
  }
  if (powers.size >= 256) powers.clear();
  powers.set(key, result);
  return result;
}

/** The CRC of bytes that come in order. */
export interface CrcState {
  update(chunk: Uint8Array): void;
  value(): bigint;
  /** Forgets what came. */
  reset(): void;
}

/** A state for one range. */
export function createCrc(algorithm: CrcAlgorithm): CrcState {
  let value = 0n;
  return {
    update: (chunk) => {
      value = continueCrc(algorithm, value, chunk);
    },
    value: () => value,
    reset: () => {
      value = 0n;
    },
  };
}

/** Bytes: up to here zlib is done before a call into the kernel pays. */
const SMALL = 1024;

/** The CRC of what `crc` is of, and then `chunk`, in the fastest way there is. */
export function continueCrc(algorithm: CrcAlgorithm, crc: bigint, chunk: Uint8Array): bigint {
  return algorithm === 'crc32' && chunk.length <= SMALL
    ? BigInt(zlibCrc32(chunk, Number(crc)))
    : updateCrc(algorithm, crc, chunk);
}
