/**
 * Like an OCI registry: a 401 tells where to get a token, tokens end without notice, a manifest's digest is the
 * revision, and blobs are answered directly or by a redirect to storage that must not see the token.
 */
import { createHash } from 'node:crypto';
import { ModelFetchError, type ErrorCode } from '../../src/errors.ts';
import type {
  CallOptions,
  Digest,
  Entry,
  FailedLocation,
  Fetcher,
  HttpAnswer,
  HttpClient,
  HttpLocation,
  HttpRequest,
  Resolver,
} from '../../src/fetcher.ts';
import type { Ref } from '../../src/ref.ts';

export interface OciOptions {
  /** `user:password`, for the token endpoint. */
  readonly login?: string;
}

interface Manifest {
  readonly layers: readonly {
    digest: Digest;
    size: number;
    annotations?: Record<string, string>;
  }[];
}

const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
const TITLE = 'org.opencontainers.image.title';

/** `reg://host:port/name:tag` or `…@sha256:…` */
export function oci({ login }: OciOptions = {}): Resolver {
  return {
    async resolve(ref, { http, signal }): Promise<Fetcher> {
      const { base, reference } = parse(ref);
      const session = new Session(http, ref.raw, login);
      const answer = await session.ask(`${base}/manifests/${reference}`, {
        headers: { accept: MANIFEST },
        signal,
      });
      const revision = `sha256:${createHash('sha256').update(answer.body).digest('hex')}`;
      const manifest = JSON.parse(answer.body.toString()) as Manifest;
      const uri = `reg://${ref.authority}${ref.path.replace(/[:@].*$/s, '')}@${revision}`;
      return {
        uri,
        revision,
        list: (options) => layers(manifest, uri, options),
        locate: (entry, options = {}) => session.locate(`${base}/blobs/${entry.source!}`, options),
      };
    },
  };
}

function parse(ref: Ref): { base: string; reference: string } {
  const [, name, tag = 'latest'] = /^\/([^:@]+)(?:[:@](.+))?$/s.exec(ref.path) ?? [];
  if (name === undefined)
    throw new ModelFetchError('INVALID_URI', 'not reg://host/name:tag', { uri: ref.raw });
  return { base: `http://${ref.authority}/v2/${name}`, reference: tag };
}

async function* layers(
  { layers }: Manifest,
  uri: string,
  { signal }: CallOptions = {},
): AsyncGenerator<Entry> {
  for (const { digest, size, annotations } of layers) {
    signal?.throwIfAborted();
    yield {
      path: annotations?.[TITLE] ?? digest,
      size,
      version: digest,
      digests: [digest],
      source: digest,
    };
  }
  if (layers.length === 0) throw failed('NOT_FOUND', 'the artifact has no layers', uri);
}

/** One login and the token it got. */
class Session {
  readonly #http: HttpClient;
  readonly #uri: string;
  readonly #login: string | undefined;
  #authorization: string | undefined;

  constructor(http: HttpClient, uri: string, login: string | undefined) {
    this.#http = http;
    this.#uri = uri;
    this.#login = login;
  }

  async locate(
    url: string,
    options: CallOptions & { failed?: FailedLocation },
  ): Promise<HttpLocation> {
    const { failed, signal } = options;
    const used =
      failed?.location.kind === 'http' ? failed.location.headers['authorization'] : undefined;
    // Only the token that was refused is forgotten: another call may have got a new one meanwhile.
    if (failed?.status === 401 && used === this.#authorization) this.#authorization = undefined;
    const answer = await this.ask(url, {
      redirect: 'manual',
      answer: 'discard',
      ...(signal && { signal }),
    });
    const { location } = answer.headers;
    return {
      kind: 'http',
      url: location === undefined ? url : new URL(location, url).href,
      headers: location === undefined ? { authorization: this.#authorization! } : {},
      transport: answer.transport,
    };
  }

  /** Asks with the token there is, and once more with a new one. */
  async ask(url: string, options: HttpRequest): Promise<HttpAnswer> {
    let answer = await this.#try(url, options);
    if (answer.status === 401) {
      this.#authorization = await this.#newToken(answer, options);
      answer = await this.#try(url, options);
    }
    if (answer.status < 400) return answer;
    if (answer.status === 404)
      throw failed('NOT_FOUND', 'no such repository, tag or blob', this.#uri);
    if (answer.status === 403)
      throw failed('PERMISSION_DENIED', 'the token may not pull', this.#uri);
    if (answer.status === 401)
      throw failed('UNAUTHENTICATED', 'the registry refuses its own token', this.#uri);
    throw failed('BAD_RESPONSE', `the registry answers ${String(answer.status)}`, this.#uri);
  }

  #try(url: string, options: HttpRequest): Promise<HttpAnswer> {
    const authorization =
      this.#authorization === undefined ? {} : { authorization: this.#authorization };
    return this.#http.request(url, {
      ...options,
      headers: { ...options.headers, ...authorization },
    });
  }

  /** Source: the distribution specification's token authentication. */
  async #newToken(refused: HttpAnswer, { signal }: CallOptions): Promise<string> {
    const challenge = refused.headers['www-authenticate'] ?? '';
    const said = Object.fromEntries(
      [...challenge.matchAll(/(\w+)="([^"]*)"/g)].map((m) => [m[1]!, m[2]!]),
    );
    if (!/^bearer /i.test(challenge) || said['realm'] === undefined)
      throw failed(
        'UNAUTHENTICATED',
        'the registry asks for something other than a token',
        this.#uri,
      );
    const url = new URL(said['realm']);
    for (const name of ['service', 'scope']) if (said[name]) url.searchParams.set(name, said[name]);
    const basic = this.#login && `Basic ${Buffer.from(this.#login).toString('base64')}`;
    const answer = await this.#http.request(url.href, {
      ...(basic && { headers: { authorization: basic } }),
      ...(signal && { signal }),
    });
    if (answer.status !== 200)
      throw failed('UNAUTHENTICATED', 'the login is not accepted', this.#uri);
    return `Bearer ${(JSON.parse(answer.body.toString()) as { token: string }).token}`;
  }
}

function failed(code: ErrorCode, message: string, uri: string): ModelFetchError {
  return new ModelFetchError(code, message, {
    uri,
    hint: 'Check the name, the tag and the login.',
  });
}
