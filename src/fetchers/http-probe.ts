/** One look at a URL: how long the file is, whether parts can be had, and what proves that it stays the same. */
import { ModelFetchError } from '../errors.ts';
import type { HttpAnswer, HttpClient, HttpLocation, Transport } from '../fetcher.ts';

export interface ProbeRequest {
  readonly url: URL;
  /** Names in lower case; they go to the URL's own origin only. */
  readonly headers: Readonly<Record<string, string>>;
  readonly transport: Transport;
  readonly http: HttpClient;
  readonly signal: AbortSignal;
}

export interface Probed {
  readonly location: HttpLocation;
  readonly size: number | undefined;
  readonly ranges: boolean;
  /** Strong ETag. */
  readonly etag: string | undefined;
  /** Changes when the content does; undefined when the server gives nothing to go by. */
  readonly version: string | undefined;
  readonly headers: Readonly<Record<string, string>>;
}

/**
 * A GET of the first byte: presigned URLs are signed for GET, and servers answer HEAD differently or not at all. Redirects
 * are followed; `location` is where they end. Throws the typed error for anything but 200 and 206.
 */
export async function probe(request: ProbeRequest): Promise<Probed> {
  const first = await ask(request, true);
  const answer = isUnclear(first) ? await ask(request, false) : first;
  if (answer.status !== 200 && answer.status !== 206) throw answerFailure(answer, request);
  const total = answer.status === 206 ? totalOf(answer) : undefined;
  const size = answer.status === 206 ? total : lengthOf(answer);
  const etag = strongEtag(answer.headers['etag']);
  const modified = settledTime(answer.headers);
  const pin = pinOf(etag, modified);
  return {
    location: locationOf(request, answer, pin),
    size,
    ranges: total !== undefined && pin !== undefined,
    etag,
    version: etag ?? (modified === undefined ? undefined : `${modified} ${String(size)}`),
    headers: answer.headers,
  };
}

/** An empty file has no first byte (416); and some servers send the one byte as if it were the whole (200, one byte long). */
function isUnclear(answer: HttpAnswer): boolean {
  return answer.status === 416 || (answer.status === 200 && lengthOf(answer) === 1);
}

function ask(
  { url, headers, transport, http, signal }: ProbeRequest,
  firstByte: boolean,
): Promise<HttpAnswer> {
  return http.request(url.href, {
    headers: { accept: '*/*', ...headers, ...(firstByte && { range: 'bytes=0-0' }) },
    redirect: 'follow',
    answer: 'discard',
    transport,
    signal,
  });
}

function locationOf(
  request: ProbeRequest,
  answer: HttpAnswer,
  pin: HttpLocation['pin'],
): HttpLocation {
  const atHome = new URL(answer.url).origin === request.url.origin;
  return {
    kind: 'http',
    url: answer.url,
    headers: atHome ? request.headers : {},
    ...(pin && { pin }),
    ...(Object.keys(answer.transport).length > 0 && { transport: answer.transport }),
  };
}

function totalOf(answer: HttpAnswer): number | undefined {
  const match = /^bytes 0-0\/(\d{1,15})$/.exec(answer.headers['content-range']?.trim() ?? '');
  return match ? Number(match[1]) : undefined;
}

function lengthOf(answer: HttpAnswer): number | undefined {
  const value = answer.headers['content-length'];
  return value !== undefined && /^\d{1,15}$/.test(value) ? Number(value) : undefined;
}

/** Weak ones (`W/"…"`) say "much the same", which does not do for putting parts together. Source: RFC 9110 section 8.8.3. */
function strongEtag(value: string | undefined): string | undefined {
  return value !== undefined && /^"[^"]*"$/.test(value) ? value : undefined;
}

/** A Last-Modified is strong when it is at least a minute old: it has no fractions. Source: RFC 9110 section 8.8.2.2. */
function settledTime(headers: HttpAnswer['headers']): string | undefined {
  const value = headers['last-modified'];
  if (value === undefined) return undefined;
  const now = Date.parse(headers['date'] ?? '') || Date.now();
  return now - Date.parse(value) >= 60_000 ? value : undefined;
}

function pinOf(etag: string | undefined, modified: string | undefined): HttpLocation['pin'] {
  if (etag !== undefined) return { request: { 'if-match': etag }, response: { etag } };
  if (modified === undefined) return undefined;
  return { request: { 'if-unmodified-since': modified }, response: { 'last-modified': modified } };
}

/** The typed error for an answer that is not the file. */
export function answerFailure(
  answer: Pick<HttpAnswer, 'status' | 'url'>,
  { url, headers }: Pick<ProbeRequest, 'url' | 'headers'>,
): ModelFetchError {
  const { status } = answer;
  const host = new URL(answer.url).host;
  const via = host === url.host ? '' : ` (redirected to ${host})`;
  const details = { uri: url.href };
  const said = `HTTP ${String(status)} from ${url.host}${via}`;
  if (status === 404 || status === 410)
    return new ModelFetchError('NOT_FOUND', said, {
      ...details,
      hint: 'Check the URL; some servers also answer 404 to those who may not know that a file exists.',
    });
  if (status === 401)
    return new ModelFetchError('UNAUTHENTICATED', said, {
      ...details,
      hint: credentialsHint(url, headers),
    });
  if (status === 403)
    return new ModelFetchError('PERMISSION_DENIED', said, {
      ...details,
      hint: credentialsHint(url, headers),
    });
  return new ModelFetchError(
    'BAD_RESPONSE',
    `${said}: not the file, and not an answer that says where it is`,
    {
      ...details,
      hint: 'Open the URL with curl -v to see what the server has to say.',
    },
  );
}

/** Signed query parameters, by the names of S3, GCS, CloudFront and Azure. */
export const SIGNATURE = /[?&](?:x-amz-signature|x-goog-signature|signature|sig)=/i;

function credentialsHint(url: URL, headers: ProbeRequest['headers']): string {
  if (SIGNATURE.test(url.search))
    return 'The signature in the URL is wrong, has expired, or is for another method: make a new one for GET.';
  if (Object.keys(headers).length > 0)
    return 'The server does not accept the credentials it was sent.';
  return `Put credentials into the environment variable ${url.hostname}-headers, e.g. {"Authorization":"Bearer …"}, or as user:password@ before the host of the URL.`;
}
