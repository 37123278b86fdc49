/** `/metadata`: what the model says of itself, what `MODEL_METADATA` says instead, and what the image's name tells. */
import { parse } from 'yaml';
import { ABSENT, type Component } from './component.ts';

export interface MetadataSettings {
  /** `PREDICTIVE_UNIT_IMAGE`. */
  readonly image: string | undefined;
  /** `MODEL_METADATA`, YAML. */
  readonly override: string | undefined;
  readonly log: { error(error: unknown, message: string): void };
}

export interface Metadata {
  readonly name: string;
  readonly versions: readonly string[];
  readonly platform: string;
  readonly inputs: readonly TensorMetadata[];
  readonly outputs: readonly TensorMetadata[];
  readonly custom: Readonly<Record<string, string>>;
}

/** Of Seldon's kind (`messagetype`, `schema`) or of Open Inference's (`name`, `datatype`, `shape`). */
export interface TensorMetadata {
  readonly messagetype?: string;
  readonly schema?: Readonly<Record<string, unknown>>;
  readonly name?: string;
  readonly datatype?: string;
  readonly shape?: readonly number[];
}

const DATATYPES = new Set(
  'BOOL UINT8 UINT16 UINT32 UINT64 INT8 INT16 INT32 INT64 FP16 FP32 FP64 BYTES'.split(' '),
);
const ARRAYS = new Set(['tensor', 'ndarray', 'tftensor']);
const WITHOUT_SCHEMA = new Set(['strData', 'binData']);

/** Undefined, and a line in the log, where what the model says is not metadata. */
export async function describeModel(
  component: Component,
  { image, override, log }: MetadataSettings,
): Promise<Metadata | undefined> {
  const own = await component.call('init_metadata');
  const [name, version] = splitImage(image ?? ':');
  const metadata: Record<string, unknown> = {
    name,
    versions: [version],
    platform: '',
    inputs: [],
    outputs: [],
    custom: {},
    ...(own !== ABSENT && isRecord(own) ? own : {}),
    ...parseOverride(override, log),
  };
  const wrong = firstWrong(metadata);
  if (wrong === undefined) return metadata as unknown as Metadata;
  log.error(new Error(`${wrong} is not as it should be`), 'init_metadata gives no metadata');
  return undefined;
}

/** `infuseai/skeleton:v0.1.0` is the name and the version of a model. */
export function splitImage(image: string): [name: string, version: string] {
  const colon = image.lastIndexOf(':');
  return colon < 0 ? ['', image] : [image.slice(0, colon), image.slice(colon + 1)];
}

function parseOverride(
  yaml: string | undefined,
  log: MetadataSettings['log'],
): Readonly<Record<string, unknown>> {
  if (yaml === undefined || yaml.trim() === '') return {};
  try {
    const value: unknown = parse(yaml);
    return isRecord(value) ? value : {};
  } catch (error) {
    log.error(error, 'MODEL_METADATA is not YAML and is ignored');
    return {};
  }
}

/** The member that breaks the schema; undefined where none does. */
function firstWrong(metadata: Record<string, unknown>): string | undefined {
  const checks: Record<string, (value: unknown) => boolean> = {
    name: isString,
    versions: (value) => isListOf(value, isString),
    platform: isString,
    inputs: (value) => isListOf(value, isTensorMetadata),
    outputs: (value) => isListOf(value, isTensorMetadata),
    custom: (value) => isRecord(value) && Object.values(value).every(isString),
  };
  return Object.keys(metadata).find((key) => !checks[key]?.(metadata[key]));
}

function isTensorMetadata(value: unknown): boolean {
  if (!isRecord(value)) return false;
  const { messagetype, schema, name, datatype, shape, ...unknown } = value;
  if (Object.keys(unknown).length > 0) return false;
  if (messagetype === undefined)
    return (
      schema === undefined &&
      (name === undefined || isString(name)) &&
      (datatype === undefined || DATATYPES.has(datatype as string)) &&
      (shape === undefined || isListOf(shape, Number.isInteger))
    );
  if (!isString(messagetype) || [name, datatype, shape].some((one) => one !== undefined))
    return false;
  if (schema === undefined) return true;
  if (!isRecord(schema) || WITHOUT_SCHEMA.has(messagetype)) return false;
  return !ARRAYS.has(messagetype) || isArraySchema(schema);
}

function isArraySchema({ names, shape, ...unknown }: Record<string, unknown>): boolean {
  return (
    Object.keys(unknown).length === 0 &&
    (names === undefined || isListOf(names, isString)) &&
    (shape === undefined || isListOf(shape, Number.isInteger))
  );
}

function isString(value: unknown): value is string {
  return typeof value === 'string';
}

function isListOf(value: unknown, each: (one: unknown) => boolean): boolean {
  return Array.isArray(value) && value.every((one) => each(one));
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
