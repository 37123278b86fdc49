/** `file:///path`, `file://localhost/path` and bare paths, absolute or relative. */
import { lstat } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import type { Explanation, Fetcher, Resolver } from '../fetcher.ts';
import type { Ref } from '../ref.ts';
import type { Env } from '../registry.ts';
import { fromDirectory } from './from-directory.ts';
import { asKserve } from './kserve-folder.ts';
import { realPlace } from './local-path.ts';

export interface FileOptions {
  /** As KServe, which looks at the top of a folder only. */
  readonly compat?: 'kserve';
}

/** Little to configure: the file system's own permissions decide. */
export function fromEnv(env: Env): Resolver {
  return file(env['MODEL_FETCH_COMPAT'] === 'kserve' ? { compat: 'kserve' } : {});
}

export function file(options: FileOptions = {}): Resolver {
  return {
    async resolve(ref, { signal }): Promise<Fetcher> {
      signal.throwIfAborted();
      const path = await pathOf(ref);
      // A link at the root is the caller's own word, and pins what it leads to now.
      const real = await realPlace(path, ref.raw);
      const fetcher = fromDirectory({ uri: `file://${real}`, path: real, name: basename(path) });
      return options.compat ? asKserve(fetcher, (await lstat(real)).isDirectory()) : fetcher;
    },
    async explain(ref): Promise<Explanation> {
      return {
        parts: { path: await pathOf(ref) },
        credentials: 'none; the permissions of the file system',
      };
    },
  };
}

/**
 * The absolute path that `ref` means. Read as KServe reads it: what follows `file://` is the path, as it stands. Only
 * where nothing has that name are percent escapes decoded, as RFC 8089 has them.
 */
async function pathOf(ref: Ref): Promise<string> {
  const isUri = /^file:/i.test(ref.raw);
  const written = (ref.authority.toLowerCase() === 'localhost' ? '' : ref.authority) + ref.path;
  if (!isUri) return resolve(written);
  return resolve(await decodedIfOnlyThatExists(written, (path) => path));
}

/**
 * `written`, unless nothing is there and something is where its percent escapes, decoded, lead. `place` says where on
 * this machine either would be.
 */
export async function decodedIfOnlyThatExists(
  written: string,
  place: (path: string) => string,
): Promise<string> {
  if (!written.includes('%') || (await exists(place(written)))) return written;
  const decoded = decode(written);
  return decoded !== undefined && (await exists(place(decoded))) ? decoded : written;
}

/** Undefined where the escapes are none, or hide a NUL. */
export function decode(text: string): string | undefined {
  try {
    const decoded = decodeURIComponent(text);
    return decoded.includes('\0') ? undefined : decoded;
  } catch {
    return undefined;
  }
}

async function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}
