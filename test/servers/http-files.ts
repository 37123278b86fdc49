/** How the test server answers for a file: ranges, validators and conditions as RFC 9110 has them. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';

/** Bytes in memory, or made up when they are read, so that a huge file costs nothing. */
export type Content =
  Uint8Array | string | { readonly size: number; slice(start: number, end: number): Uint8Array };

export interface ServedFile {
  readonly content: Exclude<Content, string>;
  /** Default: strong, made of the content. `false`: none. */
  readonly etag?: string | false;
  /** Default: some time in 2025. `false`: none. */
  readonly lastModified?: Date | false;
  readonly headers?: Readonly<Record<string, string>>;
  /** Default true. */
  readonly ranges?: boolean;
  /** Which requests are allowed; others get 401 without, 403 with an `authorization`. */
  readonly allow?: (request: IncomingMessage) => boolean;
}

const STEP = 1024 * 1024;

export function contentOf(content: Content): Exclude<Content, string> {
  return typeof content === 'string' ? Buffer.from(content) : content;
}

export function sizeOf(file: ServedFile): number {
  return file.content instanceof Uint8Array ? file.content.length : file.content.size;
}

export function sliceOf(file: ServedFile, start: number, end: number): Uint8Array {
  return file.content instanceof Uint8Array
    ? file.content.subarray(start, end)
    : file.content.slice(start, end);
}

/** The validators and extra headers of a file. */
export function fieldsOf(file: ServedFile): Record<string, string> {
  const fields: Record<string, string> = {
    'content-type': 'application/octet-stream',
    'accept-ranges': 'bytes',
  };
  if (file.ranges === false) fields['accept-ranges'] = 'none';
  const etag = file.etag ?? madeEtag(file);
  if (etag !== false) fields['etag'] = etag;
  const modified = file.lastModified ?? new Date('2025-06-01T12:00:00Z');
  if (modified !== false) fields['last-modified'] = modified.toUTCString();
  return { ...fields, ...file.headers };
}

/** Answers a GET or HEAD. */
export async function answerFile(
  request: IncomingMessage,
  response: ServerResponse,
  file: ServedFile,
): Promise<void> {
  if (file.allow && !file.allow(request)) {
    const status = request.headers.authorization === undefined ? 401 : 403;
    response.writeHead(status, { 'www-authenticate': 'Basic realm="models"' }).end('not for you\n');
    return;
  }
  const fields = fieldsOf(file);
  if (!conditionsHold(request, fields)) {
    response.writeHead(412).end();
    return;
  }
  const size = sizeOf(file);
  const range = file.ranges === false ? undefined : rangeOf(request, size);
  if (range === 'unsatisfiable') {
    response
      .writeHead(416, { ...fields, 'content-range': `bytes */${size}`, 'content-length': '0' })
      .end();
    return;
  }
  const { start, end } = range ?? { start: 0, end: size };
  response.writeHead(range ? 206 : 200, {
    ...fields,
    ...(range && { 'content-range': `bytes ${start}-${end - 1}/${size}` }),
    'content-length': String(end - start),
  });
  if (request.method === 'HEAD') response.end();
  else await sendBytes(response, file, start, end);
}

/** Writes a slice at the reader's pace; `afterBytes` may end it early. */
export async function sendBytes(
  response: ServerResponse,
  file: ServedFile,
  start: number,
  end: number,
): Promise<void> {
  for (let at = start; at < end && !response.destroyed; at += STEP) {
    const ready = response.write(sliceOf(file, at, Math.min(end, at + STEP)));
    if (!ready)
      await Promise.race([once(response, 'drain'), once(response, 'close')]).catch(() => undefined);
  }
  response.end();
}

/** The one range asked for, half-open. */
export function rangeOf(
  request: IncomingMessage,
  size: number,
): { start: number; end: number } | 'unsatisfiable' | undefined {
  const match = /^bytes=(\d*)-(\d*)$/.exec(request.headers.range ?? '');
  if (!match || (match[1] === '' && match[2] === '')) return undefined;
  if (match[1] === '') return { start: Math.max(0, size - Number(match[2])), end: size };
  const start = Number(match[1]);
  if (start >= size) return 'unsatisfiable';
  return { start, end: match[2] === '' ? size : Math.min(size, Number(match[2]) + 1) };
}

function conditionsHold(
  request: IncomingMessage,
  fields: Readonly<Record<string, string>>,
): boolean {
  const ifMatch = request.headers['if-match'];
  if (ifMatch !== undefined && ifMatch !== '*' && ifMatch !== fields['etag']) return false;
  const since = request.headers['if-unmodified-since'];
  const modified = fields['last-modified'];
  return since === undefined || modified === undefined || Date.parse(modified) <= Date.parse(since);
}

const etags = new WeakMap<object, string>();

function madeEtag(file: ServedFile): string {
  let etag = etags.get(file.content);
  if (etag === undefined) {
    const hash = createHash('sha256').update(String(sizeOf(file)));
    hash.update(sliceOf(file, 0, Math.min(sizeOf(file), STEP)));
    etags.set(file.content, (etag = `"${hash.digest('hex').slice(0, 32)}"`));
  }
  return etag;
}
