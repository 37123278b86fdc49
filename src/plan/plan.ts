/** Entries become a plan, one at a time: what is already there, what must come, what is an archive. Nothing is held. */
import { basename } from 'node:path';
import { ModelFetchError } from '../errors.ts';
import type { Digest, Entry } from '../fetcher.ts';
import {
  entryKey,
  type Manifest,
  type ManifestEntry,
  type ManifestFile,
  type ManifestFolder,
} from '../publish/manifest.ts';
import { namedLikeArchive, unpackedByKserve } from '../unpack/format.ts';
import type { Unpack } from '../options.ts';
import { parts } from '../verify/expected.ts';
import type { Collisions } from './collisions.ts';
import type { Fingerprint } from './fingerprint.ts';
import { OWN, safePath } from './path.ts';

export type PlanItem = {
  /** Position among all entries of the target. */
  readonly id: number;
  readonly entry: Entry;
  /** The only entry of its source. */
  readonly sole: boolean;
} & (
  | {
      readonly how: 'keep';
      readonly previous: ManifestEntry;
      readonly files: readonly ManifestFile[];
      readonly folders: readonly ManifestFolder[];
    }
  | { readonly how: 'fetch' }
  | { readonly how: 'unpack' }
);

export interface PlanOptions {
  /** The name under which the previous manifest knows the source. */
  readonly from: string;
  readonly uri: string;
  readonly wanted: (path: string) => boolean;
  readonly unpack: Unpack;
  /** What the one file must match. */
  readonly required: readonly Digest[];
  readonly previous: Manifest | undefined;
  /** Whether a published file is still what the manifest says. */
  readonly untouched: (file: ManifestFile) => Promise<boolean>;
  readonly collisions: Collisions;
  readonly fingerprint: Fingerprint;
  /** Gives out ids: sources of one target are planned side by side. */
  readonly nextId: () => number;
}

/** Throws `UNSAFE_PATH`, `CONFLICT`, `NOT_FOUND` for an empty selection, `INVALID_OPTION` for a checksum of several files. */
export async function* makePlan(
  entries: AsyncIterable<Entry>,
  options: PlanOptions,
): AsyncGenerator<PlanItem> {
  let count = 0;
  for await (const { entry, sole } of withSole(selected(entries, options))) {
    if (!sole && options.required.length > 0)
      throw new ModelFetchError(
        'INVALID_OPTION',
        '--checksum is for a model of one file, and this one has more',
        { uri: options.uri },
      );
    count++;
    yield await planEntry(entry, sole, options.nextId(), options);
  }
  if (count === 0)
    throw new ModelFetchError(
      'NOT_FOUND',
      'nothing to fetch: no file is left after --include and --exclude',
      { uri: options.uri },
    );
}

/** The wanted entries, with paths made safe, each known to the collisions and the fingerprint. */
export async function* selected(
  entries: AsyncIterable<Entry>,
  options: Pick<PlanOptions, 'wanted' | 'collisions' | 'fingerprint' | 'uri'>,
): AsyncGenerator<Entry> {
  for await (const entry of entries) {
    // A source that is itself a target of ours, a claim filled by a job say, brings its record along: that is no part of the model.
    if (entry.path.startsWith(`${OWN}/`)) continue;
    const path = checked(entry.path, options.uri);
    if (!options.wanted(path)) continue;
    options.fingerprint.add(entry);
    yield { ...entry, path };
  }
}

function checked(path: string, uri: string): string {
  try {
    return safePath(path, 'entry');
  } catch (error) {
    if (!(error instanceof ModelFetchError)) throw error;
    throw new ModelFetchError(error.code, error.message, {
      uri,
      path,
      ...(error.hint !== undefined && { hint: error.hint }),
      cause: error,
    });
  }
}

/** Looks one ahead: whether an entry is the only one decides whether it is unpacked. */
async function* withSole(
  entries: AsyncIterable<Entry>,
): AsyncGenerator<{ entry: Entry; sole: boolean }> {
  let held: Entry | undefined;
  let count = 0;
  for await (const entry of entries) {
    if (held) yield { entry: held, sole: false };
    held = entry;
    count++;
  }
  if (held) yield { entry: held, sole: count === 1 };
}

async function planEntry(
  entry: Entry,
  sole: boolean,
  id: number,
  options: PlanOptions,
): Promise<PlanItem> {
  const archive = isArchive(entry, sole, options.unpack);
  if (!archive) options.collisions.add(entry.path, options.uri);
  const previous = options.previous?.entries.get(entryKey(options.from, entry.path));
  if (
    previous &&
    options.previous &&
    sameContent(previous, entry) &&
    satisfies(previous, options.required)
  ) {
    const files = options.previous.filesOf.get(previous.id) ?? [];
    const unpacked = previous.as === 'archive';
    // A file whose name did not tell that it is an archive may have been unpacked by its content, and the other way round.
    const fits = archive
      ? previous.as !== 'file'
      : !unpacked || (sole && options.unpack === 'auto');
    if (fits && files.length > 0 && (await all(files, options.untouched))) {
      if (unpacked && !archive) options.collisions.release(entry.path);
      const folders = options.previous.folders.filter((folder) => folder.entry === previous.id);
      return { id, entry, sole, how: 'keep', previous, files, folders };
    }
  }
  return { id, entry, sole, how: archive ? 'unpack' : 'fetch' };
}

/** KServe's rule: a source's only file is unpacked when its name says archive. A fetcher's own word comes first. */
function isArchive(entry: Entry, sole: boolean, unpack: Unpack): boolean {
  if (unpack === 'never') return false;
  const named = unpack === 'kserve' ? unpackedByKserve : namedLikeArchive;
  return entry.archive !== undefined || (sole && named(entry.named ?? basename(entry.path)));
}

function sameContent(previous: ManifestEntry, entry: Entry): boolean {
  if (previous.size !== undefined && entry.size !== undefined && previous.size !== entry.size)
    return false;
  if (entry.version !== undefined) return previous.version === entry.version;
  // Without a version only a strong digest proves anything.
  return (entry.digests ?? []).some(
    (digest) => parts(digest).algorithm.startsWith('sha') && previous.against?.includes(digest),
  );
}

function satisfies(previous: ManifestEntry, required: readonly Digest[]): boolean {
  return required.every((digest) => previous.against?.includes(digest));
}

async function all<T>(items: readonly T[], test: (item: T) => Promise<boolean>): Promise<boolean> {
  for (const item of items) if (!(await test(item))) return false;
  return true;
}
