/** Recorded answers of Seldon Core's Python wrapper, one test a pair. They lie outside the repository. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { after, before, suite, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parseJson } from '../src/json/parse.ts';
import { startModel, type Started } from './start.ts';
import { classes, type ModelName } from './vector-models.ts';

interface Vector {
  readonly id: number;
  readonly model: ModelName;
  readonly method: string;
  readonly path: string;
  readonly body?: unknown;
  readonly contentType?: string;
  readonly multipart?: Readonly<Record<string, string | { filename: string; bytes_b64: string }>>;
  readonly status: number;
  readonly responseContentType: string;
  readonly responseText: string;
}

const FILE = fileURLToPath(new URL('../../../../shared/vectors/seldon-wire.json', import.meta.url));
const recorded = existsSync(FILE)
  ? (JSON.parse(readFileSync(FILE, 'utf8')) as {
      env: Record<string, string>;
      vectors: readonly Vector[];
    })
  : undefined;

/** Texts of numpy, protobuf, Python and Werkzeug are no part of the contract. */
const FOREIGN_TEXTS = new Set([13, 37, 43, 94]);

suite('recorded answers', { skip: recorded ? false : `there is no ${FILE}` }, () => {
  const servers = new Map<ModelName, Started>();
  before(async () => {
    for (const model of new Set(recorded!.vectors.map((one) => one.model)))
      servers.set(model, await startModel(classes[model], recorded!.env));
  });
  after(async () => {
    for (const server of servers.values()) await server.close();
  });
  for (const vector of recorded?.vectors ?? [])
    test(nameOf(vector), async () => {
      const response = await send(servers.get(vector.model)!.url, vector);
      const text = await response.text();
      assert.equal(response.status, vector.status, text);
      assert.equal(response.headers.get('content-type'), vector.responseContentType);
      if (vector.responseContentType !== 'application/json')
        return assert.equal(text, vector.responseText);
      assert.ok(text.endsWith('\n'));
      assert.deepEqual(comparable(vector, text), comparable(vector, vector.responseText));
    });
});

function nameOf({ id, model, method, path, body, multipart, status }: Vector): string {
  const sent = multipart
    ? `multipart ${Object.keys(multipart).join()}`
    : (JSON.stringify(body) ?? '');
  return `${id}: ${model} ${method} ${path} ${sent.slice(0, 60)} -> ${status}`;
}

/** Parsed; NaN and infinities are kept, for they are written as Python writes them. */
function comparable({ id }: Vector, text: string): unknown {
  const value = parseJson(text) as { status?: { info?: string } };
  if (FOREIGN_TEXTS.has(id)) delete value.status?.info;
  return value;
}

function send(
  url: string,
  { method, path, body, contentType, multipart }: Vector,
): Promise<Response> {
  if (multipart) return fetch(url + path, { method, body: formOf(multipart) });
  if (body === undefined) return fetch(url + path, { method });
  return fetch(url + path, {
    method,
    headers: { 'content-type': contentType ?? 'application/json' },
    body: contentType === undefined ? JSON.stringify(body) : String(body),
  });
}

function formOf(fields: NonNullable<Vector['multipart']>): FormData {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) {
    if (typeof value === 'string') form.set(name, value);
    else form.set(name, new Blob([Buffer.from(value.bytes_b64, 'base64')]), value.filename);
  }
  return form;
}
