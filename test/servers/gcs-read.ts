/** The two reads of the fake GCS: a page of a listing, and the bytes of an object. Pure, but for the answer written. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { gunzipSync } from 'node:zlib';
import { objectHeaders, resource, type Stored } from './gcs-objects.ts';

/**
 * GET /storage/v1/b/{bucket}/o: names in the order of their UTF-8 bytes, `items` absent when there is none.
 * Source: https://cloud.google.com/storage/docs/json_api/v1/objects/list
 */
export function listPage(
  objects: readonly Stored[],
  query: URLSearchParams,
  most: number,
  base: string,
): Record<string, unknown> {
  const prefix = query.get('prefix') ?? '';
  const delimiter = query.get('delimiter') ?? '';
  const after = Buffer.from(query.get('pageToken') ?? '', 'base64url');
  const asked = Number(query.get('maxResults') ?? most);
  const limit = Math.max(1, Math.min(most, asked));
  const items: Stored[] = [];
  const prefixes = new Set<string>();
  let last = '';
  let more = false;
  for (const object of [...objects].sort((a, b) =>
    Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)),
  )) {
    if (!object.name.startsWith(prefix)) continue;
    const cut = delimiter === '' ? -1 : object.name.indexOf(delimiter, prefix.length);
    const group = cut === -1 ? undefined : object.name.slice(0, cut + delimiter.length);
    const mark = group ?? `${object.name}\0${object.generation}`;
    if (
      Buffer.compare(Buffer.from(mark), after) <= 0 ||
      (group !== undefined && prefixes.has(group))
    )
      continue;
    if (items.length + prefixes.size === limit) {
      more = true;
      break;
    }
    if (group === undefined) items.push(object);
    else prefixes.add(group);
    last = mark;
  }
  const page = {
    kind: 'storage#objects',
    ...(items.length > 0 && { items: items.map((object) => resource(object, base)) }),
    ...(prefixes.size > 0 && { prefixes: [...prefixes] }),
    ...(more && { nextPageToken: Buffer.from(last).toString('base64url') }),
  };
  return select(page, query.get('fields'));
}

/** A partial response: `items(name,size),nextPageToken`. */
function select(page: Record<string, unknown>, fields: string | null): Record<string, unknown> {
  if (fields === null || fields === '') return page;
  const chosen: Record<string, unknown> = {};
  for (const [, name = '', inner] of fields.matchAll(/([\w/]+)(?:\(([^)]*)\))?,?/g)) {
    const value = page[name];
    if (value === undefined) continue;
    chosen[name] =
      inner === undefined
        ? value
        : (value as Record<string, unknown>[]).map((item) => pick(item, inner));
  }
  return chosen;
}

function pick(item: Record<string, unknown>, names: string): Record<string, unknown> {
  return Object.fromEntries(
    names
      .split(',')
      .filter((name) => name in item)
      .map((name) => [name, item[name]]),
  );
}

/**
 * The bytes: 200, 206 or 416, and decompressive transcoding, which ignores ranges and drops the length.
 * Source: https://cloud.google.com/storage/docs/transcoding
 */
export function sendBytes(
  request: IncomingMessage,
  response: ServerResponse,
  object: Stored,
): void {
  const headers = objectHeaders(object);
  const accepts = (request.headers['accept-encoding'] ?? '').includes('gzip');
  const keep = (object.options.cacheControl ?? '').includes('no-transform');
  if (object.options.contentEncoding === 'gzip' && !accepts && !keep) {
    delete headers['content-encoding'];
    response.writeHead(200, {
      ...headers,
      vary: 'Accept-Encoding',
      warning: '214 UploadServer gunzipped',
    });
    response.end(request.method === 'HEAD' ? undefined : gunzipSync(object.bytes));
    return;
  }
  const size = object.bytes.length;
  const range = parseRange(request.headers.range, size);
  if (range === 'unsatisfiable') {
    response.writeHead(416, {
      'content-range': `bytes */${String(size)}`,
      'content-type': 'text/html; charset=UTF-8',
    });
    response.end('Request range not satisfiable');
    return;
  }
  const body = range ? object.bytes.subarray(range.start, range.end) : object.bytes;
  response.writeHead(range ? 206 : 200, {
    ...headers,
    'content-length': String(body.length),
    ...(range && {
      'content-range': `bytes ${String(range.start)}-${String(range.end - 1)}/${String(size)}`,
    }),
  });
  response.end(request.method === 'HEAD' ? undefined : body);
}

/** Half-open; undefined for the whole, which is also what a malformed range gets. */
function parseRange(
  value: string | undefined,
  size: number,
): { start: number; end: number } | 'unsatisfiable' | undefined {
  const match = /^bytes=(\d*)-(\d*)$/.exec(value ?? '');
  if (!match || (match[1] === '' && match[2] === '')) return undefined;
  if (match[1] === '') {
    const suffix = Number(match[2]);
    return suffix === 0 || size === 0
      ? 'unsatisfiable'
      : { start: Math.max(0, size - suffix), end: size };
  }
  const start = Number(match[1]);
  const end = match[2] === '' ? size : Number(match[2]) + 1;
  if (match[2] !== '' && end <= start) return undefined;
  return start >= size ? 'unsatisfiable' : { start, end: Math.min(end, size) };
}
