/** What the cases of conformance are made of: a world of stores, sources in it, and what must be there after one run. */
import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { suite, test, type TestContext } from 'node:test';
import { gzipSync } from 'node:zlib';
import { folder } from '../cli/child.ts';
import { inProcess } from '../cli/host.ts';
import { startGcs, type GcsServer } from '../servers/gcs.ts';
import { startHttpServer, type HttpServer } from '../servers/http.ts';
import { startS3, type S3Server } from '../servers/s3.ts';
import { tar, zip, type TarMember } from '../support/archives.ts';
import { noteCase } from './conformance-doc.ts';

export interface World {
  readonly s3: S3Server;
  readonly gcs: GcsServer;
  readonly web: HttpServer;
  readonly home: string;
  readonly env: Record<string, string>;
}

export interface Case {
  readonly name: string;
  /** Puts the source in place; answers the URI, or it and variables, where they are not known before. */
  readonly put?: (world: World) => unknown;
  readonly uri?: string;
  readonly env?: Record<string, string>;
  /** Instead of the URI and a destination. */
  readonly words?: readonly string[];
  /** The files that are there then, by path; or the exit status, and then there are none. */
  readonly gives: readonly string[] | number;
}

export async function world(t: TestContext): Promise<World> {
  const s3 = await startS3();
  t.after(() => s3.close());
  const gcs = await startGcs();
  t.after(() => gcs.close());
  const web = await startHttpServer();
  t.after(() => web.close());
  const env = {
    AWS_ENDPOINT_URL: s3.url,
    AWS_ACCESS_KEY_ID: 'test',
    AWS_SECRET_ACCESS_KEY: 'secret',
    STORAGE_EMULATOR_HOST: gcs.url,
  };
  return { s3, gcs, web, home: await folder(t), env };
}

export async function filesIn(target: string): Promise<string[]> {
  const found = await readdir(target, { recursive: true, withFileTypes: true }).catch(() => []);
  return found
    .filter((one) => !one.isDirectory())
    .map((one) => join(one.parentPath, one.name).slice(target.length + 1))
    .filter((name) => !name.startsWith('.model-fetch/'))
    .sort();
}

export function cases(title: string, list: readonly Case[]): void {
  suite(title, () => {
    for (const { name, put, uri, env, words: asked, gives } of list)
      test(noteCase(title, name), async (t) => {
        const there = await world(t);
        const answer = await put?.(there);
        const given = answer as { uri?: string; env?: Record<string, string> } | string | undefined;
        const source = (typeof given === 'string' ? given : given?.uri) ?? uri ?? '';
        const own = typeof given === 'object' ? given.env : undefined;
        const target = join(there.home, 'mnt', 'models');
        const words = [...(asked ?? [source, target]), '--connect-grace', '0s', '--attempts', '3'];
        const { status, stderr } = await inProcess(words, {
          env: { ...there.env, ...env, ...own },
        });
        const files = await filesIn(target);
        if (typeof gives === 'number') assert.deepEqual([status, files], [gives, []], stderr);
        else assert.deepEqual([status, files], [0, [...gives].sort()], stderr);
      });
  });
}

export const objects =
  (...keys: string[]) =>
  ({ s3 }: World): void => {
    for (const key of keys) s3.put('foo', key, key.endsWith('/') ? '' : key);
  };
export const blobs =
  (...names: string[]) =>
  ({ gcs }: World): void => {
    gcs.put('foo', 'elsewhere', 'x');
    for (const name of names) gcs.put('foo', name, name.endsWith('/') ? '' : name);
  };

export const MODEL: TarMember = { name: 'model.pth', content: '' };
export const TGZ = gzipSync(tar(MODEL));
export const ZIP = zip([{ name: 'model.pth', content: '' }]);
export const served =
  (path: string, bytes: Buffer | string, type?: string, query = '') =>
  ({ web }: World): string => {
    const headers = type === undefined ? {} : { 'content-type': type };
    return `${web.put(path, bytes, { headers })}${query}`;
  };
