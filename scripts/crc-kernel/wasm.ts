/** As much of the WebAssembly binary format as the CRC kernel needs. Source: https://webassembly.github.io/spec/core/binary/ */

export type Code = readonly number[];
export type ValueType = typeof I32 | typeof I64;

export const I32 = 0x7f;
export const I64 = 0x7e;

/** One exported function. Parameters and locals share one numbering, parameters first. */
export interface WasmFunction {
  readonly name: string;
  readonly parameters: readonly ValueType[];
  readonly result: ValueType;
  readonly locals: readonly ValueType[];
  readonly body: Code;
}

/** A module of `functions` and one memory of `pages` times 64 KiB, exported as `memory`. */
export function wasmModule(pages: number, functions: readonly WasmFunction[]): Uint8Array {
  return Uint8Array.of(
    ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
    ...section(
      1,
      functions.map((one) => [
        0x60,
        ...list(one.parameters.map((type) => [type])),
        ...list([[one.result]]),
      ]),
    ),
    ...section(
      3,
      functions.map((_, index) => unsigned(index)),
    ),
    ...section(5, [[0x00, ...unsigned(pages)]]),
    ...section(7, [
      [...text('memory'), 0x02, 0],
      ...functions.map((one, index) => [...text(one.name), 0x00, ...unsigned(index)]),
    ]),
    ...section(
      10,
      functions.map((one) => {
        const code = [...list(one.locals.map((type) => [1, type])), ...one.body, END];
        return [...unsigned(code.length), ...code];
      }),
    ),
  );
}

function section(id: number, items: readonly Code[]): Code {
  const content = list(items);
  return [id, ...unsigned(content.length), ...content];
}

function list(items: readonly Code[]): Code {
  return [...unsigned(items.length), ...items.flat()];
}

function text(value: string): Code {
  return list([...Buffer.from(value)].map((byte) => [byte]));
}

/** LEB128. */
function unsigned(value: number): Code {
  const bytes: number[] = [];
  for (; value > 0x7f; value = Math.floor(value / 128)) bytes.push((value & 0x7f) | 0x80);
  return [...bytes, value];
}

function signed(value: bigint): Code {
  const bytes: number[] = [];
  for (; value < -64n || value > 63n; value >>= 7n) bytes.push(Number(value & 0x7fn) | 0x80);
  return [...bytes, Number(value & 0x7fn)];
}

const END = 0x0b;
const NO_RESULT = 0x40;

export const get = (local: number): Code => [0x20, ...unsigned(local)];
export const set = (local: number): Code => [0x21, ...unsigned(local)];
export const i32 = (value: number): Code => [0x41, ...signed(BigInt.asIntN(32, BigInt(value)))];
export const i64 = (value: bigint): Code => [0x42, ...signed(BigInt.asIntN(64, value))];

export const block = (body: Code): Code => [0x02, NO_RESULT, ...body, END];
export const loop = (body: Code): Code => [0x03, NO_RESULT, ...body, END];
export const when = (body: Code): Code => [0x04, NO_RESULT, ...body, END];
/** Leaves so many blocks, or goes back to the start of a loop, if the value on the stack is not zero. */
export const breakIf = (depth: number): Code => [0x0d, depth];
export const goTo = (depth: number): Code => [0x0c, depth];

export const isZero = [0x45];
export const lessThan = [0x49];
export const atLeast = [0x4f];
export const add = [0x6a];
export const subtract = [0x6b];
export const and = [0x71];
/** The first of two values if the third is not zero, else the second. */
export const select = [0x1b];
export const xor64 = [0x85];
export const shiftLeft64 = [0x86];
export const shiftRight64 = [0x88];
export const and64 = [0x83];
export const toI32 = [0xa7];
export const xor128 = [0xfd, 0x51];

/** Memory at the address on the stack plus `offset`. Any alignment will do: the hints say one byte. */
export const load8 = (offset: number): Code => [0x31, 0, ...unsigned(offset)];
export const load64 = (offset: number): Code => [0x29, 0, ...unsigned(offset)];
export const store64 = (offset: number): Code => [0x37, 0, ...unsigned(offset)];
export const load128 = (offset: number): Code => [0xfd, 0x00, 0, ...unsigned(offset)];
export const store128 = (offset: number): Code => [0xfd, 0x0b, 0, ...unsigned(offset)];
/** To, from, length. */
export const copyMemory = [0xfc, 0x0a, 0, 0];
/** To, byte, length. */
export const fillMemory = [0xfc, 0x0b, 0];
