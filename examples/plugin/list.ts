/**
 * A scheme of a third party: `list+https://host/path/SHA256SUMS`. The URL names a text file as `sha256sum` writes it, a
 * digest and a name on each line; the model is the files that it names, next to it or at full URLs. Whatever a static
 * web server can hold is a model then, every file of it verified.
 *
 * In a package of your own the imports are `from 'model-fetch'`.
 */
import { createHash } from 'node:crypto';
import {
  ModelFetchError,
  type CallOptions,
  type Entry,
  type ErrorCode,
  type FailedLocation,
  type Fetcher,
  type HttpAnswer,
  type HttpClient,
  type HttpLocation,
  type Ref,
  type Registration,
  type Resolver,
} from '../../src/index.ts';

/** The one object that is registered: `--plugin` takes the default export of a module. */
const registration: Registration = {
  name: 'list',
  schemes: ['list+https', 'list+http'],
  form: 'list+https://host/path/SHA256SUMS',
  load: () => Promise.resolve(list()),
};
export default registration;

/** One line of the list. */
interface Line {
  readonly path: string;
  readonly url: string;
  readonly sha256: string;
}

/** `resolve` reads the list: its own digest is the revision, for it pins every file that it names. */
export function list(): Resolver {
  return {
    async resolve(ref, { http, signal }): Promise<Fetcher> {
      const from = urlOf(ref);
      const answer = succeeded(await http.request(from.href, { signal }), ref.raw);
      const lines = parse(answer.body.toString('utf8'), answer.url, ref.raw);
      const uri = `${ref.scheme}://${from.host}${from.pathname}`;
      return {
        uri,
        revision: createHash('sha256').update(answer.body).digest('hex'),
        list: (options = {}) => entries(lines, http, uri, options),
        locate: (entry, options = {}) => locate(entry, http, uri, options),
      };
    },
  };
}

function urlOf(ref: Ref): URL {
  const url = URL.parse(ref.raw.slice('list+'.length));
  if (!url) throw failure('INVALID_URI', 'what follows list+ is not a URL', ref.raw);
  if (url.username === '' && url.password === '') return url;
  throw failure('INVALID_URI', 'credentials do not belong into the URI of a list', ref.raw);
}

/** Source: the manual of GNU coreutils, "cksum output modes": digest, space, space or `*`, name. */
function parse(text: string, base: string, uri: string): Line[] {
  const lines: Line[] = [];
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue;
    const [, sha256, name] = /^([0-9a-fA-F]{64}) [ *](.+)$/.exec(line) ?? [];
    const found = name === undefined ? undefined : place(name, base);
    if (sha256 === undefined || !found)
      throw failure('BAD_RESPONSE', `line ${String(index + 1)} is not "sha256  name"`, uri);
    lines.push({ ...found, sha256: sha256.toLowerCase() });
  }
  if (lines.length === 0) throw failure('NOT_FOUND', 'the list names no file', uri);
  return lines;
}

/** A full URL lands under its last segment; a name lands under itself, and is found next to the list. */
function place(name: string, base: string): { path: string; url: string } | undefined {
  if (/^https?:\/\//i.test(name)) {
    const url = URL.parse(name);
    const path = url?.pathname.split('/').at(-1);
    return url && path ? { path: decoded(path), url: url.href } : undefined;
  }
  const path = name.replace(/^\.\//, '');
  const relative = path.split('/').map(encodeURIComponent).join('/');
  return { path, url: new URL(`./${relative}`, base).href };
}

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}

/** The sizes are not in the list: each file is asked for its own, so that the engine can read it in parts. */
async function* entries(
  lines: readonly Line[],
  http: HttpClient,
  uri: string,
  options: CallOptions,
): AsyncGenerator<Entry> {
  for (const { path, url, sha256 } of lines) {
    const { headers } = succeeded(await http.request(url, { ...options, method: 'HEAD' }), uri);
    const size = headers['content-length'];
    const etag = headers['etag'];
    yield {
      path,
      ...(size !== undefined && { size: Number(size) }),
      // A weak ETag may stay when bytes change, and `If-Match` never matches one (RFC 9110, section 13.1.1).
      ...(etag !== undefined && !etag.startsWith('W/') && { version: etag }),
      ...(headers['accept-ranges'] === 'none' && { ranges: false }),
      digests: [`sha256:${sha256}`],
      source: url,
    };
  }
}

/** Where redirects lead, pinned to the version that was listed. */
async function locate(
  { path, source, version }: Entry,
  http: HttpClient,
  uri: string,
  { failed, signal }: CallOptions & { readonly failed?: FailedLocation },
): Promise<HttpLocation> {
  if (failed?.status === 412 || failed?.status === 404)
    throw failure('SOURCE_CHANGED', `${path} has changed since it was listed`, uri);
  const answer = await http.request(source!, { method: 'HEAD', ...(signal && { signal }) });
  const { url, transport } = succeeded(answer, uri, 'SOURCE_CHANGED');
  const pin = version && { request: { 'if-match': version }, response: { etag: version } };
  return { kind: 'http', url, headers: {}, transport, ...(pin && { pin }) };
}

/** `answer`, unless the server refuses. `gone`: what a file that is not there means at this point. */
function succeeded(
  answer: HttpAnswer,
  uri: string,
  gone: 'NOT_FOUND' | 'SOURCE_CHANGED' = 'NOT_FOUND',
): HttpAnswer {
  if (answer.status === 200) return answer;
  if (answer.status === 404 || answer.status === 410)
    throw failure(gone, `there is no ${answer.url}`, uri);
  if (answer.status === 401) throw failure('UNAUTHENTICATED', `${answer.url} wants a login`, uri);
  if (answer.status === 403) throw failure('PERMISSION_DENIED', `${answer.url} is not for us`, uri);
  throw failure('BAD_RESPONSE', `${answer.url} answers ${String(answer.status)}`, uri);
}

function failure(code: ErrorCode, message: string, uri: string): ModelFetchError {
  return new ModelFetchError(code, message, {
    uri,
    hint: 'Make the list with sha256sum, and upload it after the files it names.',
  });
}
