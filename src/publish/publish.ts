/**
 * The one step that makes a model visible. Numbered, because the order is the point:
 *
 *  (1) everything staged is whole, checked and, where that is asked for, synced; the new manifest lies beside it, synced
 *  (2) an intent is written: from here on the publish will be finished, by this run or by the next
 *  (3) the current manifest is retired: nobody may claim to be published
 *  (4) files of the old model that the new one does not have are removed
 *  (5) staged names are renamed into place, whole folders where the target has none of that name
 *  (6) the new manifest is renamed into place: the commit
 *  (7) the intent and staging are removed
 *
 * Steps (3) to (7) can be repeated from any point: `finish` is also the recovery.
 */
import {
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  unlinkSync,
  existsSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { onDisk } from '../disk.ts';
import { ModelFetchError } from '../errors.ts';
import { moveDurably, syncDirectories, syncDirectory, writeDurably } from './durable.ts';
import { readManifest } from './manifest.ts';

/** What the next run needs to finish an interrupted publish. */
export interface Intent {
  readonly staging: string;
  /** Where the manifest goes; null: nowhere. */
  readonly manifest: string | null;
  /** Step (4) removes only what stands in the way. */
  readonly keepStale?: boolean;
}

export interface Paths {
  readonly target: string;
  /** `.model-fetch` in the target. */
  readonly own: string;
}

const intentPath = (paths: Paths): string => join(paths.own, 'intent.json');

/** Steps (2) to (7). Answers how many stale files went. */
export async function publish(paths: Paths, intent: Intent): Promise<number> {
  writeDurably(intentPath(paths), JSON.stringify(intent)); // (2)
  return finish(paths, intent);
}

/** Finishes what an interrupted run began to publish, if there is any. */
export async function recover(paths: Paths): Promise<boolean> {
  let intent: Intent;
  rmSync(`${intentPath(paths)}.tmp`, { force: true });
  try {
    intent = JSON.parse(readFileSync(intentPath(paths), 'utf8')) as Intent;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    if (!(error instanceof SyntaxError)) throw error;
    // The disk has lost it: nobody can say what was to be published. What is in place is compared by its content.
    unlinkSync(intentPath(paths));
    return false;
  }
  await finish(paths, intent);
  return true;
}

async function finish(paths: Paths, intent: Intent): Promise<number> {
  const staging = join(paths.own, 'staging', intent.staging);
  const next = join(staging, 'manifest.jsonl');
  const retired = join(staging, 'retired.jsonl');
  let removed = 0;
  if (existsSync(next)) {
    retire(intent.manifest, retired); // (3)
    dropOther(join(paths.own, 'manifest.jsonl'), intent.manifest);
    const touched = new Set<string>([paths.target]);
    removed = await removeStale(paths.target, retired, next, touched, intent.keepStale); // (4)
    // A crash of the kernel may have lost staged files: the manifest names its boot, and the next look finds them missing.
    if (existsSync(join(staging, 'trees'))) layTrees(join(staging, 'trees'), paths.target, touched); // (5)
    await syncDirectories([...touched].filter(isDirectory));
    if (intent.manifest !== null) moveDurably(next, intent.manifest); // (6)
  }
  unlinkSync(intentPath(paths)); // (7)
  syncDirectory(paths.own);
  rmSync(join(paths.own, 'staging'), { recursive: true, force: true });
  return removed;
}

function retire(manifest: string | null, retired: string): void {
  if (manifest === null || !existsSync(manifest)) return;
  // When both exist, an earlier attempt was cut short after this step and the manifest is not the one it retired.
  moveDurably(manifest, retired);
  syncDirectory(dirname(manifest));
}

/** A manifest in the target says nothing true any more once another model is published with its manifest elsewhere. */
function dropOther(own: string, manifest: string | null): void {
  if (manifest === own || !existsSync(own)) return;
  unlinkSync(own);
  syncDirectory(dirname(own));
}

/** Removes what only the old manifest has, and folders that this leaves empty. */
async function removeStale(
  target: string,
  retired: string,
  next: string,
  touched: Set<string>,
  keepStale = false,
): Promise<number> {
  const old = await readManifest(retired);
  if (!old) return 0;
  const coming = await readManifest(next);
  const inTheWay = keepStale ? clashesWith(coming?.files.keys() ?? []) : () => true;
  let removed = 0;
  const emptied = new Set<string>();
  for (const path of old.files.keys()) {
    if (coming?.files.has(path) || !inTheWay(path) || !isWithinFolders(target, path)) continue;
    const file = join(target, path);
    // Also when it is gone already: an earlier attempt may not have come to its folder.
    emptied.add(dirname(path));
    if (!removeFile(file)) continue;
    removed++;
    touched.add(dirname(file));
  }
  const staying = new Set(coming?.folders.map(({ path }) => path));
  for (const { path } of old.folders)
    if (!staying.has(path) && isWithinFolders(target, path)) emptied.add(path);
  for (const folder of emptied) removeEmptyFolders(target, folder, touched);
  return removed;
}

/** Whether a file of that path cannot stay beside those: one is a folder of the other. */
function clashesWith(paths: Iterable<string>): (path: string) => boolean {
  const files = new Set(paths);
  const folders = new Set([...files].flatMap(foldersOf));
  return (path) => folders.has(path) || foldersOf(path).some((folder) => files.has(folder));
}

function foldersOf(path: string): string[] {
  const folders: string[] = [];
  for (let at = dirname(path); at !== '.'; at = dirname(at)) folders.push(at);
  return folders;
}

/** Whether no link leads to `path`: behind one, and above the target, nothing is ours to remove. */
function isWithinFolders(target: string, path: string): boolean {
  if (path.startsWith('/') || path.split('/').includes('..')) return false;
  for (let at = dirname(path); at !== '.'; at = dirname(at))
    if (isLink(join(target, at))) return false;
  return true;
}

function isLink(path: string): boolean {
  try {
    return lstatSync(path).isSymbolicLink();
  } catch {
    return false;
  }
}

/** False when it was not there, or is not a file (then it is not ours). */
function removeFile(file: string): boolean {
  return onDisk(file, () => {
    try {
      if (lstatSync(file).isDirectory()) return false;
      unlinkSync(file);
      return true;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT' || code === 'ENOTDIR') return false;
      throw error;
    }
  });
}

function removeEmptyFolders(target: string, folder: string, touched: Set<string>): void {
  for (let at = folder; at !== '.' && at !== ''; at = dirname(at)) {
    try {
      rmdirSync(join(target, at));
      touched.delete(join(target, at));
      touched.add(dirname(join(target, at)));
    } catch (error) {
      // Not empty: a foreign file, or one of the new model, lives there.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') return;
    }
  }
}

function layTrees(trees: string, target: string, touched: Set<string>): void {
  for (const tree of readdirSync(trees).sort((a, b) => Number(a) - Number(b)))
    layTree(join(trees, tree), target, touched);
}

/** Renames everything in `from` into `to`; a folder goes whole where `to` has none of that name. */
function layTree(from: string, to: string, touched: Set<string>): void {
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    const [source, destination] = [join(from, entry.name), join(to, entry.name)];
    if (entry.isDirectory() && isDirectory(destination)) {
      layTree(source, destination, touched);
      continue;
    }
    if (!entry.isDirectory() && isDirectory(destination)) removeEmptyTree(destination);
    onDisk(destination, () => {
      renameSync(source, destination);
    });
    touched.add(to);
  }
}

/** A file cannot be renamed over a folder, be it empty. What came into it since it was looked at stays: `CONFLICT`. */
function removeEmptyTree(folder: string): void {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (!entry.isDirectory())
      throw new ModelFetchError('CONFLICT', `${path} is in the way, and not ours`, {
        path,
        hint: 'Move it away and run again: publishing then goes on where it stopped.',
      });
    removeEmptyTree(path);
  }
  onDisk(folder, () => {
    rmdirSync(folder);
  });
}

function isDirectory(path: string): boolean {
  try {
    return lstatSync(path).isDirectory();
  } catch {
    return false;
  }
}

/** Makes `path` and answers the topmost folder that had to be made, if any. */
export function makeTarget(path: string): string | undefined {
  return onDisk(path, () => mkdirSync(path, { recursive: true, mode: 0o755 }));
}
