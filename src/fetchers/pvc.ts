/** `pvc://claim/path`: a folder of a persistent volume claim, through its mount, and never out of it. */
import { lstat, stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { ModelFetchError } from '../errors.ts';
import type { Fetcher, Resolver } from '../fetcher.ts';
import type { Ref } from '../ref.ts';
import type { Env } from '../registry.ts';
import { decode, decodedIfOnlyThatExists } from './file.ts';
import { fromDirectory } from './from-directory.ts';
import { asKserve } from './kserve-folder.ts';
import { isWithin, realPlace } from './local-path.ts';

export interface PvcOptions {
  /** Where claims are mounted, by name. */
  readonly claims?: Readonly<Record<string, string>>;
  /** Where a claim that is not among them may be, the likeliest first. Default: the usual mounts in a pod. */
  readonly usualMounts?: (claim: string) => readonly string[];
  /** As KServe, where it copies a claim instead of mounting it. */
  readonly compat?: 'kserve';
}

/** A folder a claim, as here and in ModelMesh (`/pvc_mounts`), or KServe's one mount for the only claim. */
const usual = (claim: string) => [`/mnt/pvc/${claim}`, `/pvc_mounts/${claim}`, '/mnt/pvc'];

/** `MODEL_FETCH_PVC`: `claim=/path`, several with commas between them. */
export function fromEnv(env: Env): Resolver {
  return pvc({
    claims: parseClaims(env['MODEL_FETCH_PVC'] ?? ''),
    ...(env['MODEL_FETCH_COMPAT'] === 'kserve' && { compat: 'kserve' }),
  });
}

export function pvc({ claims = {}, usualMounts = usual, compat }: PvcOptions = {}): Resolver {
  const placesOf = (claim: string) =>
    Object.hasOwn(claims, claim) ? [claims[claim]!] : usualMounts(claim);
  return {
    async resolve(ref, { signal }): Promise<Fetcher> {
      signal.throwIfAborted();
      const { claim, path } = parse(ref);
      const mount = await realPlace(await findMount(claim, placesOf(claim), ref.raw), ref.raw);
      const sub = await decodedIfOnlyThatExists(path, (one) => join(mount, one));
      const real = await realPlace(join(mount, sub), ref.raw);
      if (!isWithin(real, mount)) throw leaves(ref, claim);
      const fetcher = fromDirectory({
        uri: `pvc://${claim}${path}`,
        path: real,
        name: basename(sub),
        within: mount,
        outside: 'REFUSED',
      });
      return compat ? asKserve(fetcher, (await lstat(real)).isDirectory()) : fetcher;
    },
    async explain(ref) {
      const { claim, path } = parse(ref);
      const mount = await firstFolder(placesOf(claim));
      return {
        parts: { claim, path, mount: mount ?? `none of ${placesOf(claim).join(', ')}` },
        credentials: 'none; the permissions of the volume',
      };
    },
  };
}

/** The claim and the path in it, without a slash at its end. Throws `INVALID_URI`, or `REFUSED` where the path climbs. */
function parse(ref: Ref): { claim: string; path: string } {
  const claim = ref.authority;
  if (!/^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$/.test(claim))
    throw new ModelFetchError('INVALID_URI', `"${claim}" is not the name of a claim`, {
      uri: ref.raw,
      hint: 'Write pvc://claim/path',
    });
  for (const path of [ref.path, decode(ref.path) ?? ''])
    if (path.split('/').includes('..')) throw leaves(ref, claim);
  return { claim, path: ref.path.replace(/\/+$/, '') };
}

async function findMount(claim: string, places: readonly string[], uri: string): Promise<string> {
  const mount = await firstFolder(places);
  if (mount !== undefined) return mount;
  throw new ModelFetchError(
    'NOT_FOUND',
    `the claim ${claim} is not mounted at ${places.join(', nor at ')}`,
    { uri, hint: `Mount it there, or say where it is: --pvc ${claim}=/path` },
  );
}

async function firstFolder(places: readonly string[]): Promise<string | undefined> {
  for (const place of places) {
    const found = await stat(place).catch(() => undefined);
    if (found?.isDirectory()) return place;
  }
  return undefined;
}

function leaves(ref: Ref, claim: string): ModelFetchError {
  return new ModelFetchError('REFUSED', `the path leads out of the claim ${claim}`, {
    uri: ref.raw,
    hint: 'Name a path inside the claim, without `..` and without links that leave it.',
  });
}

function parseClaims(text: string): Record<string, string> {
  const claims: Record<string, string> = {};
  for (const pair of text.split(',').map((one) => one.trim())) {
    if (pair === '') continue;
    const [, claim, path] = /^([^=]+)=(.+)$/.exec(pair) ?? [];
    if (claim === undefined || path === undefined)
      throw new ModelFetchError('INVALID_OPTION', `"${pair}" does not say where a claim is`, {
        hint: 'Write --pvc claim=/path (MODEL_FETCH_PVC=claim=/path,other=/path).',
      });
    claims[claim] = resolve(path);
  }
  return claims;
}
