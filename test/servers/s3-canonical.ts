/** The canonical request of SigV4 and its signature. Source: AWS IAM user guide, "Create a signed request". */
import { createHash, createHmac } from 'node:crypto';

/** What a signature is made over. */
export interface Signable {
  readonly method: string;
  /** As sent, before `?`. */
  readonly rawPath: string;
  /** Without the signature itself. */
  readonly query: readonly (readonly [string, string])[];
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly signedHeaders: readonly string[];
  readonly payload: string;
  /** `20260101T000000Z`. */
  readonly amzDate: string;
  /** `20260101/us-east-1/s3/aws4_request`. */
  readonly scope: string;
}

/** The signature that `secret` gives, hex. */
export function signatureOf(request: Signable, secret: string): string {
  const headers = request.signedHeaders.map(
    (name) => `${name}:${(request.headers[name] ?? '').trim().replace(/ +/g, ' ')}\n`,
  );
  const canonical = [
    request.method,
    canonicalPath(request.rawPath),
    canonicalQuery(request.query),
    headers.join(''),
    request.signedHeaders.join(';'),
    request.payload,
  ].join('\n');
  const hash = createHash('sha256').update(canonical).digest('hex');
  const text = ['AWS4-HMAC-SHA256', request.amzDate, request.scope, hash].join('\n');
  const hmac = (key: string | Buffer, data: string): Buffer =>
    createHmac('sha256', key).update(data).digest();
  const key = request.scope.split('/').reduce<string | Buffer>(hmac, `AWS4${secret}`);
  return hmac(key, text).toString('hex');
}

/** Sorted by name, then by value, after encoding. */
function canonicalQuery(query: Signable['query']): string {
  return query
    .map(([key, value]) => [encode(key), encode(value)] as const)
    .sort(([a, x], [b, y]) => (a < b ? -1 : a > b ? 1 : x < y ? -1 : x > y ? 1 : 0))
    .map(([key, value]) => `${key}=${value}`)
    .join('&');
}

/** S3 encodes the path once, whatever the client left as it was. */
function canonicalPath(rawPath: string): string {
  return rawPath
    .split('/')
    .map((segment) => encode(decode(segment)))
    .join('/');
}

/** Percent-encoding of all but the unreserved characters. Source: RFC 3986 section 2.3. */
export function encode(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

/** Names and values of a query, decoded; `+` is a plus sign. */
export function parseQuery(rawQuery: string): [string, string][] {
  return rawQuery
    .split('&')
    .filter((pair) => pair !== '')
    .map((pair) => {
      const at = pair.indexOf('=');
      const [key, value] = at === -1 ? [pair, ''] : [pair.slice(0, at), pair.slice(at + 1)];
      return [decode(key), decode(value)];
    });
}

/** Percent-decoded; left as it is where it cannot be. */
export function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
