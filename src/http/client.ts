/** The control plane: what resolvers and fetchers ask servers with. */
import { setTimeout as sleep } from 'node:timers/promises';
import { ModelFetchError } from '../errors.ts';
import type { HttpAnswer, HttpClient, HttpRequest } from '../fetcher.ts';
import { addressClass, presumedClass, type AddressClass } from '../net/address-policy.ts';
import { abortFailure } from '../net/failures.ts';
import type { Network } from '../net/network.ts';
import { basicCredentials } from '../net/proxy.ts';
import type { Exchange } from './exchange.ts';
import { nextHop, type Hop } from './redirect.ts';
import { retryAfterMs } from '../retry-after.ts';

const MAX_BYTES = 8 * 1024 * 1024;
const RESPONSE_MS = 30_000;
const MAX_REDIRECTS = 10;
const RETRIES = 4;
const RETRY_STATUS = new Set([408, 429, 500, 502, 503, 504]);
/** A POST that was refused for being too much, or too early, has done nothing. */
const RETRY_STATUS_POST = new Set([429, 503]);
const MOST_RETRY_AFTER_MS = 60_000;

export interface HttpClientOptions {
  readonly network: Network;
  /** Milliseconds: the n-th retry waits a random part of this times 2^(n-1). Default 500. */
  readonly backoffMs?: number;
  /** Milliseconds for the head of an answer, and without a byte of its body. Default 30,000. */
  readonly responseMs?: number;
}

/** The client described at `HttpClient`. got is loaded by the first request. */
export function createHttpClient(options: HttpClientOptions): HttpClient {
  return {
    request: (url, request = {}) => follow(options, url, request),
    agents: (transport) => Promise.resolve(options.network.agents(transport)),
  };
}

async function follow(
  options: HttpClientOptions,
  href: string,
  request: HttpRequest,
): Promise<HttpAnswer> {
  const signal = request.signal ?? new AbortController().signal;
  let hop = firstHop(href, request);
  const seen = new Set<string>();
  for (let redirects = 0; ; redirects++) {
    hop = withUserinfo(hop);
    const { answer, from } = await askPatiently(options, hop, request, signal);
    const next =
      request.redirect === 'manual'
        ? undefined
        : nextHop(hop, answer.status, answer.headers['location'], from);
    if (!next) return answer;
    seen.add(`${hop.method} ${hop.url.href}`);
    if (seen.has(`${next.method} ${next.url.href}`))
      throw new ModelFetchError('BAD_RESPONSE', `${hop.url.host} redirects in a circle`, {
        uri: href,
      });
    if (redirects === MAX_REDIRECTS)
      throw new ModelFetchError('BAD_RESPONSE', `more than ${String(MAX_REDIRECTS)} redirects`, {
        uri: href,
      });
    hop = next;
  }
}

function firstHop(href: string, request: HttpRequest): Hop {
  const url = URL.parse(href);
  if (!url || (url.protocol !== 'http:' && url.protocol !== 'https:'))
    throw new ModelFetchError('INVALID_URI', 'not an http:// or https:// URL', { uri: href });
  url.hash = '';
  const headers: Record<string, string> = { 'accept-encoding': 'identity' };
  for (const [name, value] of Object.entries(request.headers ?? {}))
    headers[name.toLowerCase()] = value;
  return {
    url,
    method: request.method ?? 'GET',
    headers,
    ...(request.body !== undefined && { body: request.body }),
    transport: request.transport ?? {},
  };
}

/** `user:password@` becomes a header: a URL with credentials in it would be logged, compared and passed on. */
function withUserinfo(hop: Hop): Hop {
  const credentials = basicCredentials(hop.url);
  if (credentials === undefined) return hop;
  const url = new URL(hop.url);
  url.username = '';
  url.password = '';
  return { ...hop, url, headers: { authorization: credentials, ...hop.headers } };
}

interface Told {
  readonly answer: HttpAnswer;
  /** The class of the address that answered. */
  readonly from: AddressClass;
}

/** One hop, again and again while that may help. */
async function askPatiently(
  options: HttpClientOptions,
  hop: Hop,
  request: HttpRequest,
  signal: AbortSignal,
): Promise<Told> {
  for (let attempt = 0; ; attempt++) {
    let failure: ModelFetchError;
    try {
      const told = await askOnce(options, hop, request, signal);
      if (!mayRetry(hop, told.answer.status)) return told;
      failure = unavailable(told.answer, attempt);
    } catch (error) {
      if (!(error instanceof ModelFetchError) || error.code !== 'UNAVAILABLE') throw error;
      if (hop.method === 'POST' && !neverSent(error)) throw error;
      failure = error;
    }
    if (attempt === RETRIES) throw failure;
    await pause(waitMs(failure.retryAfterMs, attempt, options.backoffMs ?? 500), signal);
  }
}

async function askOnce(
  { network, responseMs = RESPONSE_MS }: HttpClientOptions,
  hop: Hop,
  request: HttpRequest,
  signal: AbortSignal,
): Promise<Told> {
  const { exchange } = await import('./exchange.ts');
  const { transport, ...rest } = hop;
  const got = await exchange({
    ...rest,
    agents: network.agents(transport),
    signal,
    timeoutMs: responseMs,
  });
  try {
    const isRead = request.answer !== 'discard' && hop.method !== 'HEAD';
    const body = isRead ? await read(got, hop.url, request.maxBytes ?? MAX_BYTES) : Buffer.alloc(0);
    const { status, headers } = got;
    const proxied = network.proxyFor(hop.url, transport) !== undefined;
    return {
      answer: { status, headers, body, url: hop.url.href, transport },
      from:
        (proxied ? undefined : addressClass(got.remoteAddress ?? '')) ??
        presumedClass(hop.url.hostname),
    };
  } finally {
    got.close();
  }
}

async function read(got: Exchange, url: URL, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let total = 0;
  for await (const chunk of got.body) {
    total += chunk.length;
    if (total > maxBytes)
      throw new ModelFetchError(
        'BAD_RESPONSE',
        `the answer is longer than ${String(maxBytes)} bytes`,
        { uri: url.href },
      );
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function mayRetry(hop: Hop, status: number): boolean {
  return (hop.method === 'POST' ? RETRY_STATUS_POST : RETRY_STATUS).has(status);
}

function neverSent(error: ModelFetchError): boolean {
  const code = (error.cause as { code?: unknown } | undefined)?.code;
  return code === 'ECONNREFUSED' || code === 'ENOTFOUND' || code === 'EAI_AGAIN';
}

function unavailable(answer: HttpAnswer, attempt: number): ModelFetchError {
  const after = retryAfterMs(answer.headers['retry-after']);
  const tries = attempt === 0 ? '' : ` (${String(attempt + 1)} attempts)`;
  return new ModelFetchError(
    'UNAVAILABLE',
    `${new URL(answer.url).host} answers ${String(answer.status)}${tries}`,
    {
      uri: answer.url,
      hint: 'The server is overloaded or down: try again later.',
      ...(after !== undefined && { retryAfterMs: after }),
    },
  );
}

/** Full jitter, and never less than what the server asked for, up to a minute. */
function waitMs(retryAfter: number | undefined, attempt: number, backoffMs: number): number {
  const jitter = Math.random() * backoffMs * 2 ** attempt;
  return Math.max(jitter, Math.min(retryAfter ?? 0, MOST_RETRY_AFTER_MS));
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await sleep(ms, undefined, { signal });
  } catch {
    throw abortFailure(signal);
  }
}
