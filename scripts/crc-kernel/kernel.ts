/**
 * The CRC kernel, as WebAssembly. WebAssembly has SIMD but no carry-less multiply, so the bulk of a message is folded with a
 * sparse multiple of the polynomial P: from x^(8D) = Σ x^(8e) mod P follows that a byte may be struck out and added to those
 * D - e bytes after it instead, for each e. Sixteen bytes at a time that is a handful of unaligned loads and XORs, and no
 * table; in the end D bytes are left, which a second multiple of more terms and smaller D makes fewer still.
 * The idea is that of "Chorba: A novel CRC32 implementation" (Russell 2024, arXiv 2412.16398).
 */
import type { Algorithm, Multiple } from './algorithms.ts';
import * as wasm from './wasm.ts';

/** Where things lie in the memory of the module. */
export interface Layout {
  /** By algorithm. */
  readonly tables: Readonly<Record<string, number>>;
  /** Of 256 entries of 8 bytes. */
  readonly tablesEach: number;
  /** For bytes that are copied in. */
  readonly input: number;
  readonly inputLength: number;
  /** So many bytes after the end of a piece are read, whatever they are. */
  readonly readsBeyond: number;
}

const LANE = 16;
/** At most so many bytes in one round of a loop; as few as the history reaches back where that is less. */
const STEP = 4 * LANE;
/** Bytes between two moves of the history to the front; with it, they fit the first-level cache. */
const WINDOW = 16 * 1024;
const INPUT = 256 * 1024;
const TABLES = 8;
const TABLE = 256 * 8;
const PAGE = 64 * 1024;

// Parameters and locals of the exported functions.
const FROM = 0;
const END = 1;
const CRC = 2;
const AT = 3;
const LENGTH = 4;
const WORD = 5;

export function crcModule(algorithms: readonly Algorithm[]): { bytes: Uint8Array; layout: Layout } {
  const multiples = algorithms.flatMap((algorithm) => algorithm.multiples);
  const most = Math.max(...multiples.map(({ degree }) => degree));
  let free = 0;
  const room = (length: number): number => {
    const at = free;
    free = Math.ceil((at + length) / STEP) * STEP;
    return at;
  };
  const tables = Object.fromEntries(algorithms.map(({ name }) => [name, room(TABLES * TABLE)]));
  const history = room(Math.max(WINDOW, most + STEP) + most + STEP);
  const rests = [room(most + STEP), room(most + STEP)];
  const input = room(INPUT + STEP);
  const functions = algorithms.map((algorithm): wasm.WasmFunction => ({
    name: algorithm.name,
    parameters: [wasm.I32, wasm.I32, wasm.I64],
    result: wasm.I64,
    locals: [wasm.I32, wasm.I32, wasm.I64],
    body: update(algorithm, tables[algorithm.name]!, history, rests),
  }));
  return {
    bytes: wasm.wasmModule(Math.ceil(free / PAGE), functions),
    layout: { tables, tablesEach: TABLES, input, inputLength: INPUT, readsBeyond: STEP },
  };
}

/** (from, end, crc) → crc: of the bytes at `from` up to `end`, continuing `crc`. */
function update(
  { width, multiples }: Algorithm,
  tables: number,
  history: number,
  rests: readonly number[],
): wasm.Code {
  const invert = [...wasm.get(CRC), ...wasm.i64((1n << BigInt(width)) - 1n), ...wasm.xor64];
  return [
    ...invert,
    ...wasm.set(CRC),
    ...multiples.flatMap((multiple, index) => fold(multiple, history, rests[index]!)),
    ...sliced(tables),
    ...invert,
  ];
}

