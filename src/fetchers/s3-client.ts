/** The control plane of one S3: a client per region, and what was learnt about regions, clocks and credentials. */
import { setTimeout as sleep } from 'node:timers/promises';
import { S3Client, type S3ClientConfig } from '@aws-sdk/client-s3';
import { asModelFetchError, ModelFetchError } from '../errors.ts';
import type { HttpClient, Transport } from '../fetcher.ts';
import { failureOf, toModelFetchError, type S3Attempt, type S3Failure } from './s3-errors.ts';
import { byServerClock } from './s3-clock.ts';
import { credentialError } from './s3-no-credentials.ts';
import type { S3Options } from './s3-options.ts';

/** Attempts of one control-plane call, together. */
const ATTEMPTS = 5;
/** What a call may learn (region, clock, credentials) before it is given up. */
const CORRECTIONS = 3;
/** Milliseconds without a byte from the control plane. */
const SOCKET_TIMEOUT = 30_000;
const DEFAULT_REGION = 'us-east-1';
/** Refusals of keys that may have been renewed meanwhile. */
const MAY_BE_RENEWED = new Set([
  'ExpiredToken',
  'TokenRefreshRequired',
  'InvalidToken',
  'InvalidAccessKeyId',
]);

/** The SDK's socket handler would warn on the console. */
const silent = (): void => undefined;
const QUIET = { trace: silent, debug: silent, info: silent, warn: silent, error: silent };

/** The files of profiles are read whenever keys are asked for, not once. The type of a client does not show it. */
const FRESH_FILES: object = { ignoreCache: true };

/** Credentials as the SDK resolves them. */
export type Identity = Awaited<ReturnType<S3Client['config']['credentials']>>;

/** What a request that failed was signed with. */
export interface Used {
  readonly region: string;
  readonly identity?: { readonly accessKeyId: string; readonly sessionToken?: string };
  /** Milliseconds since the epoch, by the clock it was signed with. Absent: just now. */
  readonly signedAt?: number;
}

/** One S3 as reached by one `HttpClient`. Kept for as long as that is. */
export class S3Access {
  readonly options: S3Options;
  readonly transport: Transport;
  readonly #http: HttpClient;
  readonly #source: (() => Promise<string>) | undefined;
  readonly #clients = new Map<string, Promise<S3Client>>();
  /** Learnt from refusals: where a bucket is. */
  readonly #regions = new Map<string, string[]>();
  #credentials: S3Client['config']['credentials'] | undefined;
  #defaultRegion: Promise<string> | undefined;

  /** `source` names where credentials come from, for errors. */
  constructor(options: S3Options, http: HttpClient, source?: () => Promise<string>) {
    this.options = options;
    this.#http = http;
    this.#source = source;
    this.transport = {
      ...options.transport,
      ...(options.endpoint !== undefined && { reach: 'any' as const }),
    };
  }

  /** The region of `bucket`, as far as is known. */
  async region(bucket: string): Promise<string> {
    this.#defaultRegion ??= this.#configuredRegion();
    return this.#regions.get(bucket)?.at(-1) ?? (await this.#defaultRegion);
  }

