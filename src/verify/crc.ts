/**
 * CRCs of ranges, combined into the CRC of the whole: parallel ranges in any order need no second pass.
 * crc(A·B) = crc(A)·x^(8·|B|) mod P ⊕ crc(B) over GF(2), for reflected CRCs with all-ones init and xorout.
 */
import { crc32 as zlibCrc32 } from 'node:zlib';
import type { IHasher } from 'hash-wasm';

export type CrcAlgorithm = 'crc32' | 'crc32c' | 'crc64nvme';

interface Parameters {
  readonly width: bigint;
  /** Reflected polynomial. */
  readonly polynomial: bigint;
}

/** CRC-32/ISO-HDLC, CRC-32/ISCSI, CRC-64/NVME. Source: the CRC RevEng catalogue. */
const PARAMETERS: Record<CrcAlgorithm, Parameters> = {
  crc32: { width: 32n, polynomial: 0xedb88320n },
  crc32c: { width: 32n, polynomial: 0x82f63b78n },
  crc64nvme: { width: 64n, polynomial: 0x9a6c9329ac4bc9b5n },
};

export function isCrc(algorithm: string): algorithm is CrcAlgorithm {
  return algorithm in PARAMETERS;
}

/** Lower-case hex of full width. */
export function crcHex(algorithm: CrcAlgorithm, value: bigint): string {
  return value.toString(16).padStart(Number(PARAMETERS[algorithm].width / 4n), '0');
}

/** The CRC of two adjoining pieces, from theirs and the second one's length in bytes. */
export function combineCrc(
  algorithm: CrcAlgorithm,
  first: bigint,
  second: bigint,
  secondLength: number,
): bigint {
  if (secondLength === 0) return first;
  const parameters = PARAMETERS[algorithm];
  return multiply(parameters, power(algorithm, secondLength * 8), first) ^ second;
}

/** a·b mod P in reflected representation, where the top bit is x^0. */
function multiply({ width, polynomial }: Parameters, a: bigint, b: bigint): bigint {
  let product = 0n;
  for (let bit = 1n << (width - 1n); bit > 0n; bit >>= 1n) {
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
  const parameters = PARAMETERS[algorithm];
  let table = squares.get(algorithm);
  if (!table) squares.set(algorithm, (table = [1n << (parameters.width - 2n)]));
  let result = 1n << (parameters.width - 1n);
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
  /** Ends it: after this, `reset` comes before another `update`. */
  value(): bigint;
  /** Forgets what came. */
  reset(): void;
}

/** A state for one range. CRC-32 is native; the others are WASM, instantiated once per concurrent range and reused. */
export async function createCrc(algorithm: CrcAlgorithm): Promise<CrcState & { release(): void }> {
  if (algorithm === 'crc32') {
    let value = 0;
    return {
      update: (chunk) => {
        value = zlibCrc32(chunk, value);
      },
      value: () => BigInt(value),
      reset: () => {
        value = 0;
      },
      release: () => undefined,
    };
  }
  const hasher = idle[algorithm].pop() ?? (await instantiate(algorithm));
  hasher.init();
  // A hasher gives its digest once.
  let value: bigint | undefined;
  return {
    update: (chunk) => {
      hasher.update(chunk);
    },
    value: () => (value ??= BigInt(`0x${hasher.digest('hex')}`)),
    reset: () => {
      value = undefined;
      hasher.init();
    },
    release: () => {
      idle[algorithm].push(hasher);
    },
  };
}

const idle: Record<'crc32c' | 'crc64nvme', IHasher[]> = { crc32c: [], crc64nvme: [] };

async function instantiate(algorithm: 'crc32c' | 'crc64nvme'): Promise<IHasher> {
  const { createCRC32, createCRC64 } = await import('hash-wasm');
  return algorithm === 'crc32c'
    ? createCRC32(Number(PARAMETERS.crc32c.polynomial))
    : createCRC64(PARAMETERS.crc64nvme.polynomial.toString(16));
}
