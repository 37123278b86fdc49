/** A registry with a token endpoint, and the storage its larger blobs are redirected to. */
import { createHash } from 'node:crypto';
import type { Files } from '../../src/testing/index.ts';
import { bytesOrPart, json, serve, type Answer, type Asked, type Served } from './serve.ts';

/** Blobs of this size and more are redirected; smaller ones the registry answers itself. */
const REDIRECTED = 1000;
/** How often the first token may be used. Later ones last. */
const FIRST_TOKEN_USES = 4;

export interface OciServer {
  readonly registry: Served;
  readonly storage: Served;
  push(name: string, files: Files): void;
  close(): Promise<void>;
}

const digest = (bytes: Uint8Array) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

export async function startRegistry(login: string): Promise<OciServer> {
  const blobs = new Map<string, Uint8Array>();
  const manifests = new Map<string, Uint8Array>();
  const uses = new Map<string, number>();

  const storage = await serve((asked) => {
    if (asked.headers.authorization !== undefined) return { status: 400, body: 'InvalidArgument' };
    const blob = blobs.get(asked.url.pathname.slice(1));
    return blob ? bytesOrPart(asked, blob, {}) : { status: 404 };
  });

  const token = (asked: Asked): Answer => {
    if (asked.headers.authorization !== `Basic ${Buffer.from(login).toString('base64')}`)
      return json({ errors: [{ code: 'UNAUTHORIZED' }] }, 401);
    const value = `canary-token-${String(uses.size)}`;
    uses.set(`Bearer ${value}`, uses.size === 0 ? FIRST_TOKEN_USES : Infinity);
    return json({ token: value, expires_in: 300 });
  };

  const registry = await serve((asked, origin) => {
    const { pathname } = asked.url;
    if (pathname === '/token') return token(asked);
    const [, name = '', kind = '', reference = ''] =
      /^\/v2\/(.+)\/(manifests|blobs)\/(.+)$/.exec(pathname) ?? [];
    const left = uses.get(asked.headers.authorization ?? '') ?? 0;
    if (left === 0) {
      const challenge = `Bearer realm="${origin}/token",service="fake",scope="repository:${name}:pull"`;
      return json({ errors: [{ code: 'UNAUTHORIZED' }] }, 401, { 'www-authenticate': challenge });
    }
    uses.set(asked.headers.authorization!, left - 1);
    if (kind === 'manifests') {
      const body = manifests.get(`${name}:${reference}`);
      return body ? { body, headers: { 'docker-content-digest': digest(body) } } : { status: 404 };
    }
    const blob = blobs.get(reference);
    if (!blob) return { status: 404 };
    if (blob.length < REDIRECTED) return bytesOrPart(asked, blob, {});
    return {
      status: 307,
      headers: { location: `${storage.origin}/${reference}?signature=canary` },
    };
  });

  return {
    registry,
    storage,
    push: (name, files) => {
      const layers = Object.entries(files).map(([path, bytes]) => {
        blobs.set(digest(bytes), bytes);
        const annotations = { 'org.opencontainers.image.title': path };
        return { digest: digest(bytes), size: bytes.length, annotations };
      });
      const manifest = Buffer.from(JSON.stringify({ schemaVersion: 2, layers }));
      manifests.set(`${name}:latest`, manifest);
      manifests.set(`${name}:${digest(manifest)}`, manifest);
    },
    close: async () => {
      await Promise.all([registry.close(), storage.close()]);
    },
  };
}
