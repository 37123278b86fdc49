/**
 * Like Hugging Face: a revision is pinned to a commit, the tree comes in pages, and a file's resolve URL redirects to a
 * CDN on another origin, whose signed links expire and whose ETag is no digest of the file.
 */
import { ModelFetchError, type ErrorCode } from '../../src/errors.ts';
import type {
  CallOptions,
  Entry,
  Fetcher,
  HttpAnswer,
  HttpClient,
  HttpLocation,
  Resolver,
} from '../../src/fetcher.ts';
import type { Ref } from '../../src/ref.ts';
import { encodePath } from './serve.ts';

export interface HubOptions {
  readonly endpoint: string;
  readonly token?: string;
}

interface TreeItem {
  readonly type: 'file' | 'directory';
  readonly path: string;
  readonly size: number;
}

/** `hub://owner/name[@revision]` */
export function hub({ endpoint, token }: HubOptions): Resolver {
  return {
    async resolve(ref, { http, signal }): Promise<Fetcher> {
      const { repo, revision } = parse(ref);
      const ask = asker(http, ref.raw, token);
      const answer = await ask(`${endpoint}/api/models/${repo}/revision/${revision}`, { signal });
      const { sha } = JSON.parse(answer.body.toString()) as { sha: string };
      const uri = `hub://${repo}@${sha}`;
      return {
        uri,
        revision: sha,
        list: (options = {}) =>
          tree(ask, `${endpoint}/api/models/${repo}/tree/${sha}?recursive=1`, uri, options),
        // A fresh link is all there is to do for one that has expired.
        locate: (entry, options = {}) =>
          locate(ask, `${endpoint}/${repo}/resolve/${sha}/${encodePath(entry.path)}`, options),
      };
    },
  };
}

function parse(ref: Ref): { repo: string; revision: string } {
  const [, repo, revision = 'main'] =
    /^([^/@]+\/[^/@]+)(?:@([^/]+))?$/.exec(ref.authority + ref.path) ?? [];
  if (repo === undefined)
    throw new ModelFetchError('INVALID_URI', 'not hub://owner/name', { uri: ref.raw });
  return { repo, revision: encodeURIComponent(revision) };
}

async function* tree(
  ask: Ask,
  first: string,
  uri: string,
  options: CallOptions,
): AsyncGenerator<Entry> {
  let count = 0;
  for (let page: string | undefined = first; page !== undefined;) {
    const answer: HttpAnswer = await ask(page, options);
    for (const item of JSON.parse(answer.body.toString()) as TreeItem[]) {
      if (item.type !== 'file') continue;
      count++;
      yield { path: item.path, size: item.size };
    }
    page = /<([^>]+)>;\s*rel="next"/.exec(answer.headers['link'] ?? '')?.[1];
  }
  if (count === 0) throw failed('NOT_FOUND', 'the repository is empty', uri);
}

async function locate(ask: Ask, url: string, { signal }: CallOptions): Promise<HttpLocation> {
  const answer = await ask(url, { method: 'HEAD', redirect: 'manual', ...(signal && { signal }) });
  const link = new URL(answer.headers['location'] ?? '', answer.url);
  const sha256 = /^"?([0-9a-f]{64})"?$/.exec(answer.headers['x-linked-etag'] ?? '')?.[1];
  return {
    kind: 'http',
    url: link.href,
    // The token is for the hub alone: the link is signed.
    headers: {},
    expiresAt: Number(link.searchParams.get('expires')) * 1000,
    ...(sha256 !== undefined && { digests: [`sha256:${sha256}`] }),
    transport: answer.transport,
  };
}

type Ask = (url: string, options: Parameters<HttpClient['request']>[1]) => Promise<HttpAnswer>;

/** Asks the hub as who we are, and turns its refusals into errors. */
function asker(http: HttpClient, uri: string, token: string | undefined): Ask {
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  return async (url, options) => {
    const answer = await http.request(url, { headers, ...options });
    if (answer.status < 400) return answer;
    if (answer.status === 404)
      throw failed('NOT_FOUND', 'no such repository, revision or file', uri);
    if (answer.status === 401)
      throw failed('UNAUTHENTICATED', 'the hub does not know the token', uri);
    if (answer.status === 403)
      throw failed('PERMISSION_DENIED', 'the token may not read this', uri);
    throw failed('BAD_RESPONSE', `the hub answers ${String(answer.status)}`, uri);
  };
}

function failed(code: ErrorCode, message: string, uri: string): ModelFetchError {
  return new ModelFetchError(code, message, {
    uri,
    hint: 'Check the name of the repository, and the token.',
  });
}
