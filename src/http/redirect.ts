/** Where a redirect leads, and what may go there: one policy for all schemes. Source: RFC 9110 section 15.4. */
import { ModelFetchError } from '../errors.ts';
import type { HttpRequest, Transport } from '../fetcher.ts';
import { stricter, type AddressClass } from '../net/address-policy.ts';

/** One request on the way. */
export interface Hop {
  readonly url: URL;
  readonly method: NonNullable<HttpRequest['method']>;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  readonly transport: Transport;
}

const REDIRECTS = new Set([301, 302, 303, 307, 308]);
/** What says nothing about who asks. Everything else stays with the origin it was meant for. */
const CROSSES_ORIGINS = /^(?:accept|accept-encoding|accept-language|user-agent|range|if-[a-z-]+)$/;

/** The next hop after an answer, or undefined when the answer is no redirect. `from`: the class of the address that answered. */
export function nextHop(
  hop: Hop,
  status: number,
  location: string | undefined,
  from: AddressClass,
): Hop | undefined {
  if (!REDIRECTS.has(status) || location === undefined || location.trim() === '') return undefined;
  const url = targetOf(hop.url, location);
  const sameOrigin = url.origin === hop.url.origin;
  const { method, body } = requestAfter(hop, status);
  if (!sameOrigin && body !== undefined)
    throw new ModelFetchError(
      'REFUSED',
      `${hop.url.host} redirects a request with a body to ${url.host}`,
      {
        uri: hop.url.href,
        hint: 'What was meant for one server is not sent to another.',
      },
    );
  return {
    url,
    method,
    headers: headersAfter(hop.headers, sameOrigin, body !== undefined),
    ...(body !== undefined && { body }),
    transport: transportAfter(hop.transport, sameOrigin, from),
  };
}

function targetOf(from: URL, location: string): URL {
  // Node reads header bytes as Latin-1; servers that send raw UTF-8 mean UTF-8.
  const text = Buffer.from(location, 'latin1').toString('utf8');
  let url: URL;
  try {
    url = new URL(text.includes('\uFFFD') ? location : text, from);
  } catch (error) {
    throw new ModelFetchError(
      'BAD_RESPONSE',
      `${from.host} redirects to something that is not a URL`,
      {
        uri: from.href,
        cause: error,
      },
    );
  }
  url.hash = '';
  if (url.protocol !== 'https:' && url.protocol !== 'http:')
    throw new ModelFetchError('REFUSED', `${from.host} redirects to ${url.protocol}`, {
      uri: from.href,
    });
  if (from.protocol === 'https:' && url.protocol === 'http:')
    throw new ModelFetchError(
      'REFUSED',
      `${from.host} redirects from https to http://${url.host}`,
      {
        uri: from.href,
        hint: 'Anyone on the way could change the model. If that is what you want, name the http:// URL yourself.',
      },
    );
  return url;
}

/** 303 becomes GET; so does a POST after 301 and 302, as browsers do; 307 and 308 keep everything. */
function requestAfter(hop: Hop, status: number): Pick<Hop, 'method' | 'body'> {
  const becomesGet =
    (status === 303 && hop.method !== 'HEAD') || (status < 303 && hop.method === 'POST');
  if (becomesGet) return { method: 'GET' };
  return { method: hop.method, ...(hop.body !== undefined && { body: hop.body }) };
}

function headersAfter(
  headers: Hop['headers'],
  sameOrigin: boolean,
  hasBody: boolean,
): Hop['headers'] {
  const kept = Object.entries(headers).filter(
    ([name]) =>
      (sameOrigin || CROSSES_ORIGINS.test(name)) && (hasBody || !name.startsWith('content-')),
  );
  return Object.fromEntries(kept);
}

/** Another origin gets no client certificate and no blind trust, and only addresses as public as the last one. */
function transportAfter(transport: Transport, sameOrigin: boolean, from: AddressClass): Transport {
  if (sameOrigin && transport.reach === 'any') return transport;
  const reach = stricter(transport.reach, from);
  if (sameOrigin) return { ...transport, reach };
  return {
    ...(transport.ca !== undefined && { ca: transport.ca }),
    ...(transport.proxy !== undefined && { proxy: transport.proxy }),
    reach,
  };
}
