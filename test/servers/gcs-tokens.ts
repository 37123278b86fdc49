/** Where tokens come from: the OAuth token endpoint, the STS, the IAM credentials API and the metadata server. */
import { createPublicKey, generateKeyPairSync, randomBytes, verify } from 'node:crypto';

/** An answer in the form the router writes. */
export interface TokenAnswer {
  readonly status: number;
  readonly headers?: Record<string, string>;
  readonly body: unknown;
}

/** The `aud` that Google's own libraries put into an assertion, wherever they send it. */
const GOOGLE_AUDIENCE = 'https://oauth2.googleapis.com/token';
export const SERVICE_ACCOUNT = 'reader@project.iam.gserviceaccount.com';
/** What the token endpoints of this fake know about the user and the workload. */
export const CLIENT = {
  id: 'client-id',
  secret: 'client-secret-value',
  refresh: 'refresh-token-value',
};
export const SUBJECT_TOKEN = 'subject-token-value';

export class TokenAuthority {
  readonly #lifetimeS: number;
  readonly #valid = new Map<string, number>();
  #keys: { publicKey: string; privateKey: string } | undefined;
  /** Every token ever issued, in order. */
  readonly issued: string[] = [];

  constructor(lifetimeS: number) {
    this.#lifetimeS = lifetimeS;
  }

  /** Made when first needed: an RSA key takes a while. */
  get keys(): { publicKey: string; privateKey: string } {
    this.#keys ??= generateKeyPairSync('rsa', {
      modulusLength: 2048,
      publicKeyEncoding: { type: 'spki', format: 'pem' },
      privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    });
    return this.#keys;
  }

  isValid(token: string): boolean {
    return (this.#valid.get(token) ?? 0) > Date.now();
  }

  /** From now on every token issued so far is refused. */
  revokeAll(): void {
    this.#valid.clear();
  }

  /** From now on the account has another key. */
  renewKeys(): void {
    this.#keys = undefined;
  }

  issue(): { access_token: string; expires_in: number; token_type: string } {
    const token = `ya29.${randomBytes(24).toString('base64url')}`;
    this.#valid.set(token, Date.now() + this.#lifetimeS * 1000);
    this.issued.push(token);
    return { access_token: token, expires_in: this.#lifetimeS, token_type: 'Bearer' };
  }

  /** POST /token. Sources: RFC 7523 section 2.1, RFC 6749 sections 6 and 5.2. */
  token(form: URLSearchParams, tokenUrl: string): TokenAnswer {
    switch (form.get('grant_type') ?? '') {
      case 'urn:ietf:params:oauth:grant-type:jwt-bearer': {
        const fault = this.#assertionFault(form.get('assertion') ?? '', tokenUrl);
        return fault === undefined ? ok(this.issue()) : refused('invalid_grant', fault);
      }
      case 'refresh_token':
        if (form.get('client_id') !== CLIENT.id || form.get('client_secret') !== CLIENT.secret)
          return {
            status: 401,
            body: { error: 'invalid_client', error_description: 'Unauthorized' },
          };
        if (form.get('refresh_token') !== CLIENT.refresh)
          return refused('invalid_grant', 'Token has been expired or revoked.');
        return ok(this.issue());
      default:
        return refused(
          'unsupported_grant_type',
          `Invalid grant_type: ${form.get('grant_type') ?? ''}`,
        );
    }
  }

  #assertionFault(assertion: string, tokenUrl: string): string | undefined {
    const [header = '', claims = '', signature = ''] = assertion.split('.');
    try {
      const { alg } = JSON.parse(Buffer.from(header, 'base64url').toString()) as { alg?: string };
      if (alg !== 'RS256') return `alg ${alg ?? 'missing'}`;
      const key = createPublicKey(this.keys.publicKey);
      if (
        !verify(
          'RSA-SHA256',
          Buffer.from(`${header}.${claims}`),
          key,
          Buffer.from(signature, 'base64url'),
        )
      )
        return 'Invalid JWT Signature.';
      const said = JSON.parse(Buffer.from(claims, 'base64url').toString()) as Record<
        string,
        unknown
      >;
      if (said['iss'] !== SERVICE_ACCOUNT) return 'Invalid issuer.';
      if (said['aud'] !== tokenUrl && said['aud'] !== GOOGLE_AUDIENCE) return 'Invalid audience.';
      if (typeof said['scope'] !== 'string' || said['scope'] === '') return 'Empty scope.';
      const now = Date.now() / 1000;
      const [issuedAt, expires] = [Number(said['iat']), Number(said['exp'])];
      if (!(issuedAt < now + 60 && expires > now && expires <= issuedAt + 3600))
        return 'Invalid times.';
      return undefined;
    } catch {
      return 'Invalid JWT.';
    }
  }

  /** POST /v1/token. Source: RFC 8693. */
  exchange(form: URLSearchParams): TokenAnswer {
    if (form.get('grant_type') !== 'urn:ietf:params:oauth:grant-type:token-exchange')
      return refused('unsupported_grant_type', 'not a token exchange');
    if (form.get('subject_token') !== SUBJECT_TOKEN)
      return refused('invalid_grant', 'The subject token is invalid.');
    return ok({
      ...this.issue(),
      issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
    });
  }

  /** POST …:generateAccessToken of the IAM credentials API. */
  impersonate(bearer: string | undefined): TokenAnswer {
    if (bearer === undefined || !this.isValid(bearer))
      return {
        status: 401,
        body: { error: { code: 401, message: 'Invalid Credentials', status: 'UNAUTHENTICATED' } },
      };
    const token = this.issue();
    const expireTime = new Date(Date.now() + token.expires_in * 1000).toISOString();
    return ok({ accessToken: token.access_token, expireTime });
  }

  /** GET /computeMetadata/v1/… Source: https://cloud.google.com/compute/docs/metadata/querying-metadata */
  metadata(path: string, flavor: string | undefined): TokenAnswer {
    const headers = { 'metadata-flavor': 'Google' };
    if (flavor !== 'Google')
      return { status: 403, headers, body: 'Missing Metadata-Flavor:Google header.' };
    if (path.endsWith('/instance/service-accounts/default/token'))
      return { ...ok(this.issue()), headers };
    if (path.endsWith('/project/project-id')) return { status: 200, headers, body: 'project' };
    if (path.endsWith('/instance'))
      return { status: 200, headers, body: 'attributes/\nservice-accounts/\n' };
    return { status: 404, headers, body: 'not found' };
  }
}

function ok(body: unknown): TokenAnswer {
  return { status: 200, body };
}

function refused(error: string, description: string): TokenAnswer {
  return { status: 400, body: { error, error_description: description } };
}
