/** Writes an inference response: what a model returned as named tensors, in JSON or as bytes behind it. */
import {
  describe,
  flatten,
  isList,
  Tensor,
  type Kind,
  type List,
  type NumericArray,
} from '../array.ts';
import { MicroserviceError } from '../errors.ts';
import type { TensorMetadata } from '../host/metadata.ts';
import { dump } from '../json/dump.ts';
import { bytesOf, datatypeOf, encode } from './datatypes.ts';
import type { InferenceRequest } from './request.ts';

export interface ResponseHead {
  readonly modelName: string;
  readonly modelVersion: string | undefined;
  readonly request: InferenceRequest;
  /** The model's tags. */
  readonly parameters: Readonly<Record<string, unknown>>;
  /** What the model says of its outputs. */
  readonly declared: readonly TensorMetadata[];
}

export interface WrittenResponse {
  readonly body: Buffer;
  /** Length of the JSON; undefined: there is nothing behind it. */
  readonly headerLength: number | undefined;
}

interface Output {
  readonly name: string;
  readonly shape: readonly number[];
  readonly datatype: string;
  readonly values: readonly unknown[] | NumericArray;
  readonly parameters?: Readonly<Record<string, unknown>>;
}

/** Throws `MICROSERVICE_BAD_DATA` for an output that is not there, an `Error` for a result that is no tensor. */
export function writeInference(result: unknown, head: ResponseHead): WrittenResponse {
  const { request, declared } = head;
  const outputs = selected(outputsOf(result, declared), request);
  const described: object[] = [];
  const binary: Uint8Array[] = [];
  for (const { output, asBytes } of outputs) {
    const { name, shape, datatype, parameters } = output;
    const bytes = asBytes ? bytesOfOutput(output) : undefined;
    if (bytes) binary.push(bytes);
    const all = { ...parameters, ...(bytes && { binary_data_size: bytes.byteLength }) };
    described.push({
      ...{ name, shape, datatype },
      ...(Object.keys(all).length > 0 && { parameters: all }),
      ...(!bytes && { data: jsonValues(output) }),
    });
  }
  const json = Buffer.from(dump({ ...headOf(head), outputs: described }, 'null'));
  if (binary.length === 0) return { body: json, headerLength: undefined };
  return { body: Buffer.concat([json, ...binary]), headerLength: json.length };
}

function headOf({ modelName, modelVersion, request, parameters }: ResponseHead): object {
  return {
    model_name: modelName,
    ...(modelVersion && { model_version: modelVersion }),
    ...(request.id !== undefined && { id: request.id }),
    ...(Object.keys(parameters).length > 0 && { parameters }),
  };
}

function selected(
  outputs: readonly Output[],
  { outputs: wanted, binaryOutput }: InferenceRequest,
): { output: Output; asBytes: boolean }[] {
  if (!wanted || wanted.length === 0)
    return outputs.map((output) => ({ output, asBytes: binaryOutput }));
  return wanted.map(({ name, binary }) => {
    const output = outputs.find((one) => one.name === name);
    if (!output) throw new MicroserviceError(`there is no output ${name}`);
    return { output, asBytes: binary ?? binaryOutput };
  });
}

/** An object is an output a member, everything else is one output. */
function outputsOf(result: unknown, declared: readonly TensorMetadata[]): Output[] {
  const named = isPlain(result)
    ? Object.entries(result)
    : [[declared[0]?.name ?? 'output-0', result] as const];
  return named.map(([name, value]) =>
    outputOf(name, value, declared.find((one) => one.name === name)?.datatype),
  );
}

function isPlain(value: unknown): value is Readonly<Record<string, unknown>> {
  return (
    typeof value === 'object' && value !== null && !isList(value) && !(value instanceof Tensor)
  );
}

function outputOf(name: string, value: unknown, declared: string | undefined): Output {
  if (value instanceof Uint8Array && declared !== 'UINT8')
    return {
      name,
      shape: [1],
      datatype: 'BYTES',
      values: [value],
      parameters: { content_type: 'base64' },
    };
  if (value instanceof Tensor)
    return {
      name,
      shape: value.shape,
      datatype: declared ?? datatypeOf(value.data),
      values: value.data,
    };
  if (isList(value)) return outputOfList(name, value, declared);
  if (value === null || value === undefined || typeof value === 'function')
    throw new Error(`the model returned ${String(value)}, which is no tensor`);
  if (typeof value === 'object')
    return {
      name,
      shape: [1],
      datatype: 'BYTES',
      values: [dump(value)],
      parameters: { content_type: 'json' },
    };
  return outputOfList(name, [value], declared);
}

function outputOfList(name: string, list: List, declared: string | undefined): Output {
  const described = describe(list);
  const values = flatten(described, list);
  if (described.kind === 'object')
    throw new Error(`${name}: the model returned a mixture, which is no tensor`);
  const own = ArrayBuffer.isView(list) ? datatypeOf(list) : datatypeOfKind(described.kind, values);
  return { name, shape: described.shape, datatype: declared ?? own, values };
}

function datatypeOfKind(kind: Kind, values: readonly unknown[]): string {
  if (kind === 'bool') return 'BOOL';
  if (kind === 'string') return 'BYTES';
  const whole =
    values.length > 0 && values.every((one) => typeof one === 'bigint' || Number.isInteger(one));
  return whole ? 'INT64' : 'FP64';
}

function jsonValues({ values, datatype }: Output): unknown[] {
  return Array.from(values as readonly unknown[], (one) => {
    if (one instanceof Uint8Array) return Buffer.from(one).toString('base64');
    return datatype === 'BOOL' ? Boolean(one) : one;
  });
}

function bytesOfOutput({ values, datatype }: Output): Uint8Array {
  const ready = ArrayBuffer.isView(values) ? bytesOf(datatype, values) : undefined;
  return ready ?? encode(datatype, Array.from(values as readonly unknown[]));
}
