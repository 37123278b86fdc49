/** The hub and its CDN, as two servers. Every push is a commit, and old commits stay readable. */
import { createHash } from 'node:crypto';
import type { Files } from '../../src/testing/index.ts';
import { bytesOrPart, json, serve, type Answer, type Asked, type Served } from './serve.ts';

const PAGE = 10;
/** Seconds that a link lives. */
const LINK_LIFE = 60;

export interface HubServer {
  readonly hub: Served;
  readonly cdn: Served;
  push(repo: string, files: Files): void;
  close(): Promise<void>;
}

/** `token` opens everything. The first link to every file is one that has expired: on the CDN's clock, not on ours. */
export async function startHub(token: string): Promise<HubServer> {
  const heads = new Map<string, string>();
  const commits = new Map<string, Files>();
  const blobs = new Map<string, Uint8Array>();
  const expired = new Set<string>();
  const linked = new Set<string>();

  const cdn = await serve((asked) => {
    if (asked.headers.authorization !== undefined)
      return { status: 400, body: 'Only one auth mechanism allowed' };
    if (expired.delete(asked.url.href)) return { status: 403, body: 'Request has expired' };
    const blob = blobs.get(asked.url.pathname.slice(1));
    if (!blob) return { status: 404 };
    const md5 = createHash('md5').update(blob).digest('hex');
    return bytesOrPart(asked, blob, { etag: `"${md5}"`, 'accept-ranges': 'bytes' });
  });

  const link = (file: string, sha256: string): string => {
    const expires = Math.floor(Date.now() / 1000) + LINK_LIFE;
    const url = `${cdn.origin}/${sha256}?expires=${String(expires)}&signature=${String(linked.size)}`;
    if (!linked.has(file)) expired.add(url);
    linked.add(file);
    return url;
  };

  const answer = (asked: Asked, origin: string): Answer => {
    if (asked.headers.authorization !== `Bearer ${token}`)
      return json({ error: 'Invalid credentials' }, 401);
    const path = decodeURIComponent(asked.url.pathname);
    const [, repo = '', revision = ''] =
      /^\/api\/models\/([^/]+\/[^/]+)\/revision\/(.+)$/.exec(path) ?? [];
    if (repo) {
      const sha = commits.has(revision) ? revision : heads.get(repo);
      return sha === undefined ? json({ error: 'Repository not found' }, 404) : json({ sha });
    }
    const [, treeOf] = /^\/api\/models\/[^/]+\/[^/]+\/tree\/(.+)$/.exec(path) ?? [];
    if (treeOf !== undefined) return treePage(asked, origin, commits.get(treeOf) ?? {});
    const [, , sha = '', file = ''] =
      /^\/([^/]+\/[^/]+)\/resolve\/([^/]+)\/(.+)$/s.exec(path) ?? [];
    const bytes = commits.get(sha)?.[file];
    if (!bytes) return json({ error: 'Entry not found' }, 404);
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    blobs.set(sha256, bytes);
    const headers = {
      location: link(`${sha}/${file}`, sha256),
      'x-linked-etag': `"${sha256}"`,
      'x-repo-commit': sha,
    };
    return { status: 302, headers };
  };
  const hub = await serve(answer);

  return {
    hub,
    cdn,
    push: (repo, files) => {
      const hash = createHash('sha1').update(repo);
      for (const [path, bytes] of Object.entries(files)) hash.update(`${path}\0`).update(bytes);
      const sha = hash.digest('hex');
      commits.set(sha, files);
      heads.set(repo, sha);
    },
    close: async () => {
      await Promise.all([hub.close(), cdn.close()]);
    },
  };
}

function treePage(asked: Asked, origin: string, files: Files): Answer {
  const items = Object.entries(files).map(([path, bytes]) => ({
    type: 'file',
    path,
    size: bytes.length,
  }));
  const start = Number(asked.url.searchParams.get('cursor') ?? 0);
  if (start + PAGE >= items.length) return json(items.slice(start));
  const next = new URL(asked.url.pathname + asked.url.search, origin);
  next.searchParams.set('cursor', String(start + PAGE));
  return json(items.slice(start, start + PAGE), 200, { link: `<${next.href}>; rel="next"` });
}
