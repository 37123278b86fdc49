/** From a credential file to something that gives tokens: Google's own clients, talking over our control plane. */
import {
  AwsClient,
  ExternalAccountAuthorizedUserClient,
  IdentityPoolClient,
  JWT,
  OAuth2Client,
  PluggableAuthClient,
  UserRefreshClient,
  type AuthClient,
} from 'google-auth-library';
import { ModelFetchError } from '../errors.ts';
import type { HttpClient } from '../fetcher.ts';
import { tokenError } from './gcs-errors.ts';

/** The contents of a credential file. https://cloud.google.com/docs/authentication/application-default-credentials */
export type CredentialJson = Readonly<Record<string, unknown>>;

/** All a fetcher needs, and no more. */
const READ_ONLY = ['https://www.googleapis.com/auth/devstorage.read_only'];
/** What the account that impersonates another must hold. */
const IMPERSONATE = ['https://www.googleapis.com/auth/cloud-platform'];
const GOOGLE_TOKEN_URL = 'https://oauth2.googleapis.com/token';

/** A person's words for each type of file. */
const KINDS: Readonly<Record<string, string>> = {
  service_account: 'service account',
  authorized_user: 'user',
  external_account: 'workload identity federation',
  external_account_authorized_user: 'workforce identity federation',
  impersonated_service_account: 'impersonated service account',
};

/** For people: what kind of credentials these are, and whose. No secret is in it. */
export function describe(json: CredentialJson): string {
  const kind = KINDS[text(json['type'])] ?? 'unknown';
  const url = text(json['service_account_impersonation_url']);
  const account = text(json['client_email']) || (/serviceAccounts\/([^/:]+):/.exec(url)?.[1] ?? '');
  return account === '' ? `${kind} credentials` : `${kind} ${account}`;
}

/** Throws when the file is not one of the kinds that are known, or lacks a field. */
export function clientFor(json: CredentialJson, http: HttpClient, scopes = READ_ONLY): AuthClient {
  const transporterOptions = {
    fetchImplementation: fetchOver(http, json),
    // The control plane has retried what is worth it.
    retryConfig: { shouldRetry: () => false },
  };
  switch (json['type']) {
    case 'service_account': {
      const client = new JWT({ scopes, transporterOptions });
      client.fromJSON(json);
      return client;
    }
    case 'authorized_user': {
      const client = new UserRefreshClient({ transporterOptions });
      client.fromJSON(json);
      return client;
    }
    case 'external_account':
      return federated(json, scopes, transporterOptions);
    case 'external_account_authorized_user':
      return new ExternalAccountAuthorizedUserClient({ ...json, transporterOptions } as never);
    case 'impersonated_service_account':
      return impersonated(json, http, scopes);
    default:
      throw new Error(
        `credentials of type ${JSON.stringify(json['type'] ?? 'none')} are not supported`,
      );
  }
}

/** One of three, by where the subject token comes from. */
function federated(json: CredentialJson, scopes: string[], transporterOptions: object): AuthClient {
  const source = json['credential_source'] as Record<string, unknown> | undefined;
  const options = { ...json, scopes, transporterOptions } as never;
  const client =
    source?.['executable'] !== undefined
      ? new PluggableAuthClient(options)
      : text(source?.['environment_id']).startsWith('aws')
        ? new AwsClient(options)
        : new IdentityPoolClient(options);
  // The library gives its token exchange a transport of its own, which would know neither our proxy nor our CAs.
  const exchange = (client as unknown as { stsCredential?: { transporter: unknown } })
    .stsCredential;
  if (exchange) exchange.transporter = client.transporter;
  return client;
}

/** The library's own class for this writes a warning to the console; the exchange is one request. */
function impersonated(json: CredentialJson, http: HttpClient, scopes: string[]): AuthClient {
  const source = clientFor(json['source_credentials'] as CredentialJson, http, IMPERSONATE);
  const url = text(json['service_account_impersonation_url']);
  if (!URL.canParse(url)) throw new Error('no service_account_impersonation_url');
  const client = new OAuth2Client();
  client.refreshHandler = async () => {
    const answer = await http.request(url, {
      method: 'POST',
      headers: {
        ...Object.fromEntries(await source.getRequestHeaders()),
        'content-type': 'application/json',
      },
      body: JSON.stringify({
        scope: scopes,
        lifetime: '3600s',
        delegates: json['delegates'] ?? [],
      }),
      transport: { reach: 'any' },
    });
    const body = answer.body.toString();
    if (answer.status !== 200) throw tokenError({ status: answer.status, body }, describe(json));
    const said = JSON.parse(body) as { accessToken: string; expireTime: string };
    return { access_token: said.accessToken, expiry_date: Date.parse(said.expireTime) };
  };
  return client;
}

/**
 * `fetch` for Google's clients: proxies, CAs and retries are those of the control plane. The addresses come from a file
 * of the operator, so any may be reached (AWS's metadata, for one).
 */
function fetchOver(http: HttpClient, json: CredentialJson): typeof fetch {
  return async (input, init) => {
    const request = new Request(input, init);
    // Google's other libraries honour `token_uri`; this one always asks at the same place.
    const own = text(json['token_uri']);
    const url = request.url === GOOGLE_TOKEN_URL && URL.canParse(own) ? own : request.url;
    const body = await request.text();
    const answer = await http.request(url, {
      method: request.method as 'GET',
      headers: Object.fromEntries(request.headers),
      ...(body !== '' && { body }),
      transport: { reach: 'any' },
    });
    if (answer.status >= 300)
      throw tokenError({ status: answer.status, body: answer.body.toString() }, describe(json));
    return new Response(new Uint8Array(answer.body), {
      headers: { 'content-type': answer.headers['content-type'] ?? 'text/plain' },
    });
  };
}

/** The error of ours inside one of the library's, which keeps it as a cause. */
export function unwrap(error: unknown, source: string): unknown {
  for (let at = error, depth = 0; at instanceof Error && depth < 8; at = at.cause, depth++)
    if (at instanceof ModelFetchError) return at;
  const message = error instanceof Error ? error.message : String(error);
  return new ModelFetchError('UNAUTHENTICATED', `no access token for the ${source}: ${message}`, {
    cause: error,
  });
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
