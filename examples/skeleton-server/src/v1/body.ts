/** Finds the message in a request: multipart form, form field or query `json=`, or a JSON body. */
import type { MultipartFile, MultipartValue } from '@fastify/multipart';
import type { FastifyRequest } from 'fastify';
import { MicroserviceError } from '../errors.ts';
import { parseJson, parseNumbersAsText } from '../json/parse.ts';

/** A message, and the same with its numbers as text: see `parseNumbersAsText`. */
export interface Body {
  readonly value: unknown;
  readonly asText: () => unknown;
}

const JSON_TYPE = /^application\/([a-z0-9.-]+\+)?json\b/i;

/** Throws `MICROSERVICE_BAD_DATA` where there is no JSON, and `SyntaxError` where a form field is not JSON. */
export async function readBody(request: FastifyRequest): Promise<Body> {
  if (request.isMultipart()) return readMultipart(request);
  const type = request.headers['content-type'] ?? '';
  const bytes = Buffer.isBuffer(request.body) ? request.body : undefined;
  const field = /^application\/x-www-form-urlencoded\b/i.test(type)
    ? new URLSearchParams(bytes?.toString()).get('json')
    : undefined;
  const text = field || (request.query as { json?: string }).json;
  if (text) return bodyOf(text);
  if (!bytes || !JSON_TYPE.test(type)) throw noJson();
  return parseBody(bytes.toString());
}

/** As the body of a request: `null` is no message. */
function parseBody(text: string): Body {
  let body: Body;
  try {
    body = bodyOf(text);
  } catch (error) {
    throw noJson(error);
  }
  if (body.value === null) throw noJson();
  return body;
}

function bodyOf(text: string): Body {
  return { value: parseJson(text), asText: () => parseNumbersAsText(text) };
}

/** Fields are JSON, but for `strData`; the file `binData` is bytes, other files are text. */
async function readMultipart(request: FastifyRequest): Promise<Body> {
  const fields = new Map<string, Body>();
  for await (const part of request.parts()) {
    if (fields.has(part.fieldname) && part.type === 'field') continue;
    fields.set(part.fieldname, await readPart(part));
  }
  const all = (pick: (body: Body) => unknown): unknown =>
    Object.fromEntries([...fields].map(([name, body]) => [name, pick(body)]));
  return { value: all(({ value }) => value), asText: () => all(({ asText }) => asText()) };
}

async function readPart(part: MultipartFile | MultipartValue): Promise<Body> {
  if (part.type === 'file') {
    const encoding = part.fieldname === 'binData' ? 'base64' : 'utf8';
    return plain((await part.toBuffer()).toString(encoding));
  }
  // A field that calls itself application/json was parsed on its way here.
  if (typeof part.value !== 'string' || part.fieldname === 'strData') return plain(part.value);
  return bodyOf(part.value);
}

function plain(value: unknown): Body {
  return { value, asText: () => value };
}

function noJson(cause?: unknown): MicroserviceError {
  return new MicroserviceError("Can't find JSON in data", cause === undefined ? {} : { cause });
}
