/** Seldon's messages as protobuf's JSON mapping checks them: an unknown member or a value of another type is refused. */
import { MicroserviceError } from '../errors.ts';
import { isRecord } from './message.ts';

type Check = (value: unknown, path: string) => void;
type Fields = () => Readonly<Record<string, Check>>;

/** Throws `MICROSERVICE_BAD_DATA` where `value` is not a `seldon.protos.Feedback`. */
export function checkFeedback(value: unknown): asserts value is Readonly<Record<string, unknown>> {
  feedback(value, 'Feedback');
}

const any: Check = () => undefined;
const string = typed('a string', (value) => typeof value === 'string');
const number = typed(
  'a number',
  (value) =>
    typeof value === 'number' ||
    typeof value === 'bigint' ||
    (typeof value === 'string' && value.trim() !== '' && !/[^\d.eE+-]/.test(value)) ||
    value === 'NaN' ||
    value === 'Infinity' ||
    value === '-Infinity',
);
const integer = typed('an integer', (value) => Number.isInteger(Number(value)) && value !== '');
const metricType = typed('a type of metrics', (value) =>
  ['COUNTER', 'GAUGE', 'TIMER', 0, 1, 2].includes(value as string),
);
const base64 = typed(
  'base64',
  (value) => typeof value === 'string' && value.replace(/[^A-Za-z0-9+/_-]/g, '').length % 4 !== 1,
);
const list =
  (each: Check): Check =>
  (value, path) => {
    if (!Array.isArray(value)) throw bad(`${path} is not a list`);
    for (const [index, one] of value.entries()) each(one, `${path}[${index}]`);
  };
const map =
  (each: Check): Check =>
  (value, path) => {
    if (!isRecord(value)) throw bad(`${path} is not an object`);
    for (const [key, one] of Object.entries(value)) each(one, `${path}.${key}`);
  };

const tensor = message('Tensor', () => ({ shape: list(integer), values: list(number) }));
const data = message(
  'DefaultData',
  () => ({ names: list(string), tensor, ndarray: list(any), tftensor: any }),
  ['tensor', 'ndarray', 'tftensor'],
);
const metric = message('Metric', () => ({
  key: string,
  type: metricType,
  value: number,
  tags: map(string),
}));
const meta = message('Meta', () => ({
  puid: string,
  tags: map(any),
  routing: map(integer),
  requestPath: map(string),
  metrics: list(metric),
}));
const status = message('Status', () => ({
  code: integer,
  info: string,
  reason: string,
  status: any,
}));
const seldonMessage = message(
  'SeldonMessage',
  () => ({ status, meta, data, binData: base64, strData: string, jsonData: any, customData: any }),
  ['data', 'binData', 'strData', 'jsonData', 'customData'],
);
const feedback = message('Feedback', () => ({
  request: seldonMessage,
  response: seldonMessage,
  reward: number,
  truth: seldonMessage,
}));

/** `oneOf`: members of which a message has one at most. A member that is null is not there. */
function message(type: string, fields: Fields, oneOf: readonly string[] = []): Check {
  return (value, path) => {
    if (!isRecord(value)) throw bad(`${path} is not an object`);
    const known = fields();
    for (const [name, inner] of Object.entries(value)) {
      const check = Object.hasOwn(known, name) ? known[name] : undefined;
      if (!check) throw unknownField(type, name, path, Object.keys(known));
      if (inner !== null) check(inner, `${path}.${name}`);
    }
    const given = oneOf.filter((name) => value[name] !== undefined && value[name] !== null);
    if (given.length > 1) throw bad(`${path} has more than one of ${given.join(', ')}`);
  };
}

function typed(what: string, matches: (value: unknown) => boolean): Check {
  return (value, path) => {
    if (!matches(value)) throw bad(`${path} is not ${what}`);
  };
}

function unknownField(type: string, name: string, path: string, known: readonly string[]): Error {
  const available = `['${known.join("', '")}']`;
  return bad(
    `Message type "seldon.protos.${type}" has no field named "${name}" at "${path}".\n` +
      ` Available Fields(except extensions): "${available}"`,
  );
}

function bad(message: string): MicroserviceError {
  return new MicroserviceError(`Invalid JSON: ${message}`);
}
