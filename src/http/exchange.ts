/** One request and the head of its answer, over got. The only file that imports got; itself imported when first needed. */
import got, { type PlainResponse, type Request } from 'got';
import { ModelFetchError } from '../errors.ts';
import { abortFailure, connectionFailure, systemCode, timedOut } from '../net/failures.ts';
import type { Network } from '../net/network.ts';
import { VERSION } from '../version.ts';

export interface ExchangeRequest {
  readonly url: URL;
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT';
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  readonly agents: ReturnType<Network['agents']>;
  readonly signal: AbortSignal;
  /** Milliseconds from the request to the head of the answer, and without a byte. Absent: the caller keeps the clock. */
  readonly timeoutMs?: number;
}

/** An answer whose body has not been read. `close` lets go of it and its connection. */
export interface Exchange {
  readonly status: number;
  /** Names in lower case; repeated fields joined with `, `. */
  readonly headers: Readonly<Record<string, string>>;
  /** Not decompressed. Fails with the errors of `Network.connect` when the connection breaks. */
  readonly body: AsyncIterable<Buffer>;
  /** The address that answered, a proxy's where there was one. */
  readonly remoteAddress: string | undefined;
  close(): void;
}

/** Sends `request` once, follows nothing, retries nothing. Throws `UNAVAILABLE`, `REFUSED` and the like, never got's own errors: those hold secrets. */
export async function exchange(request: ExchangeRequest): Promise<Exchange> {
  const { signal } = request;
  if (signal.aborted) throw abortFailure(signal);
  const stream = start(request);
  const close = () => {
    signal.removeEventListener('abort', close);
    stream.destroy();
  };
  stream.on('error', () => undefined);
  signal.addEventListener('abort', close, { once: true });
  try {
    const response = await headOf(stream, signal);
    return {
      status: response.statusCode,
      headers: joined(response),
      body: bodyOf(stream, response, request, close),
      remoteAddress: response.ip,
      close,
    };
  } catch (error) {
    close();
    throw failureOf(error, request);
  }
}

function start({ url, method, headers, body, agents, timeoutMs }: ExchangeRequest): Request {
  const stream = got.stream(url, {
    method,
    headers: { 'user-agent': `model-fetch/${VERSION}`, ...headers },
    ...(body !== undefined && { body }),
    agent: agents,
    decompress: false,
    followRedirect: false,
    throwHttpErrors: false,
    retry: { limit: 0 },
    http2: false,
    // Lengths are counted by the callers, who know what they asked for.
    strictContentLength: false,
    ...(timeoutMs !== undefined && { timeout: { response: timeoutMs, socket: timeoutMs } }),
  });
  if (body === undefined && (method === 'POST' || method === 'PUT')) stream.end();
  return stream;
}

function headOf(stream: Request, signal: AbortSignal): Promise<PlainResponse> {
  return new Promise<PlainResponse>((resolve, reject) => {
    const stop = () => {
      reject(abortFailure(signal));
    };
    stream.once('error', reject).once('response', (response: PlainResponse) => {
      signal.removeEventListener('abort', stop);
      resolve(response);
    });
    stream.once('close', () => {
      signal.removeEventListener('abort', stop);
    });
    signal.addEventListener('abort', stop, { once: true });
  });
}

async function* bodyOf(
  stream: Request,
  response: PlainResponse,
  request: ExchangeRequest,
  close: () => void,
): AsyncGenerator<Buffer> {
  try {
    for await (const chunk of stream) yield chunk as Buffer;
    // A stream that was destroyed ends quietly; only the parser knows whether the message was whole.
    if (request.signal.aborted) throw abortFailure(request.signal);
    if (!response.complete)
      throw Object.assign(new Error('the body ended early'), { code: 'ECONNRESET' });
  } catch (error) {
    throw failureOf(error, request);
  } finally {
    close();
  }
}

function joined(response: PlainResponse): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const [name, values] of Object.entries(response.headersDistinct)) {
    if (values) headers[name] = SINGLE.has(name) ? values[0]! : values.join(', ');
  }
  return headers;
}

/** Fields that are no lists: of two, joining them would make a third. */
const SINGLE = new Set([
  'location',
  'etag',
  'last-modified',
  'date',
  'content-type',
  'content-disposition',
  'retry-after',
]);

/** Ours where there is one in the chain of causes, else one made of the system's error; got's wrapper is left behind. */
function failureOf(error: unknown, { signal, url }: ExchangeRequest): ModelFetchError {
  if (signal.aborted) return abortFailure(signal);
  let deepest = error;
  for (let one: unknown = error; one instanceof Error; one = one.cause) {
    if (one instanceof ModelFetchError) return one;
    deepest = one;
  }
  if ((error as Error).name === 'TimeoutError') deepest = timedOut('no answer in time');
  if (deepest === error && isGots(error))
    deepest = Object.assign(new Error((error as Error).message), { code: systemCode(error) });
  return connectionFailure(deepest, url);
}

function isGots(error: unknown): boolean {
  return typeof error === 'object' && error !== null && 'options' in error;
}
