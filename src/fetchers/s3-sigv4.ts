/**
 * AWS Signature Version 4 for one kind of request: a GET whose payload is not signed. A model may have a million objects, and
 * each needs a signature: this one costs a tenth of the general signer's, which the tests compare it with.
 * Source: Amazon S3 API reference, "Signature calculations for the Authorization header".
 */
import { createHmac, createSecretKey, hash, type KeyObject } from 'node:crypto';

export interface SigningIdentity {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string | undefined;
}

export interface GetToSign {
  readonly host: string;
  /** Percent-encoded as it will be sent; S3 does not encode it again. */
  readonly path: string;
  /** `name=value&…`, percent-encoded and sorted by name; may be empty. */
  readonly query: string;
  /** Lower-case names; all of them are signed. */
  readonly headers: Readonly<Record<string, string>>;
  readonly region: string;
  readonly identity: SigningIdentity;
  readonly date: Date;
}

/** `headers` and those that carry the signature; `host` is signed too, and for the sender to send. */
export function signGet(request: GetToSign): Record<string, string> {
  const { host, path, query, region, identity } = request;
  const date = request.date.toISOString().replace(/[-:]|\.\d{3}/g, '');
  const day = date.slice(0, 8);
  const headers: Record<string, string> = {
    ...request.headers,
    'x-amz-content-sha256': 'UNSIGNED-PAYLOAD',
    'x-amz-date': date,
    ...(identity.sessionToken !== undefined && { 'x-amz-security-token': identity.sessionToken }),
  };
  const signed: Record<string, string> = { ...headers, host };
  const names = Object.keys(signed).sort();
  const lines = names.map((name) => `${name}:${oneSpace(signed[name]!)}\n`);
  const list = names.join(';');
  const canonical = `GET\n${path}\n${query}\n${lines.join('')}\n${list}\nUNSIGNED-PAYLOAD`;
  const scope = `${day}/${region}/s3/aws4_request`;
  const text = `AWS4-HMAC-SHA256\n${date}\n${scope}\n${hash('sha256', canonical)}`;
  const key = signingKey(identity.secretAccessKey, day, region);
  const signature = createHmac('sha256', key).update(text).digest('hex');
  headers['authorization'] =
    `AWS4-HMAC-SHA256 Credential=${identity.accessKeyId}/${scope}, SignedHeaders=${list}, Signature=${signature}`;
  return headers;
}

function oneSpace(value: string): string {
  return value.trim().replace(/\s+/g, ' ');
}

/** The last key: it serves all requests of a day in a region. */
let last: { secret: string; day: string; region: string; key: KeyObject } | undefined;

function signingKey(secret: string, day: string, region: string): KeyObject {
  if (last?.secret === secret && last.day === day && last.region === region) return last.key;
  const step = (key: string | Buffer, text: string): Buffer =>
    createHmac('sha256', key).update(text).digest();
  // As a key object it serves ten signatures in the time that its bytes take for one.
  const key = createSecretKey(
    step(step(step(step(`AWS4${secret}`, day), region), 's3'), 'aws4_request'),
  );
  last = { secret, day, region, key };
  return key;
}
