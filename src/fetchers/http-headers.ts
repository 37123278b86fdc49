/** Headers for a host, from the environment, as KServe has them: a variable `<host>-headers` with a JSON object. */
import { validateHeaderName, validateHeaderValue } from 'node:http';
import { ModelFetchError } from '../errors.ts';
import type { Env } from '../registry.ts';

/** What the engine and the connection decide. */
const NOT_YOURS = new Set([
  'host',
  'range',
  'connection',
  'content-length',
  'transfer-encoding',
  'upgrade',
  'te',
  'trailer',
  'expect',
  'keep-alive',
]);

/** Headers meant for `hostname` (lower case, without port), their names in lower case. Throws `INVALID_OPTION`. */
export function headersFromEnv(
  env: Env,
  hostname: string,
): Readonly<Record<string, string>> | undefined {
  const variable = `${hostname.toLowerCase()}-headers`;
  const text = env[variable];
  if (text === undefined || text.trim() === '') return undefined;
  return checkedHeaders(parsed(text, variable), `the environment variable ${variable}`);
}

/** Checks names and values; what comes from a file or a secret often ends in a newline. */
export function checkedHeaders(
  given: Readonly<Record<string, unknown>>,
  where: string,
): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const [key, value] of Object.entries(given)) {
    const name = key.trim().toLowerCase();
    // Model bytes are always asked for as they are.
    if (name === 'accept-encoding') continue;
    if (NOT_YOURS.has(name)) throw invalid(where, `the header ${name} is not yours to set`);
    if (typeof value !== 'string' && typeof value !== 'number')
      throw invalid(where, `the value of ${name} is not text`);
    headers[name] = checkedValue(name, String(value).trim(), where);
  }
  return headers;
}

function checkedValue(name: string, value: string, where: string): string {
  try {
    validateHeaderName(name);
    validateHeaderValue(name, value);
    return value;
  } catch {
    // Node's message may quote the value, which is a secret more often than not.
    throw invalid(where, `${JSON.stringify(name)} is not a header that can be sent`);
  }
}

function parsed(text: string, variable: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = undefined;
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return value as Record<string, unknown>;
  throw invalid(`the environment variable ${variable}`, 'it is not a JSON object');
}

function invalid(where: string, why: string): ModelFetchError {
  return new ModelFetchError('INVALID_OPTION', `${where} cannot be used: ${why}`, {
    hint: 'Write a JSON object of header names and values, e.g. {"Authorization":"Bearer …"}.',
  });
}
