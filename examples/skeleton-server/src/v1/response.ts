/** Puts a Seldon message together around what a model returned. */
import { describe, flatten, isList, reshape, Tensor, type List } from '../array.ts';
import { MicroserviceError } from '../errors.ts';
import { ABSENT, type Component } from '../host/component.ts';
import { repr } from '../json/python.ts';
import type { Meta, Metric, Tags } from '../model.ts';
import { isRecord, type DataKind } from './message.ts';

/** `PREDICTIVE_UNIT_ID` and `PREDICTIVE_UNIT_IMAGE`: what this server adds to the path of a request. */
export interface Unit {
  readonly id: string | undefined;
  readonly image: string | undefined;
}

export interface Parts {
  readonly component: Component;
  readonly unit: Unit;
  readonly dataKind: DataKind;
  /** Of the request: its puid and its path are passed on. */
  readonly meta: Meta;
  /** Of the request, where they are passed on. */
  readonly tags?: Tags;
  readonly metrics: readonly Metric[];
  /** Of this one answer; they win over the model's, and those over the request's. */
  readonly runtimeTags: Tags;
}

/** The message for `value`. Throws `MICROSERVICE_BAD_DATA` where that is no payload. */
export async function buildResponse(
  value: unknown,
  parts: Parts,
): Promise<Record<string, unknown>> {
  return { ...(await payloadOf(value, parts)), meta: await metaOf(parts) };
}

async function payloadOf(value: unknown, parts: Parts): Promise<Record<string, unknown>> {
  if (typeof value === 'string') return { strData: value };
  if (isBytes(value)) return { binData: Buffer.from(value).toString('base64') };
  if (value instanceof Tensor) return dataOf(reshape(value.data, value.shape) as List, parts);
  if (isList(value)) return dataOf(value, parts);
  if (isRecord(value)) return { jsonData: value };
  throw new MicroserviceError(
    `Unknown data type returned as payload (must be list or np array):${repr(value)}`,
  );
}

/** A Buffer or a plain Uint8Array is bytes; numbers come in any other typed array. */
function isBytes(value: unknown): value is Uint8Array {
  return value instanceof Uint8Array;
}

/** Numbers go out as the request's came in, and as a tensor where it had none; everything else is an ndarray. */
async function dataOf(list: List, parts: Parts): Promise<Record<string, unknown>> {
  const described = describe(list);
  const asTensor = described.kind === 'number' && parts.dataKind !== 'ndarray';
  const content = asTensor
    ? { tensor: { shape: described.shape, values: flatten(described, list) } }
    : { ndarray: list };
  return { data: { ...content, names: await namesOf(described.shape, parts.component) } };
}

/** Of the columns; what has only one dimension has no names. */
async function namesOf(shape: readonly number[], component: Component): Promise<readonly string[]> {
  if (shape.length < 2) return [];
  const own = await component.call('class_names');
  if (own !== ABSENT) return own as readonly string[];
  return Array.from({ length: shape[1]! }, (_, column) => `t:${column}`);
}

async function metaOf({
  component,
  unit,
  meta,
  tags,
  metrics,
  runtimeTags,
}: Parts): Promise<object> {
  const own = await component.call('tags');
  const allTags = { ...tags, ...(own !== ABSENT && (own as Tags)), ...runtimeTags };
  const here = unit.id !== undefined && unit.image !== undefined ? { [unit.id]: unit.image } : {};
  const path = { ...here, ...meta.requestPath };
  return {
    ...(Object.keys(allTags).length > 0 && { tags: allTags }),
    ...(metrics.length > 0 && { metrics }),
    ...(meta.puid && { puid: meta.puid }),
    ...(Object.keys(path).length > 0 && { requestPath: path }),
  };
}
