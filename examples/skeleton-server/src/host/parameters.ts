/** `PREDICTIVE_UNIT_PARAMETERS`: what the constructor of a model is given. */
import { MicroserviceError } from '../errors.ts';
import { camelCase } from './component.ts';

export type Parameters = Readonly<Record<string, string | number | boolean>>;

const TRUE = new Set(['y', 'yes', 't', 'true', 'on', '1']);
const FALSE = new Set(['n', 'no', 'f', 'false', 'off', '0']);
const INTEGER = /^\s*[+-]?\d+(_\d+)*\s*$/;
const FLOAT = /^\s*[+-]?(\d+\.?\d*([eE][+-]?\d+)?|\.\d+([eE][+-]?\d+)?|inf(inity)?|nan)\s*$/i;

/**
 * Reads `[{"name":…,"value":…,"type":…}]`. Throws `MICROSERVICE_BAD_PARAMETER` for what is not of its type.
 */
export function parseParameters(json: string): Parameters {
  const list = parseList(json);
  const entries = list.map((one): [string, string | number | boolean] => {
    const { name, value, type = 'STRING' } = (one ?? {}) as Record<string, unknown>;
    const plain = ['string', 'number', 'boolean'].includes(typeof value);
    if (typeof name !== 'string' || name === '' || !plain)
      throw bad(`a parameter needs a name and a value: ${JSON.stringify(one)}`);
    return [name, typed(name, String(value as string), type)];
  });
  return Object.fromEntries(entries);
}

/** The object a constructor gets: names as they were given, and hidden camelCase aliases (`model_uri`, `modelUri`). */
export function constructorArgument(parameters: Parameters): Record<string, unknown> {
  const argument: Record<string, unknown> = { ...parameters };
  for (const [name, value] of Object.entries(parameters)) {
    const alias = camelCase(name);
    if (!(alias in argument)) Object.defineProperty(argument, alias, { value });
  }
  return argument;
}

function parseList(json: string): readonly unknown[] {
  try {
    const list: unknown = JSON.parse(json);
    if (Array.isArray(list)) return list;
  } catch (error) {
    throw bad(`the parameters are not JSON: ${json}`, error);
  }
  throw bad(`the parameters are not a list: ${json}`);
}

function typed(name: string, value: string, type: unknown): string | number | boolean {
  const word = value.trim().toLowerCase();
  switch (type) {
    case 'STRING':
      return value;
    case 'BOOL':
      if (TRUE.has(word)) return true;
      if (FALSE.has(word)) return false;
      break;
    case 'INT':
      if (INTEGER.test(value)) return Number(value.replaceAll('_', ''));
      break;
    case 'FLOAT':
    case 'DOUBLE':
      if (FLOAT.test(value)) return float(word);
      break;
    default:
      throw bad(`parameter ${name} has an unknown type: ${JSON.stringify(type)}`);
  }
  throw bad(`parameter ${name} is not of type ${String(type)}: ${value}`);
}

function float(word: string): number {
  if (/^[+-]?inf/.test(word)) return word.startsWith('-') ? -Infinity : Infinity;
  return Number(word);
}

function bad(message: string, cause?: unknown): MicroserviceError {
  return new MicroserviceError(message, {
    reason: 'MICROSERVICE_BAD_PARAMETER',
    ...(cause !== undefined && { cause }),
  });
}
