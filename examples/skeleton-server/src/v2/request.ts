/** Reads an inference request: JSON, or JSON followed by the bytes of its tensors. */
import { count, reshape } from '../array.ts';
import { MicroserviceError } from '../errors.ts';
import { parseJson } from '../json/parse.ts';
import { decode, isDatatype } from './datatypes.ts';

export interface RequestedOutput {
  readonly name: string;
  readonly binary: boolean | undefined;
}

export interface InferenceRequest {
  readonly id: string | undefined;
  readonly parameters: Readonly<Record<string, unknown>>;
  /** Nested arrays by name, in the order of the request. */
  readonly inputs: ReadonlyMap<string, unknown>;
  /** Undefined: all. */
  readonly outputs: readonly RequestedOutput[] | undefined;
  /** What outputs are that do not say. */
  readonly binaryOutput: boolean;
}

interface Input {
  readonly name: string;
  readonly shape: readonly number[];
  readonly datatype: string;
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly data: unknown;
}

/** Throws `MICROSERVICE_BAD_DATA`. `headerLength`: the header Inference-Header-Content-Length. */
export function readInference(body: Buffer, headerLength: string | undefined): InferenceRequest {
  const length = headerLength === undefined ? body.length : Number(headerLength);
  if (!Number.isInteger(length) || length < 0 || length > body.length)
    throw bad(
      `Inference-Header-Content-Length is ${headerLength}, and the body has ${body.length} bytes`,
    );
  const message = readJson(body.subarray(0, length));
  const parameters = recordOf(message['parameters'] ?? {}, 'parameters');
  return {
    id: readId(message['id']),
    parameters,
    inputs: readInputs(message['inputs'], body.subarray(length)),
    outputs: readOutputs(message['outputs']),
    binaryOutput: parameters['binary_data_output'] === true,
  };
}

function readId(id: unknown): string | undefined {
  if (id === undefined || typeof id === 'string') return id;
  throw bad('id is not a string');
}

function readJson(bytes: Buffer): Readonly<Record<string, unknown>> {
  try {
    return recordOf(parseJson(bytes.toString()), 'the request');
  } catch (error) {
    if (error instanceof MicroserviceError) throw error;
    throw new MicroserviceError('the request is not JSON', { cause: error });
  }
}

function readInputs(list: unknown, binary: Buffer): Map<string, unknown> {
  if (!Array.isArray(list) || list.length === 0) throw bad('inputs is not a list, or is empty');
  const inputs = new Map<string, unknown>();
  let offset = 0;
  for (const one of list) {
    const input = readInput(one);
    const size = input.parameters['binary_data_size'];
    const bytes = size === undefined ? undefined : take(binary, offset, size, input.name);
    offset += bytes?.length ?? 0;
    inputs.set(input.name, shaped(input, bytes ? decoded(input, bytes) : written(input)));
  }
  if (offset !== binary.length) throw bad(`${binary.length - offset} bytes are of no input`);
  return inputs;
}

function readInput(value: unknown): Input {
  const { name, shape, datatype, data, parameters = {} } = recordOf(value, 'an input');
  if (typeof name !== 'string') throw bad('an input has no name');
  if (!Array.isArray(shape) || !shape.every((one) => Number.isInteger(one) && one >= 0))
    throw bad(`input ${name}: shape is not a list of lengths`);
  if (!isDatatype(datatype)) throw bad(`input ${name}: ${String(datatype)} is not a datatype`);
  return { name, shape, datatype, data, parameters: recordOf(parameters, 'parameters') };
}

function take(binary: Buffer, offset: number, size: unknown, name: string): Buffer {
  if (!Number.isInteger(size) || (size as number) < 0 || offset + (size as number) > binary.length)
    throw bad(
      `input ${name}: binary_data_size is ${String(size)}, and ${binary.length - offset} bytes are left`,
    );
  return binary.subarray(offset, offset + (size as number));
}

/** `BYTES` are text, unless the parameter `content_type` calls them `bytes` or `base64`. */
function decoded({ datatype, parameters }: Input, bytes: Buffer): unknown[] {
  const values = decode(datatype, bytes);
  if (datatype !== 'BYTES' || isRaw(parameters)) return values;
  return values.map((one) => (one as Buffer).toString());
}

function written({ name, data, datatype, parameters }: Input): unknown[] {
  if (!Array.isArray(data)) throw bad(`input ${name}: data is not a list`);
  const values = data.flat(Infinity) as unknown[];
  const right = CHECKS[datatype] ?? isNumber;
  if (!values.every(right)) throw bad(`input ${name}: not all of data is ${datatype}`);
  if (datatype === 'BYTES' && parameters['content_type'] === 'base64')
    return values.map((one) => Buffer.from(one as string, 'base64'));
  return values;
}

const isNumber = (one: unknown): boolean => typeof one === 'number' || typeof one === 'bigint';
const CHECKS: Readonly<Record<string, (one: unknown) => boolean>> = {
  BOOL: (one) => typeof one === 'boolean',
  BYTES: (one) => typeof one === 'string',
};

function isRaw({ content_type: type }: Readonly<Record<string, unknown>>): boolean {
  return type === 'bytes' || type === 'base64';
}

function shaped({ name, shape }: Input, values: unknown[]): unknown {
  if (count(shape) !== values.length)
    throw bad(`input ${name}: ${values.length} values do not have the shape [${shape.join(', ')}]`);
  return shape.length === 0 ? values : reshape(values, shape);
}

function readOutputs(list: unknown): RequestedOutput[] | undefined {
  if (list === undefined) return undefined;
  if (!Array.isArray(list)) throw bad('outputs is not a list');
  return list.map((one) => {
    const { name, parameters = {} } = recordOf(one, 'an output');
    if (typeof name !== 'string') throw bad('an output has no name');
    const binary = recordOf(parameters, 'parameters')['binary_data'];
    return { name, binary: typeof binary === 'boolean' ? binary : undefined };
  });
}

function recordOf(value: unknown, what: string): Readonly<Record<string, unknown>> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return value as Readonly<Record<string, unknown>>;
  throw bad(`${what} is not an object`);
}

function bad(message: string): MicroserviceError {
  return new MicroserviceError(message);
}
