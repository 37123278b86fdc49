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

/** What many requests have in common. */
export interface Signing {
  readonly host: string;
  /** Lower-case names; all of them are signed. */
  readonly headers: Readonly<Record<string, string>>;
  readonly region: string;
  readonly identity: SigningIdentity;
  /** To the second. */
  readonly date: Date;
}

/**
 * Signs a GET of `path`, percent-encoded as it will be sent (S3 does not encode it again), with `query` (`name=value&…`,
 * percent-encoded and sorted by name; may be empty). Answers the signing's headers and those that carry the signature;
 * `host` is signed too, and for the sender to send.
 */
export type SignGet = (path: string, query: string) => Record<string, string>;

/** All that does not depend on the object is done here, once. */
export function signer({ host, region, identity, headers, date: when }: Signing): SignGet {
  const date = when.toISOString().replace(/[-:]|\.\d{3}/g, '');
  const day = date.slice(0, 8);
  const sent: Readonly<Record<string, string>> = {
    ...headers,
    'x-amz-content-sha256': 'UNSIGNED-PAYLOAD',
    'x-amz-date': date,
    ...(identity.sessionToken !== undefined && { 'x-amz-security-token': identity.sessionToken }),
  };
  const signed: Record<string, string> = { ...sent, host };
  const names = Object.keys(signed).sort();
  const lines = names.map((name) => `${name}:${oneSpace(signed[name]!)}\n`).join('');
  const list = names.join(';');
  const scope = `${day}/${region}/s3/aws4_request`;
  const key = signingKey(identity.secretAccessKey, day, region);
  const authorization = `AWS4-HMAC-SHA256 Credential=${identity.accessKeyId}/${scope}, SignedHeaders=${list}, Signature=`;
  return (path, query) => {
    const canonical = `GET\n${path}\n${query}\n${lines}\n${list}\nUNSIGNED-PAYLOAD`;
    const text = `AWS4-HMAC-SHA256\n${date}\n${scope}\n${hash('sha256', canonical)}`;
    const signature = createHmac('sha256', key).update(text).digest('hex');
    return { ...sent, authorization: authorization + signature };
  };
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
