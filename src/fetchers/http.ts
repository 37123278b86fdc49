/** `http://` and `https://`: one file behind one URL, which is never taken apart: queries and signatures stay as they are. */
import { ModelFetchError } from '../errors.ts';
import type {
  CallOptions,
  Digest,
  Entry,
  Explanation,
  FailedLocation,
  Fetcher,
  HttpLocation,
  Resolver,
  Transport,
} from '../fetcher.ts';
import { bareHost } from '../net/address-policy.ts';
import { abortFailure } from '../net/failures.ts';
import { basicCredentials } from '../net/proxy.ts';
import { orAborted } from '../net/until.ts';
import { digest } from '../options.ts';
import { redactText } from '../redact.ts';
import type { Ref } from '../ref.ts';
import type { Env } from '../registry.ts';
import { checkedHeaders, headersFromEnv } from './http-headers.ts';
import { takenAs } from './http-encoding.ts';
import { kserveEntry } from './http-kserve.ts';
import { fileName } from './http-name.ts';
import { answerFailure, probe, SIGNATURE, type Probed, type ProbeRequest } from './http-probe.ts';

export interface HttpOptions {
  /** Headers for a host (lower case, without port): tokens, cookies. They never reach another origin. */
  readonly headers?: (hostname: string) => Readonly<Record<string, string>> | undefined;
  /** Certificates, proxy and reach, when they differ from the run's. */
  readonly transport?: Transport;
  /** As KServe: the URL alone names the file and says what it is, and the answer's type must fit. */
  readonly compat?: 'kserve';
}

/** As KServe: `<host>-headers` holds a JSON object of headers for that host. */
export function fromEnv(env: Env): Resolver {
  return http({
    headers: (hostname) => headersFromEnv(env, hostname),
    ...(env['MODEL_FETCH_COMPAT'] === 'kserve' && { compat: 'kserve' }),
  });
}

/** The resolver for `http` and `https`. */
export function http(options: HttpOptions = {}): Resolver {
  return {
    async resolve(ref, context) {
      const target = targetOf(ref, options);
      const request: ProbeRequest = {
        url: target.url,
        headers: target.headers,
        transport: options.transport ?? {},
        http: context.http,
        signal: context.signal,
      };
      const probed = await probe(request);
      const type = probed.headers['content-type'];
      const file = options.compat
        ? kserveEntry(ref.raw, type)
        : { path: fileName(request.url, probed.headers['content-disposition']) };
      const encoding = probed.headers['content-encoding'];
      const { stored = false, ...decoded } = takenAs(file.path, encoding, options.compat);
      return new HttpFetcher(target, { ...request, stored }, probed, { ...decoded, ...file });
    },
    explain: (ref) => Promise.resolve(explained(ref, options)),
  };
}

interface Target {
  /** Without credentials and fragment. */
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly digests: readonly Digest[];
  /** Where the headers come from, for `explain`. */
  readonly source: string;
  /** For people: credentials and signatures removed. */
  readonly uri: string;
}

function targetOf(ref: Ref, options: HttpOptions): Target {
  const url = URL.parse(ref.raw);
  if (!url || ref.authority === '')
    throw new ModelFetchError('INVALID_URI', 'not a URL', {
      uri: ref.raw,
      hint: 'Write https://host/path/file.',
    });
  const digests = declaredDigests(url.hash, ref);
  const basic = basicCredentials(url);
  const given = options.headers?.(bareHost(url.hostname));
  const extra = given && checkedHeaders(given, `the headers for ${url.hostname}`);
  const uri = redactText(withoutUserinfo(url).href);
  url.hash = '';
  return {
    url: withoutUserinfo(url),
    headers: { ...extra, ...(basic !== undefined && { authorization: basic }) },
    digests,
    source: sourceOf(url, basic, extra),
    uri,
  };
}

/** `#sha256=<hex>`: what the user vouches for. Several are joined by `&`. */
function declaredDigests(hash: string, ref: Ref): readonly Digest[] {
  if (hash === '' || hash === '#') return [];
  return hash
    .slice(1)
    .split('&')
    .map((part) => {
      try {
        return digest(part.replace('=', ':'));
      } catch (error) {
        throw new ModelFetchError('INVALID_URI', `#${part} is not a digest of the file`, {
          uri: ref.raw,
          hint: 'After # stands #sha256=<hex> (or another algorithm); a # that belongs to the name is written %23.',
          cause: error,
        });
      }
    });
}

class HttpFetcher implements Fetcher {
  readonly uri: string;
  readonly revision?: string;
  readonly single = true;
  readonly #request: ProbeRequest & { readonly stored: boolean };
  readonly #pinned: Probed;
  readonly #entry: Entry;
  #location: HttpLocation;
  /** Set once a location was refused although the server, asked again, would still give it out. */
  #doubted = false;
  #probing: Promise<Probed> | undefined;

