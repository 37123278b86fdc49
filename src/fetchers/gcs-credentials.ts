/** Whose eyes the bucket is read with: Application Default Credentials, or nobody's, found without a stall. */
import { readFile } from 'node:fs/promises';
import { OAuth2Client, type AuthClient } from 'google-auth-library';
import { asModelFetchError, ModelFetchError } from '../errors.ts';
import type { HttpClient } from '../fetcher.ts';
import { clientFor, describe, unwrap, type CredentialJson } from './gcs-auth.ts';
import { metadataToken } from './gcs-metadata.ts';

/** Header fields that authorise a request, and until when. */
export interface Token {
  readonly headers: Readonly<Record<string, string>>;
  /** Milliseconds since the epoch. */
  readonly expiresAt?: number;
}

export interface Credentials {
  /** For people; never a secret. */
  readonly source: string;
  readonly anonymous: boolean;
  /** Another Google than the public one. https://cloud.google.com/docs/overview/universes */
  readonly universe?: string;
  /** Throws `UNAUTHENTICATED`, or `UNAVAILABLE` where trying again may help. */
  token(): Promise<Token>;
  /** Another token, after `refused` was; undefined when there is none. One try: a fresh token that is refused is the end. */
  replace(refused: Token): Promise<Token | undefined>;
}

export interface CredentialOptions {
  /** What `GOOGLE_APPLICATION_CREDENTIALS` names. Must exist. */
  readonly credentialsFile?: string;
  /** The same as text. */
  readonly credentialsJson?: string;
  /** gcloud's own file, which may exist. */
  readonly wellKnownFile?: string;
  /** Nobody's eyes, and why. */
  readonly anonymous?: string;
  /** `host[:port]` of the metadata server; absent: none is asked. */
  readonly metadataHost?: string;
}

/** Credentials that come as text: rclone's remotes have them so. */
export const JSON_VARIABLE = 'MODEL_FETCH_GCS_CREDENTIALS';
/** How long nothing but a missing metadata server may hold up an anonymous read. */
const PROBE_MS = 1000;
/** After the bucket has refused nobody's eyes: on GKE a pod may be a few seconds older than its metadata server. */
const SECOND_PROBE_MS = 3000;

/** The first there is, in the order of ADC. Throws `INVALID_OPTION` for a file that is named and cannot be used. */
export async function findCredentials(
  options: CredentialOptions,
  http: HttpClient,
): Promise<Credentials> {
  if (options.anonymous !== undefined) return new Anonymous(options.anonymous);
  if (options.credentialsJson !== undefined)
    return fromFile('the environment', JSON_VARIABLE, options.credentialsJson, http);
  if (options.credentialsFile !== undefined)
    return fromFile(
      options.credentialsFile,
      'GOOGLE_APPLICATION_CREDENTIALS',
      await read(options.credentialsFile),
      http,
      options.credentialsFile,
    );
  if (options.wellKnownFile !== undefined) {
    const text = await readFile(options.wellKnownFile, 'utf8').catch(() => undefined);
    if (text !== undefined) {
      return fromFile(options.wellKnownFile, 'gcloud', text, http, options.wellKnownFile);
    }
  }
  const host = options.metadataHost;
  if (host === undefined) return new Anonymous('no credentials were found');
  const found = await fromMetadata(host, PROBE_MS);
  return (
    found ?? new Anonymous('no credentials were found', () => fromMetadata(host, SECOND_PROBE_MS))
  );
}

/** `promise`, or the end of waiting for it: a token is shared, so one caller that leaves does not cancel it. */
export function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const leave = () => {
      reject(asModelFetchError(signal.reason, 'ABORTED'));
    };
    if (signal.aborted) leave();
    signal.addEventListener('abort', leave, { once: true });
    // Listened to in any case: nobody else may be there to hear it fail.
    void promise.then(resolve, reject).finally(() => {
      signal.removeEventListener('abort', leave);
    });
  });
}

async function read(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw unusable(file, (error as NodeJS.ErrnoException).code ?? 'it cannot be read', error);
  }
}

/** `again`: where the text may have changed when what it says is no longer taken. */
function fromFile(
  file: string,
  by: string,
  text: string,
  http: HttpClient,
  again?: string,
): Credentials {
  let current = text;
  const make = () => {
    try {
      return clientFor(parsed(current, file), http);
    } catch (error) {
      if (error instanceof ModelFetchError) throw error;
      throw unusable(file, error instanceof Error ? error.message : 'a field is wrong', error);
    }
  };
  const isRenewed = async (): Promise<boolean> => {
    const now = again === undefined ? current : await readFile(again, 'utf8').catch(() => current);
    if (now === current) return false;
    current = now;
    return true;
  };
  const json = parsed(text, file);
  const universe = json['universe_domain'];
  return new ClientCredentials(
    `${describe(json)}, from ${file} (${by})`,
    make,
    typeof universe === 'string' && universe !== '' ? universe : undefined,
    isRenewed,
  );
}

