/** Entries become a plan, one at a time: what is already there, what must come, what is an archive. Nothing is held. */
import { basename } from 'node:path';
import { ModelFetchError } from '../errors.ts';
import type { Digest, Entry } from '../fetcher.ts';
import type { Manifest, ManifestEntry, ManifestFile, ManifestFolder } from '../publish/manifest.ts';
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
  /** Whether a published file is still what the manifest says; at once where a look is enough. */
  readonly untouched: (file: ManifestFile) => boolean | Promise<boolean>;
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
  // One is held back: whether an entry is the only one decides whether it is unpacked.
  let held: Entry | undefined;
  let sole = true;
  for await (const listed of entries) {
    const entry = select(listed, options);
    if (!entry) continue;
    if (held) {
      sole = false;
      if (options.required.length > 0)
        throw new ModelFetchError(
          'INVALID_OPTION',
          '--checksum is for a model of one file, and this one has more',
          { uri: options.uri },
        );
      yield planEntry(held, sole, options);
    }
    held = entry;
  }
  if (!held)
    throw new ModelFetchError(
      'NOT_FOUND',
      'nothing to fetch: no file is left after --include and --exclude',
      { uri: options.uri },
    );
  yield planEntry(held, sole, options);
}

/** What entries are held against before they are planned. */
type Selection = Pick<PlanOptions, 'wanted' | 'fingerprint' | 'uri'>;

/** The wanted entries, with paths made safe, each known to the fingerprint. */
export async function* selected(
  entries: AsyncIterable<Entry>,
  options: Selection,
): AsyncGenerator<Entry> {
  for await (const listed of entries) {
    const entry = select(listed, options);
    if (entry) yield entry;
  }
}

/** The fingerprint is told of all that `selected` would give. */
export async function takeFingerprint(
  entries: AsyncIterable<Entry>,
  options: Selection,
): Promise<void> {
  for await (const listed of entries) select(listed, options);
}

/** Undefined for one that is not wanted. */
function select(entry: Entry, options: Selection): Entry | undefined {
  // A source that is itself a target of ours, a claim filled by a job say, brings its record along: that is no part of the model.
  if (entry.path.startsWith(`${OWN}/`)) return undefined;
  const path = checked(entry.path, options.uri);
  if (!options.wanted(path)) return undefined;
  options.fingerprint.add(entry);
  return path === entry.path ? entry : { ...entry, path };
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

function planEntry(
  entry: Entry,
  sole: boolean,
  options: PlanOptions,
): PlanItem | Promise<PlanItem> {
  const id = options.nextId();
  const archive = isArchive(entry, sole, options.unpack);
  if (!archive) options.collisions.add(entry.path, options.uri);
  const otherwise: PlanItem = { id, entry, sole, how: archive ? 'unpack' : 'fetch' };
  const previous = options.previous?.entries.get(options.from)?.get(entry.path);
  if (
    !previous ||
    !options.previous ||
    !sameContent(previous, entry) ||
    !satisfies(previous, options.required)
  )
    return otherwise;
  const files = options.previous.filesOf.get(previous.id) ?? [];
  const unpacked = previous.as === 'archive';
  // A file whose name did not tell that it is an archive may have been unpacked by its content, and the other way round.
  const fits = archive ? previous.as !== 'file' : !unpacked || (sole && options.unpack === 'auto');
  if (!fits || files.length === 0) return otherwise;
  const { folders: known } = options.previous;
  const found = (untouched: boolean): PlanItem => {
    if (!untouched) return otherwise;
    if (unpacked && !archive) options.collisions.release(entry.path);
    const folders = unpacked ? known.filter((folder) => folder.entry === previous.id) : [];
    return { id, entry, sole, how: 'keep', previous, files, folders };
  };
  const untouched = all(files, options.untouched);
  return typeof untouched === 'boolean' ? found(untouched) : untouched.then(found);
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

/** At once, as long as the answers are. */
function all<T>(
  items: readonly T[],
  test: (item: T) => boolean | Promise<boolean>,
): boolean | Promise<boolean> {
  for (const [index, item] of items.entries()) {
    const answer = test(item);
    if (answer === false) return false;
    if (answer !== true) return allAfter(answer, items, index, test);
  }
  return true;
}

async function allAfter<T>(
  answer: Promise<boolean>,
  items: readonly T[],
  index: number,
  test: (item: T) => boolean | Promise<boolean>,
): Promise<boolean> {
  if (!(await answer)) return false;
  for (let next = index + 1; next < items.length; next++)
    if (!(await test(items[next]!))) return false;
  return true;
}
