/** Open Inference's datatypes, and their bytes: little-endian, rows first, nothing between the elements. */
import type { NumericArray } from '../array.ts';
import { MicroserviceError } from '../errors.ts';

type Constructor = new (buffer: ArrayBuffer) => NumericArray;

const ARRAYS: Readonly<Record<string, Constructor & { readonly BYTES_PER_ELEMENT: number }>> = {
  BOOL: Uint8Array,
  UINT8: Uint8Array,
  UINT16: Uint16Array,
  UINT32: Uint32Array,
  UINT64: BigUint64Array,
  INT8: Int8Array,
  INT16: Int16Array,
  INT32: Int32Array,
  INT64: BigInt64Array,
  FP16: Float16Array,
  FP32: Float32Array,
  FP64: Float64Array,
};
const LENGTH = 4;

export function isDatatype(datatype: unknown): datatype is string {
  return datatype === 'BYTES' || (typeof datatype === 'string' && Object.hasOwn(ARRAYS, datatype));
}

/**
 * The values that `bytes` hold: numbers, booleans, or one Buffer an element for `BYTES`. 64-bit integers are bigints only
 * where a number could not hold them. Throws `MICROSERVICE_BAD_DATA`.
 */
export function decode(datatype: string, bytes: Uint8Array): unknown[] {
  if (datatype === 'BYTES')
    return decodeStrings(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  const array = ARRAYS[datatype]!;
  if (bytes.byteLength % array.BYTES_PER_ELEMENT !== 0)
    throw new MicroserviceError(`${bytes.byteLength} bytes are no whole number of ${datatype}`);
  // A copy, for a view of the body may begin at an odd byte.
  const values: unknown[] = Array.from<unknown>(
    new array(new Uint8Array(bytes).buffer) as unknown as ArrayLike<unknown>,
  );
  if (datatype === 'BOOL') return values.map(Boolean);
  return values.map((one) => (typeof one === 'bigint' ? smallest(one) : one));
}

/** The bytes of `values`. Throws where a value is not of the datatype. */
export function encode(datatype: string, values: readonly unknown[]): Uint8Array {
  if (datatype === 'BYTES') return encodeStrings(values);
  const wide = datatype === 'INT64' || datatype === 'UINT64';
  const array = new (ARRAYS[datatype] as unknown as new (length: number) => NumericArray)(
    values.length,
  );
  for (const [index, value] of values.entries())
    array[index] = wide ? BigInt(value as number) : Number(value);
  return new Uint8Array(array.buffer);
}

/** The bytes of a typed array that is of this datatype already; undefined where it is of another. */
export function bytesOf(datatype: string, data: NumericArray): Uint8Array | undefined {
  if (datatype === 'BOOL' || !(data instanceof (ARRAYS[datatype] ?? Array))) return undefined;
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

/** The datatype a typed array has by itself. */
export function datatypeOf(data: NumericArray): string {
  const found = Object.entries(ARRAYS).find(
    ([name, array]) => name !== 'BOOL' && data instanceof array,
  );
  return found?.[0] ?? 'UINT8';
}

function smallest(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

/** Each element is its length, four bytes, and its bytes. */
function decodeStrings(bytes: Buffer): Buffer[] {
  const elements: Buffer[] = [];
  for (let offset = 0; offset < bytes.length;) {
    const begin = offset + LENGTH;
    const end = begin <= bytes.length ? begin + bytes.readUInt32LE(offset) : Infinity;
    if (end > bytes.length) throw new MicroserviceError('an element of BYTES is cut off');
    elements.push(bytes.subarray(begin, end));
    offset = end;
  }
  return elements;
}

function encodeStrings(values: readonly unknown[]): Uint8Array {
  return Buffer.concat(
    values.flatMap((value) => {
      const bytes = value instanceof Uint8Array ? value : Buffer.from(String(value));
      const length = Buffer.alloc(LENGTH);
      length.writeUInt32LE(bytes.byteLength);
      return [length, bytes];
    }),
  );
}