function parsed(text: string, file: string): CredentialJson {
  try {
    const json = JSON.parse(text) as CredentialJson;
    if (typeof json === 'object' && (json as unknown) !== null) return json;
  } catch {
    // The parser's message quotes the text, which is a secret.
  }
  throw unusable(file, 'it is not a JSON object');
}

async function fromMetadata(host: string, timeoutMs: number): Promise<Credentials | undefined> {
  let first = await metadataToken(host, timeoutMs);
  if (!first) return undefined;
  const source = `metadata server at ${host}`;
  return new ClientCredentials(source, () => {
    // The server hands out one token until some minutes before its end: asking it again earlier brings the same.
    const client = new OAuth2Client({ eagerRefreshThresholdMillis: 60_000 });
    client.refreshHandler = async () => {
      const token = first ?? (await metadataToken(host, 10_000));
      first = undefined;
      if (token) return token;
      throw new ModelFetchError('UNAVAILABLE', `the ${source} gave no token`);
    };
    return client;
  });
}

function unusable(file: string, why: string, cause?: unknown): ModelFetchError {
  return new ModelFetchError(
    'INVALID_OPTION',
    `the Google credentials in ${file} cannot be used: ${why}`,
    {
      hint: 'GOOGLE_APPLICATION_CREDENTIALS names a JSON key or configuration file; MODEL_FETCH_GCS_ANONYMOUS=true reads without.',
      ...(cause !== undefined && { cause }),
    },
  );
}

/** Tokens of one of Google's clients, which caches them and renews them some minutes before their end. */
class ClientCredentials implements Credentials {
  readonly source: string;
  readonly anonymous = false;
  readonly universe?: string;
  readonly #make: () => AuthClient;
  readonly #isRenewed: (() => Promise<boolean>) | undefined;
  #client: AuthClient;
  /** The token that was fetched because another was refused. */
  #lastResort: string | undefined;
  /** Sixteen readers start at once; one of them asks. */
  #asking: Promise<Token> | undefined;
  #renewing: Promise<Token | undefined> | undefined;

  /** `make` makes another client than before where `isRenewed` says so. */
  constructor(
    source: string,
    make: () => AuthClient,
    universe?: string,
    isRenewed?: () => Promise<boolean>,
  ) {
    this.source = source;
    this.#make = make;
    this.#isRenewed = isRenewed;
    this.#client = make();
    if (universe !== undefined) this.universe = universe;
  }

  token(): Promise<Token> {
    this.#asking ??= this.#ask().finally(() => (this.#asking = undefined));
    return this.#asking;
  }

  async #ask(): Promise<Token> {
    try {
      const client = this.#client;
      const headers = Object.fromEntries(await client.getRequestHeaders());
      const expires = client.credentials.expiry_date ?? 0;
      return { headers, ...(expires > Date.now() && { expiresAt: expires }) };
    } catch (error) {
      // A key that is no longer taken has often been replaced where it came from.
      if (!(await this.#isRenewed?.())) throw unwrap(error, this.source);
      this.#client = this.#make();
      return this.#ask();
    }
  }

  replace(refused: Token): Promise<Token | undefined> {
    this.#renewing ??= this.#renew(refused.headers['authorization']).finally(
      () => (this.#renewing = undefined),
    );
    return this.#renewing;
  }

  async #renew(refused: string | undefined): Promise<Token | undefined> {
    const current = await this.token();
    if (current.headers['authorization'] !== refused) return current;
    if (refused === this.#lastResort) return undefined;
    await this.#isRenewed?.();
    // A new client is the one way that all of Google's clients forget their token.
    this.#client = this.#make();
    const fresh = await this.#ask();
    this.#lastResort = fresh.headers['authorization'];
    return this.#lastResort === refused ? undefined : fresh;
  }
}

/** Nobody, until a metadata server that was late is found. */
class Anonymous implements Credentials {
  readonly #why: string;
  readonly #late: (() => Promise<Credentials | undefined>) | undefined;
  #searched: Promise<Credentials | undefined> | undefined;
  #found: Credentials | undefined;

  constructor(why: string, late?: () => Promise<Credentials | undefined>) {
    this.#why = why;
    this.#late = late;
  }

  get source(): string {
    return this.#found?.source ?? `none: anonymous, ${this.#why}`;
  }

  get anonymous(): boolean {
    return this.#found === undefined;
  }

  async token(): Promise<Token> {
    return (await this.#found?.token()) ?? { headers: {} };
  }

  async replace(refused: Token): Promise<Token | undefined> {
    if (this.#found && refused.headers['authorization'] !== undefined)
      return this.#found.replace(refused);
    this.#searched ??= this.#late?.() ?? Promise.resolve(undefined);
    this.#found = await this.#searched;
    return this.#found?.token();
  }
}
