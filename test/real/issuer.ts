/** An OpenID issuer, as a cluster is one: it signs tokens for service accounts, and shows the key to check them with. */
import { createSign, generateKeyPairSync, randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Bench } from './bench.ts';

export interface Issuer {
  readonly configUrl: string;
  /** A signed token; `secondsLeft` may be negative, `forged` is signed by another key. */
  readonly token: (how?: { secondsLeft?: number; forged?: boolean }) => string;
}

export const AUDIENCE = 'sts.amazonaws.com';
const KEY_ID = 'one';
const newKey = () => generateKeyPairSync('rsa', { modulusLength: 2048 });

/** Starts one; its tokens name the policy of MinIO that they give (`readonly` there may not list). */
export async function startIssuer(bench: Bench): Promise<Issuer> {
  const [ours, other] = [newKey(), newKey()];
  const key = {
    ...ours.publicKey.export({ format: 'jwk' }),
    kid: KEY_ID,
    alg: 'RS256',
    use: 'sig',
  };
  let url = '';
  const server = createServer((request, response) => {
    const document = request.url?.endsWith('/openid-configuration')
      ? { issuer: url, jwks_uri: `${url}/keys`, response_types_supported: ['id_token'] }
      : { keys: [key] };
    response.setHeader('content-type', 'application/json').end(JSON.stringify(document));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  bench.onEnd(() => {
    server.close();
    server.closeAllConnections();
  });
  url = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`;
  return {
    configUrl: `${url}/.well-known/openid-configuration`,
    token: ({ secondsLeft = 3600, forged = false } = {}) => {
      const now = Math.floor(Date.now() / 1000);
      const claims = {
        ...{ iss: url, aud: AUDIENCE, sub: 'system:serviceaccount:models:reader' },
        ...{ iat: now - 60, exp: now + secondsLeft, jti: randomUUID(), policy: 'readwrite' },
      };
      const text = `${part({ alg: 'RS256', typ: 'JWT', kid: KEY_ID })}.${part(claims)}`;
      const signer = createSign('RSA-SHA256').update(text);
      return `${text}.${signer.sign((forged ? other : ours).privateKey, 'base64url')}`;
    },
  };
}

function part(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}
