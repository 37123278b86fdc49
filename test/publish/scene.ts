/** What the tests of the engine share: an S3 and an HTTP server of this process, a private folder, trees to compare. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';
import { ModelFetchError, type ErrorCode } from '../../src/errors.ts';
import type { FetchEvent } from '../../src/events.ts';
import type { FetchOptions } from '../../src/options.ts';
import { fetchModel, type FetchResult } from '../../src/fetch-model.ts';
import { startHttpServer, type HttpServer } from '../servers/http.ts';
import {
  startS3,
  type Fault,
  type S3Options,
  type S3Request,
  type S3Server,
} from '../servers/s3.ts';

/** Path to content. */
export type Files = Readonly<Record<string, string | Buffer>>;
/** Path to what is there: text, size and digest of what is longer, `-> target`, or `/` for an empty folder. */
export type Tree = Record<string, string>;

export const KEEP: FetchOptions = { connectGraceMs: 0, attempts: 3, stallTimeoutMs: 5_000 };

/** A private folder that goes with the test. */
export function folder(t: TestContext): string {
  const root = mkdtempSync(join(tmpdir(), 'model-fetch-test-'));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  return root;
}

export interface S3Scene {
  readonly s3: S3Server;
  readonly root: string;
  readonly dest: string;
  readonly options: FetchOptions;
  readonly events: FetchEvent[];
  /** What goes wrong, asked for every request. */
  trouble: ((request: S3Request) => Fault | undefined) | undefined;
  /** Makes the bucket's folder `name` hold exactly these files. */
  model(name: string, files: Files): void;
  /** Fetches `s3://models/<name>/`, or the URI given, into `dest`. */
  fetch(name: string, options?: FetchOptions): Promise<FetchResult>;
  /** GETs of objects so far; forgets them. */
  gets(): S3Request[];
}

export async function s3Scene(t: TestContext, options: S3Options = {}): Promise<S3Scene> {
  const root = folder(t);
  const keys = new Map<string, Set<string>>();
  let seen = 0;
  const s3 = await startS3({
    buckets: ['models'],
    ...options,
    faults: (request) => scene.trouble?.(request),
  });
  t.after(() => s3.close());
  const events: FetchEvent[] = [];
  const scene: S3Scene = {
    s3,
    root,
    dest: join(root, 'mnt'),
    events,
    trouble: undefined,
    options: {
      ...KEEP,
      env: {
        AWS_ENDPOINT_URL: s3.url,
        AWS_REGION: 'us-east-1',
        AWS_ACCESS_KEY_ID: 'test',
        AWS_SECRET_ACCESS_KEY: 'secret',
        AWS_EC2_METADATA_DISABLED: 'true',
      },
      onEvent: (event) => events.push(event),
    },
    model: (name, files) => {
      for (const key of keys.get(name) ?? []) s3.remove('models', key);
      keys.set(name, new Set(Object.keys(files).map((path) => `${name}/${path}`)));
      for (const [path, bytes] of Object.entries(files)) s3.put('models', `${name}/${path}`, bytes);
    },
    fetch: (name, more) =>
      fetchModel(name.includes('://') ? name : `s3://models/${name}/`, scene.dest, {
        ...scene.options,
        ...more,
      }),
    gets: () => {
      const fresh = s3.requests.slice(seen);
      seen = s3.requests.length;
      return fresh.filter(({ method, key }) => method === 'GET' && key !== '');
    },
  };
  return scene;
}

export async function httpScene(
  t: TestContext,
): Promise<{ http: HttpServer; root: string; dest: string }> {
  const http = await startHttpServer();
  t.after(() => http.close());
  const root = folder(t);
  return { http, root, dest: join(root, 'mnt') };
}

/** GETs of the data plane: the control plane's probe asks for the first byte alone. */
export function bodyGets(http: HttpServer): HttpServer['requests'] {
  return http.requests.filter(
    ({ method, headers }) => method === 'GET' && headers['range'] !== 'bytes=0-0',
  );
}

export function write(root: string, files: Files): void {
  for (const [path, bytes] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), bytes);
  }
}

/** What `files` look like as a tree. */
export function treeFrom(files: Files): Tree {
  return Object.fromEntries(Object.entries(files).map(([path, bytes]) => [path, shown(bytes)]));
}

/** What stands under `root`, without what is ours unless `own` says so. */
export function treeOf(root: string, own = false): Tree {
  const tree: Tree = {};
  const walk = (at: string): void => {
    const names = readdirSync(join(root, at));
    if (names.length === 0 && at !== '') tree[at] = '/';
    for (const name of names) {
      const path = at === '' ? name : `${at}/${name}`;
      if (path === '.model-fetch' && !own) continue;
      const stats = lstatSync(join(root, path));
      if (stats.isDirectory()) walk(path);
      else if (stats.isSymbolicLink()) tree[path] = `-> ${readlinkSync(join(root, path))}`;
      else tree[path] = shown(readFileSync(join(root, path)));
    }
  };
  walk('');
  return tree;
}

function shown(bytes: string | Buffer): string {
  const buffer = Buffer.from(bytes);
  if (buffer.length <= 64) return buffer.toString('latin1');
  return `${String(buffer.length)} bytes ${createHash('sha256').update(buffer).digest('hex')}`;
}

/** Bytes that differ everywhere, the same for the same seed. */
export function noise(size: number, seed = 1): Buffer {
  const bytes = Buffer.allocUnsafe(size);
  let state = seed * 2_654_435_761;
  for (let at = 0; at < size; at++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    bytes[at] = state >>> 24;
  }
  return bytes;
}

/** The error of `promise`, which must be ours with that code. */
export async function fails(
  promise: Promise<unknown>,
  code: ErrorCode,
  text?: RegExp,
): Promise<ModelFetchError> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  assert.ok(error !== undefined, `was expected to fail with ${code}`);
  assert.ok(error instanceof ModelFetchError, String((error as Error).stack));
  assert.equal(
    error.code,
    code,
    `${error.message}\n${String((error.cause as Error | undefined)?.stack)}`,
  );
  if (text) assert.match(error.message, text);
  return error;
}

/** Nothing of ours is left but what a finished run leaves. */
export function onlyManifestRemains(dest: string): void {
  assert.deepEqual(readdirSync(join(dest, '.model-fetch')), ['manifest.jsonl']);
}

export function sha256(bytes: string | Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Bytes of which every 4 KiB are different, made quickly. */
export function large(size: number, seed = 1): Buffer {
  const bytes = Buffer.alloc(size, noise(4096, seed));
  for (let at = 0; at + 8 <= size; at += 4096) bytes.writeDoubleBE(at + seed, at);
  return bytes;
}