  async client(bucket: string): Promise<S3Client> {
    const region = await this.region(bucket);
    let client = this.#clients.get(region);
    if (!client) {
      this.#clients.set(region, (client = this.#connect(region)));
      client.catch(() => this.#clients.delete(region));
    }
    return client;
  }

  /** What requests are signed with now; undefined for anonymous ones. Throws `UNAUTHENTICATED`. */
  async identity(client: S3Client, refresh = false): Promise<Identity | undefined> {
    if (this.options.credentials === 'anonymous') return undefined;
    try {
      // The SDK's memo takes options that its type does not show.
      const provider = client.config.credentials as (how?: object) => Promise<Identity>;
      return await provider(refresh ? { forceRefresh: true } : undefined);
    } catch (error) {
      throw credentialError(error, await this.#source?.());
    }
  }

  /**
   * One control-plane call. Retries what may pass (connection errors, 408, 429, 5xx, with jitter and Retry-After), learns
   * from refusals, and throws typed errors only.
   */
  async send<T>(
    attempt: S3Attempt,
    signal: AbortSignal,
    call: (client: S3Client) => Promise<T>,
  ): Promise<T> {
    let corrections = 0;
    let tries = 1;
    for (;;) {
      throwIfAborted(signal);
      const client = await this.client(attempt.bucket);
      const region = await client.config.region();
      let identity: Identity | undefined;
      try {
        identity = await this.identity(client);
        return await call(client);
      } catch (error) {
        throwIfAborted(signal);
        const failure = failureOf(error);
        const used = { region, ...(identity && { identity }) };
        if (!(failure instanceof ModelFetchError) && corrections < CORRECTIONS) {
          if (await this.correct(attempt.bucket, failure, used)) {
            corrections++;
            continue;
          }
        }
        const typed =
          failure instanceof ModelFetchError
            ? asModelFetchError(failure, failure.code, { uri: attempt.uri })
            : toModelFetchError(failure, attempt);
        if (!typed.retryable || tries >= ATTEMPTS) throw typed;
        await pause(tries++, typed.retryAfterMs, signal);
      }
    }
  }

  /** Learns from a refusal. True: something is different now, the same request may work. */
  async correct(bucket: string, failure: S3Failure, used: Used): Promise<boolean> {
    const { status = 0, code } = failure;
    if ([301, 307, 400, 403].includes(status)) {
      const region = failure.headers['x-amz-bucket-region'] ?? failure.region;
      if (region !== undefined && region !== used.region)
        return this.#learnRegion(bucket, region, used.region);
    }
    const client = await this.client(bucket);
    if (code === 'RequestTimeTooSkewed') return correctClock(client, failure, used);
    if (!code || !MAY_BE_RENEWED.has(code)) return false;
    const current = await this.identity(client);
    if (differs(current, used)) return true;
    return differs(await this.identity(client, true), used);
  }

  #learnRegion(bucket: string, region: string, used: string): boolean {
    const known = this.#regions.get(bucket) ?? [used];
    // Another request has learnt it in the meantime; or two places send us to each other.
    if (known.at(-1) === region) return true;
    if (known.includes(region)) return false;
    this.#regions.set(bucket, [...known, region]);
    return true;
  }

  async #connect(region: string): Promise<S3Client> {
    const agents = await this.#http.agents(this.transport);
    const client = new S3Client({
      ...clientConfig(this.options),
      region,
      requestHandler: {
        httpAgent: agents.http,
        httpsAgent: agents.https,
        connectionTimeout: SOCKET_TIMEOUT,
        socketTimeout: SOCKET_TIMEOUT,
        logger: QUIET,
      },
      ...(this.#credentials && { credentials: this.#credentials }),
    });
    // One chain for all regions: a role is assumed once.
    this.#credentials ??= client.config.credentials;
    client.config.credentials = byServerClock(
      this.#credentials,
      () => client.config.systemClockOffset,
    );
    return client;
  }

  async #configuredRegion(): Promise<string> {
    if (this.options.region !== undefined) return this.options.region;
    if (this.options.profile === undefined) return DEFAULT_REGION;
    try {
      return await new S3Client({ profile: this.options.profile }).config.region();
    } catch {
      return DEFAULT_REGION;
    }
  }
}

function clientConfig(options: S3Options): S3ClientConfig {
  const { credentials, endpoint, addressing, profile } = options;
  return {
    ...FRESH_FILES,
    maxAttempts: 1,
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    followRegionRedirects: false,
    // The environment was read by `fromEnv`; the SDK would read another one.
    ignoreConfiguredEndpointUrls: true,
    forcePathStyle: (addressing ?? (endpoint === undefined ? 'virtual' : 'path')) === 'path',
    useAccelerateEndpoint: options.accelerate === true && endpoint === undefined,
    useDualstackEndpoint: options.dualstack === true && endpoint === undefined,
    useFipsEndpoint: options.fips === true && endpoint === undefined,
    customUserAgent: 'model-fetch',
    ...(endpoint !== undefined && { endpoint }),
    ...(profile !== undefined && { profile }),
    ...(credentials === 'anonymous'
      ? {
          credentials: { accessKeyId: '', secretAccessKey: '' },
          signer: { sign: (request) => Promise.resolve(request) },
        }
      : credentials && { credentials }),
  };
}

/** The server's clock is right. A signature that is merely old is made again. */
function correctClock(client: S3Client, failure: S3Failure, used: Used): boolean {
  const theirs = Date.parse(failure.headers['date'] ?? '');
  if (Number.isNaN(theirs)) return false;
  client.config.systemClockOffset = theirs - Date.now();
  // The SDK has corrected its own offset by now, so what counts is what the request was signed with.
  return used.signedAt === undefined || Math.abs(theirs - used.signedAt) > 60_000;
}

function differs(now: Identity | undefined, used: Used): boolean {
  return (
    now?.accessKeyId !== used.identity?.accessKeyId ||
    now?.sessionToken !== used.identity?.sessionToken
  );
}

/** Half to all of 0.2 s, 0.4 s, 0.8 s…, or what the server asked for, up to 20 s. */
async function pause(
  tries: number,
  retryAfterMs: number | undefined,
  signal: AbortSignal,
): Promise<void> {
  const backoff = 200 * 2 ** (tries - 1) * (0.5 + Math.random() / 2);
  try {
    await sleep(Math.min(20_000, Math.max(backoff, retryAfterMs ?? 0)), undefined, { signal });
  } catch {
    throwIfAborted(signal);
  }
}

/** Throws the signal's reason as a typed error. */
export function throwIfAborted(signal: AbortSignal): void {
  if (!signal.aborted) return;
  const reason: unknown = signal.reason;
  if (reason instanceof ModelFetchError) throw reason;
  throw new ModelFetchError('ABORTED', 'interrupted', { cause: reason });
}