/** Folds what lies from FROM to END into a rest, if it is long enough to be worth it, and makes that the new FROM and END. */
function fold({ degree, terms }: Multiple, area: number, rest: number): wasm.Code {
  const step = Math.min(STEP, LANE * Math.floor((degree - Math.max(...terms)) / LANE));
  // Stores to the history are aligned.
  const history = Math.ceil((area + degree) / STEP) * STEP - degree;
  const left = [...wasm.get(END), ...wasm.get(FROM), ...wasm.subtract];
  const next = (local: number): wasm.Code => [
    ...wasm.get(local),
    ...wasm.i32(step),
    ...wasm.add,
    ...wasm.set(local),
  ];
  /** Sixteen bytes and what the history adds to them, for LENGTH bytes from FROM on. */
  const folding = (to: number): wasm.Code => [
    ...wasm.i32(0),
    ...wasm.set(AT),
    ...wasm.loop([
      ...Array.from({ length: step / LANE }, (_, lane) => [
        ...wasm.get(AT),
        ...wasm.get(FROM),
        ...wasm.load128(lane * LANE),
        ...terms.flatMap((term) => [
          ...wasm.get(AT),
          ...wasm.load128(history + term + lane * LANE),
          ...wasm.xor128,
        ]),
        ...wasm.store128(to + lane * LANE),
      ]).flat(),
      ...next(FROM),
      ...next(AT),
      ...wasm.get(AT),
      ...wasm.get(LENGTH),
      ...wasm.lessThan,
      ...wasm.breakIf(0),
    ]),
  ];
  return [
    ...left,
    ...wasm.i32(2 * degree + STEP),
    ...wasm.atLeast,
    ...wasm.when([
      // Before the first byte there is nothing but the CRC so far, as if it stood D bytes before.
      ...[...wasm.i32(history), ...wasm.i32(0), ...wasm.i32(degree), ...wasm.fillMemory],
      ...[...wasm.i32(history), ...wasm.get(CRC), ...wasm.store64(0)],
      ...[...wasm.i64(0n), ...wasm.set(CRC)],
      ...wasm.block(
        wasm.loop([
          ...[...left, ...wasm.i32(degree), ...wasm.subtract, ...wasm.i32(-step), ...wasm.and],
          ...wasm.set(LENGTH),
          ...[...wasm.get(LENGTH), ...wasm.isZero, ...wasm.breakIf(1)],
          ...[...wasm.get(LENGTH), ...wasm.i32(WINDOW)],
          ...[...wasm.get(LENGTH), ...wasm.i32(WINDOW), ...wasm.lessThan, ...wasm.select],
          ...wasm.set(LENGTH),
          ...folding(history + degree),
          ...[...wasm.i32(history), ...wasm.get(LENGTH), ...wasm.i32(history), ...wasm.add],
          ...[...wasm.i32(degree), ...wasm.copyMemory],
          ...wasm.goTo(0),
        ]),
      ),
      // What is left only takes: nothing of it is struck out, so after the history come zeros.
      ...[...wasm.i32(history + degree), ...wasm.i32(0), ...wasm.i32(degree + STEP)],
      ...wasm.fillMemory,
      ...[...left, ...wasm.set(LENGTH)],
      ...[...wasm.i32(rest), ...wasm.get(LENGTH), ...wasm.add, ...wasm.set(END)],
      ...folding(rest),
      ...[...wasm.i32(rest), ...wasm.set(FROM)],
    ]),
  ];
}

/** The CRC of few bytes: eight at a time with eight tables, then one at a time. */
function sliced(tables: number): wasm.Code {
  const lookUp = (table: number, byte: number): wasm.Code => [
    ...wasm.get(WORD),
    // The byte times eight, the size of an entry.
    ...(byte === 0
      ? [...wasm.i64(3n), ...wasm.shiftLeft64]
      : [...wasm.i64(BigInt(byte * 8 - 3)), ...wasm.shiftRight64]),
    ...[...wasm.i64(0x7f8n), ...wasm.and64, ...wasm.toI32],
    ...wasm.load64(tables + table * TABLE),
  ];
  const left = (bytes: number): wasm.Code => [
    ...[...wasm.get(END), ...wasm.get(FROM), ...wasm.subtract],
    ...[...wasm.i32(bytes), ...wasm.lessThan, ...wasm.breakIf(1)],
  ];
  const next = (bytes: number): wasm.Code => [
    ...[...wasm.get(FROM), ...wasm.i32(bytes), ...wasm.add, ...wasm.set(FROM)],
    ...wasm.goTo(0),
  ];
  return [
    ...wasm.block(
      wasm.loop([
        ...left(TABLES),
        ...[...wasm.get(FROM), ...wasm.load64(0), ...wasm.get(CRC), ...wasm.xor64],
        ...wasm.set(WORD),
        ...lookUp(TABLES - 1, 0),
        ...Array.from({ length: TABLES - 1 }, (_, index) => [
          ...lookUp(TABLES - 2 - index, index + 1),
          ...wasm.xor64,
        ]).flat(),
        ...wasm.set(CRC),
        ...next(TABLES),
      ]),
    ),
    ...wasm.block(
      wasm.loop([
        ...left(1),
        ...[...wasm.get(FROM), ...wasm.load8(0), ...wasm.get(CRC), ...wasm.xor64],
        ...wasm.set(WORD),
        ...lookUp(0, 0),
        ...[...wasm.get(CRC), ...wasm.i64(8n), ...wasm.shiftRight64, ...wasm.xor64],
        ...wasm.set(CRC),
        ...next(1),
      ]),
    ),
  ];
}
