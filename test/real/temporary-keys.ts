/** Temporary keys of MinIO: its STS gives them out, and its own admin interface takes them back before their time. */
import { createHash, createHmac } from 'node:crypto';
import { SignatureV4 } from '@smithy/signature-v4';
import { ACCESS_KEY, SECRET_KEY } from './servers.ts';

export interface TemporaryKeys {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string;
}

const ROOT = { accessKeyId: ACCESS_KEY, secretAccessKey: SECRET_KEY };

/** Keys of 15 minutes, the least there is. Source: MinIO's AssumeRole. */
export async function assumeRole(endpoint: string): Promise<TemporaryKeys> {
  const body = new URLSearchParams({
    ...{ Action: 'AssumeRole', Version: '2011-06-15', DurationSeconds: '900' },
    // What `revoke` takes back is all of one kind.
    TokenRevokeType: createHash('sha1').update(String(Math.random())).digest('hex'),
  }).toString();
  const text = await signed(endpoint, '/', body, ROOT, 'sts');
  const read = (name: string): string => {
    const value = new RegExp(`<${name}>([^<]+)</${name}>`).exec(text)?.[1];
    if (value === undefined) throw new Error(`no ${name} in ${text}`);
    return value;
  };
  return {
    accessKeyId: read('AccessKeyId'),
    secretAccessKey: read('SecretAccessKey'),
    sessionToken: read('SessionToken'),
  };
}

/** From now on `keys` are worth nothing. Source: MinIO's admin interface, revoke-tokens, asked by the keys themselves. */
export async function revoke(endpoint: string, keys: TemporaryKeys): Promise<void> {
  await signed(endpoint, '/minio/admin/v3/revoke-tokens/builtin', '', keys, 's3');
}

async function signed(
  endpoint: string,
  path: string,
  body: string,
  credentials: TemporaryKeys | typeof ROOT,
  service: string,
): Promise<string> {
  const url = new URL(path, endpoint);
  const signer = new SignatureV4({ service, region: 'us-east-1', credentials, sha256: Sha256 });
  const { headers } = await signer.sign({
    method: 'POST',
    protocol: url.protocol,
    hostname: url.hostname,
    path: url.pathname,
    query: {},
    headers: {
      host: url.host,
      'content-type': 'application/x-www-form-urlencoded',
      'x-amz-content-sha256': createHash('sha256').update(body).digest('hex'),
    },
    body,
  });
  const answer = await fetch(url, { method: 'POST', headers, body });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${path}: ${String(answer.status)} ${text}`);
  return text;
}

/** What the signer wants of a hash, with or without a key. */
class Sha256 {
  readonly #hash;
  constructor(secret?: string | ArrayBuffer | ArrayBufferView) {
    const key = typeof secret === 'string' || secret === undefined ? secret : bytesOf(secret);
    this.#hash = key === undefined ? createHash('sha256') : createHmac('sha256', key);
  }
  update(data: string | ArrayBuffer | ArrayBufferView): void {
    this.#hash.update(typeof data === 'string' ? data : bytesOf(data));
  }
  digest(): Promise<Uint8Array> {
    return Promise.resolve(new Uint8Array(this.#hash.digest()));
  }
}

function bytesOf(data: ArrayBuffer | ArrayBufferView): Uint8Array {
  return ArrayBuffer.isView(data)
    ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    : new Uint8Array(data);
}
