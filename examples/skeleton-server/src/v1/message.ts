/** Takes a Seldon message apart: the payload as a model gets it, the names, the meta. */
import { describe, isList, mapValues, reshape, type List } from '../array.ts';
import { MicroserviceError } from '../errors.ts';
import { repr, scalarText } from '../json/python.ts';
import type { Meta } from '../model.ts';
import type { Body } from './body.ts';

export type JsonObject = Readonly<Record<string, unknown>>;

/** In what form the request had its arrays; undefined: it had no `data`. */
export type DataKind = 'tensor' | 'ndarray' | undefined;

export interface Message {
  readonly payload: unknown;
  readonly names: string[];
  readonly dataKind: DataKind;
  readonly meta: Meta;
}

/** Reads one message. Throws `MICROSERVICE_BAD_DATA` where it has no payload. */
export function readMessage({ value, asText }: Body): Message {
  if (!isRecord(value)) throw invalid(value);
  const meta: Meta = isRecord(value['meta']) ? value['meta'] : {};
  if ('data' in value) {
    const data = value['data'];
    const payload = readData(data, () => (asText() as { data: unknown }).data);
    const names = isRecord(data) && Array.isArray(data['names']) ? (data['names'] as string[]) : [];
    return { payload, names, dataKind: dataKindOf(data), meta };
  }
  const payload = readOther(value);
  return { payload, names: [], dataKind: undefined, meta };
}

/** The element of a list of messages. */
export function element({ value, asText }: Body, path: readonly (string | number)[]): Body {
  const at = (tree: unknown): unknown =>
    path.reduce<unknown>((one, key) => (one as Record<string, unknown>)[key], tree);
  return { value: at(value), asText: () => at(asText()) };
}

export function invalid(value: unknown): MicroserviceError {
  return new MicroserviceError(`Invalid request data type: ${repr(value)}`);
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function readOther(message: JsonObject): unknown {
  if ('jsonData' in message) return message['jsonData'];
  if ('strData' in message) return message['strData'];
  if ('binData' in message) return readBase64(message['binData']);
  throw invalid(message);
}

export function dataKindOf(data: unknown): DataKind {
  return isRecord(data) && 'tensor' in data ? 'tensor' : 'ndarray';
}

/** Nested arrays of a `data`: from a tensor, an ndarray, or empty. `asText` is the same with numbers as text. */
export function readData(data: unknown, asText: () => unknown): List {
  if (data === null || typeof data !== 'object')
    throw new Error('data is neither an object nor a list');
  if ('tensor' in data)
    return readTensor(data.tensor, () => (asText() as { tensor: unknown }).tensor);
  if ('ndarray' in data)
    return coerce(data.ndarray, () => (asText() as { ndarray: unknown }).ndarray);
  if ('tftensor' in data) throw new Error('tftensor is not supported: send tensor or ndarray');
  return [];
}

function readTensor(tensor: unknown, asText: () => unknown): List {
  if (!isRecord(tensor) || !isList(tensor['values']) || tensor['shape'] === undefined)
    throw new Error('a tensor has a list of values, and a shape');
  const values = coerce(tensor['values'], () => (asText() as { values: unknown }).values);
  const flat = values.some(isList) ? values.flat(Infinity) : values;
  const shaped = reshape(flat, [tensor['shape']].flat() as number[]);
  return isList(shaped) ? shaped : [shaped];
}

/**
 * What numpy makes of a list: numbers and booleans beside strings become strings, booleans beside numbers become
 * numbers, integers beside fractions lose what a float cannot hold. Throws where the list is ragged.
 */
function coerce(list: unknown, asText: () => unknown): readonly unknown[] {
  if (!isList(list)) throw new Error('an array is a list');
  const { kind, seen } = describe(list);
  if (kind === 'string' && (seen.number || seen.bool))
    return mapValues(asText() as List, (one) => (typeof one === 'boolean' ? scalarText(one) : one));
  if (kind === 'number' && (seen.bool || (seen.bigint && seen.fraction)))
    return mapValues(list, (one) =>
      typeof one === 'boolean' || seen.fraction ? Number(one) : one,
    );
  return list as readonly unknown[];
}

/** Foreign characters are passed over, missing padding is an error: as Python's base64 does. */
function readBase64(text: unknown): Buffer {
  if (typeof text !== 'string') throw new Error('binData is base64 text');
  const digits = text.replace(/[^A-Za-z0-9+/=]/g, '');
  const data = digits.replace(/=.*$/s, '');
  const padding = digits.length - data.length;
  if (data.length % 4 === 1 || (data.length % 4 !== 0 && padding < 4 - (data.length % 4)))
    throw new Error('binData: incorrect padding');
  return Buffer.from(data, 'base64');
}