  /** `stored`: as in a location. */
  constructor(
    target: Target,
    request: ProbeRequest & { readonly stored: boolean },
    probed: Probed,
    file: Entry,
  ) {
    this.uri = target.uri;
    if (probed.etag !== undefined) this.revision = probed.etag;
    this.#request = request;
    this.#pinned = probed;
    this.#location = this.#taken(probed);
    refuseWebPage(file.path, probed, this.uri);
    this.#entry = {
      ...file,
      ...(probed.size !== undefined && { size: probed.size }),
      ...(probed.version !== undefined && { version: probed.version }),
      ...(target.digests.length > 0 && { digests: target.digests }),
      ...(!probed.ranges && { ranges: false }),
    };
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- the seam is asynchronous; there is nothing to wait for
  async *list({ signal }: CallOptions = {}): AsyncGenerator<Entry> {
    if (signal?.aborted) throw abortFailure(signal);
    yield this.#entry;
  }

  async locate(
    _entry: Entry,
    { signal, failed }: CallOptions & { readonly failed?: FailedLocation } = {},
  ): Promise<HttpLocation> {
    if (signal?.aborted) throw abortFailure(signal);
    if (!failed) return this.#location;
    const failedUrl = failed.location.kind === 'http' ? failed.location.url : undefined;
    // Another read of the same file has been here before.
    if (failedUrl !== this.#location.url) return this.#location;
    const { status } = failed;
    if (status === 412 || status === 416) throw this.#changed(`HTTP ${String(status)}`);
    if (isPassing(status) && failedUrl === this.#request.url.href) return this.#location;
    return this.#relocate(status, signal);
  }

  /** Asks the original URL again. The same place as before gets one more chance, then its refusal is believed. */
  async #relocate(
    status: number | undefined,
    signal: AbortSignal | undefined,
  ): Promise<HttpLocation> {
    const before = this.#location.url;
    const probing = (this.#probing ??= probe(this.#request).finally(
      () => (this.#probing = undefined),
    ));
    const fresh = await (signal ? orAborted(probing, signal) : probing).catch((error: unknown) => {
      if (signal?.aborted) throw abortFailure(signal);
      throw error;
    });
    if (fresh.version !== this.#pinned.version || fresh.size !== this.#pinned.size)
      throw this.#changed('its validators differ');
    if (fresh.location.url === before && status !== undefined && !isPassing(status)) {
      if (this.#doubted) throw answerFailure({ status, url: before }, this.#request);
      this.#doubted = true;
    }
    return (this.#location = this.#taken(fresh));
  }

  #taken({ location }: Probed): HttpLocation {
    return this.#request.stored ? { ...location, stored: true } : location;
  }

  #changed(why: string): ModelFetchError {
    return new ModelFetchError('SOURCE_CHANGED', `the file changed while it was read: ${why}`, {
      uri: this.uri,
      hint: 'Run again once the upload has finished.',
    });
  }
}

/** Trouble that says nothing about the location. */
function isPassing(status: number | undefined): boolean {
  return status === undefined || status === 408 || status === 429 || status >= 500;
}

/** Login and error pages come with 200; published as a model they fail much later, in the server. */
function refuseWebPage(path: string, { headers }: Probed, uri: string): void {
  if (!/^(?:text\/html|application\/xhtml\+xml)\b/i.test(headers['content-type'] ?? '')) return;
  if (/\.x?html?$/i.test(path)) return;
  throw new ModelFetchError('BAD_RESPONSE', `the server sends a web page instead of ${path}`, {
    uri,
    hint: 'It is probably a login or error page: check the URL and the credentials, or use the link to the raw file.',
  });
}

function withoutUserinfo(url: URL): URL {
  const bare = new URL(url);
  bare.username = '';
  bare.password = '';
  return bare;
}

function sourceOf(
  url: URL,
  basic: string | undefined,
  extra: Readonly<Record<string, string>> | undefined,
): string {
  if (basic !== undefined) return 'user and password from the URI';
  if (extra) return `headers for ${url.hostname}: ${Object.keys(extra).join(', ')}`;
  return SIGNATURE.test(url.search) ? 'signature in the URI' : 'none';
}

function explained(ref: Ref, options: HttpOptions): Explanation {
  const { url, digests, source, uri } = targetOf(ref, options);
  return {
    parts: { url: uri, host: url.host, ...(digests.length > 0 && { digests: digests.join(' ') }) },
    credentials: source,
    endpoint: url.origin,
  };
}
