/** Nested arrays with the few rules of numpy that are visible on the wire. */

export type NumericArray =
  | Int8Array
  | Uint8Array
  | Uint8ClampedArray
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | Float16Array
  | Float32Array
  | Float64Array
  | BigInt64Array
  | BigUint64Array;

export type List = readonly unknown[] | NumericArray;

/** numpy's type of an array, as coarse as the wire needs it. An empty array is a number's. */
export type Kind = 'number' | 'bool' | 'string' | 'object';

export interface Described {
  readonly shape: readonly number[];
  readonly kind: Kind;
  readonly seen: Readonly<Seen>;
}

/** Many numbers in one typed array: what a model may return to save building nested arrays. */
export class Tensor {
  readonly shape: readonly number[];
  readonly data: NumericArray;

  /** Throws `RangeError` where the shape does not fit. Rows first, as numpy's and ONNX's. */
  constructor(shape: readonly number[], data: NumericArray) {
    if (count(shape) !== data.length)
      throw new RangeError(`${data.length} values do not have the shape [${shape.join(', ')}]`);
    this.shape = shape;
    this.data = data;
  }
}

export function isTypedArray(value: unknown): value is NumericArray {
  return ArrayBuffer.isView(value) && !(value instanceof DataView);
}

export function isList(value: unknown): value is List {
  return Array.isArray(value) || isTypedArray(value);
}

/** What kinds of values were seen. */
interface Seen {
  number: boolean;
  bigint: boolean;
  fraction: boolean;
  bool: boolean;
  string: boolean;
  other: boolean;
}

const NOTHING_SEEN: Readonly<Seen> = {
  number: false,
  bigint: false,
  fraction: false,
  bool: false,
  string: false,
  other: false,
};

/** Shape and kind of nested lists. Throws where they are ragged, in numpy's words. */
export function describe(list: List): Described {
  // The first path down tells how deep the array is; whatever stops earlier, goes deeper or is longer is ragged.
  const shape: number[] = [];
  for (let one: unknown = list; isList(one); one = one[0]) shape.push(one.length);
  const seen = { ...NOTHING_SEEN };
  visit(list, 0, shape, seen);
  return { shape, kind: kindOf(seen), seen };
}

function visit(list: List, depth: number, shape: readonly number[], seen: Seen): void {
  if (list.length !== shape[depth]) throw ragged(shape.slice(0, depth));
  const last = depth === shape.length - 1;
  for (const one of list as readonly unknown[])
    if (isList(one)) {
      if (last) throw ragged(shape);
      visit(one, depth + 1, shape, seen);
    } else if (last) note(seen, one);
    else throw ragged(shape.slice(0, depth + 1));
}

function note(seen: Seen, scalar: unknown): void {
  if (typeof scalar === 'number') {
    seen.number = true;
    if (!Number.isInteger(scalar)) seen.fraction = true;
  } else if (typeof scalar === 'string') seen.string = true;
  else if (typeof scalar === 'boolean') seen.bool = true;
  else if (typeof scalar === 'bigint') seen.number = seen.bigint = true;
  else seen.other = true;
}

function kindOf(seen: Seen): Kind {
  if (seen.other) return 'object';
  if (seen.string) return 'string';
  return seen.bool && !seen.number ? 'bool' : 'number';
}

function ragged(shape: readonly number[]): Error {
  const detected = shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(', ')})`;
  return new Error(
    `setting an array element with a sequence. The requested array has an inhomogeneous shape after ${shape.length} ` +
      `dimensions. The detected shape was ${detected} + inhomogeneous part.`,
  );
}

/** The values, row by row. Booleans among numbers are numbers, as in numpy. */
export function flatten({ kind, seen }: Described, list: List): unknown[] {
  const values: unknown[] = [];
  collect(list, values);
  return kind === 'number' && seen.bool
    ? values.map((one) => (typeof one === 'boolean' ? Number(one) : one))
    : values;
}

function collect(list: List, values: unknown[]): void {
  for (const one of list as readonly unknown[])
    if (isList(one)) collect(one, values);
    else values.push(one);
}

/** Nested arrays of this shape. One number may be -1: what is left. Throws where the values do not fit. */
export function reshape(values: List, wanted: readonly number[]): unknown {
  const known = count(wanted.filter((length) => length !== -1));
  const shape = wanted.map((length) => (length === -1 ? values.length / known : length));
  const whole = shape.every((length) => Number.isInteger(length) && length >= 0);
  if (!whole || count(shape) !== values.length)
    throw new Error(
      `cannot reshape array of size ${values.length} into shape (${wanted.join(',')})`,
    );
  if (shape.length === 0) return values[0];
  let level: readonly unknown[] = Array.isArray(values)
    ? values
    : Array.from<unknown>(values as Uint8Array);
  for (const [index, length] of [...shape.entries()].slice(1).reverse()) {
    const rows = count(shape.slice(0, index));
    const source = level;
    level = Array.from({ length: rows }, (_, row) =>
      source.slice(row * length, (row + 1) * length),
    );
  }
  return level;
}

/** How many values an array of this shape has. */
export function count(shape: readonly number[]): number {
  return shape.reduce((product, length) => product * length, 1);
}

/** Applies `change` to every value, keeping the nesting. */
export function mapValues(list: List, change: (value: unknown) => unknown): unknown[] {
  return Array.from<unknown, unknown>(list as readonly unknown[], (one) =>
    isList(one) ? mapValues(one, change) : change(one),
  );
}
