/** `phfs:///path` and `nfs://host/path`, as PrimeHub has them: folders of a volume that the platform has mounted. */
import { basename, join } from 'node:path';
import { ModelFetchError } from '../errors.ts';
import type { Fetcher, Resolver } from '../fetcher.ts';
import type { Ref } from '../ref.ts';
import type { Env } from '../registry.ts';
import { decode, decodedIfOnlyThatExists } from './file.ts';
import { fromDirectory } from './from-directory.ts';
import { isWithin, realPlace } from './local-path.ts';

export interface MountedOptions {
  /** Where the volume is mounted. */
  readonly mount: string;
  /** What stands between `//` and the path: nothing, or the server that the platform mounted the volume from. */
  readonly authority: 'none' | 'host';
}

/** PrimeHub's shared files. `MODEL_FETCH_PHFS` says where they are, when it is not `/phfs`. */
export function phfsFromEnv(env: Env): Resolver {
  return mounted({ mount: env['MODEL_FETCH_PHFS'] || '/phfs', authority: 'none' });
}

/** An NFS export. `MODEL_FETCH_NFS` says where it is, when it is not `/nfs`. */
export function nfsFromEnv(env: Env): Resolver {
  return mounted({ mount: env['MODEL_FETCH_NFS'] || '/nfs', authority: 'host' });
}

/** Files below one mount, and never out of it. Nothing is mounted here: that is the platform's part. */
export function mounted(options: MountedOptions): Resolver {
  const { mount } = options;
  return {
    async resolve(ref, { signal }): Promise<Fetcher> {
      signal.throwIfAborted();
      const path = pathOf(ref, options);
      const root = await realMount(ref, mount);
      const sub = await decodedIfOnlyThatExists(path, (one) => join(root, one));
      const real = await realPlace(join(root, sub), ref.raw);
      if (!isWithin(real, root)) throw leaves(ref, mount);
      return fromDirectory({
        uri: `${ref.scheme}://${ref.authority}${path}`,
        path: real,
        name: basename(sub),
        within: root,
        outside: 'REFUSED',
      });
    },
    // eslint-disable-next-line @typescript-eslint/require-await -- what is wrong with a URI is a rejection
    async explain(ref) {
      return {
        parts: {
          ...(ref.authority !== '' && { host: ref.authority }),
          path: pathOf(ref, options),
          mount,
        },
        credentials: 'none; the permissions of the volume',
      };
    },
  };
}

/** Without a slash at its end. Throws `INVALID_URI`, or `REFUSED` where the path climbs. */
function pathOf(ref: Ref, { authority, mount }: MountedOptions): string {
  if ((ref.authority === '') !== (authority === 'none') || !/^(\/|$)/.test(ref.path))
    throw new ModelFetchError('INVALID_URI', `${ref.scheme} has another form`, {
      uri: ref.raw,
      hint: `Write ${ref.scheme}://${authority === 'none' ? '' : 'host'}/path`,
    });
  for (const path of [ref.path, decode(ref.path) ?? ''])
    if (path.split('/').includes('..')) throw leaves(ref, mount);
  return ref.path.replace(/\/+$/, '');
}

async function realMount(ref: Ref, mount: string): Promise<string> {
  try {
    return await realPlace(mount, ref.raw);
  } catch (error) {
    if (!(error instanceof ModelFetchError) || error.code !== 'NOT_FOUND') throw error;
    throw new ModelFetchError('NOT_FOUND', `${ref.scheme} is not mounted at ${mount}`, {
      uri: ref.raw,
      hint: `Mount the volume there, or say where it is: MODEL_FETCH_${ref.scheme.toUpperCase()}=/path`,
      cause: error,
    });
  }
}

function leaves(ref: Ref, mount: string): ModelFetchError {
  return new ModelFetchError('REFUSED', `the path leads out of ${mount}`, {
    uri: ref.raw,
    hint: 'Name a path inside the volume, without `..` and without links that leave it.',
  });
}
