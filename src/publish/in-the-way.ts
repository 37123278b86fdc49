/** What stands where a new file must go. Asked before anything is downloaded, and again before publishing. */
import { lstatSync, readdirSync, type Stats } from 'node:fs';
import { join } from 'node:path';
import { ModelFetchError } from '../errors.ts';
import type { ManifestFile } from './manifest.ts';

const IN_THE_WAY = 'Fetch into another directory, remove it, or pass --overwrite.';
const UNSURE =
  'The manifest is damaged and does not tell whose it is: remove it, or pass --overwrite to replace what an earlier run left.';

/** Milliseconds for which a folder that was not there is believed to be still missing, and nothing in the way in it. */
const MISSING_MS = 100;

/** Paths are safe ones, relative to the target. */
export interface Obstacles {
  /**
   * Throws `CONFLICT` when something that is not ours is at `path` or where its folders must be. `same` decides about a foreign
   * regular file: true means it may be replaced because nothing is lost.
   */
  check(path: string, same: (file: string, stats: Stats) => boolean): void;
  /** The same for a folder of its own, which may be empty. */
  checkFolder(folder: string): void;
}

/**
 * `ours`: files of the current manifest; `damaged`: it may have named more. Links in the target are never written through.
 */
export function obstacles(
  target: string,
  ours: ReadonlyMap<string, ManifestFile>,
  overwrite: boolean,
  damaged = false,
): Obstacles {
  const conflict = (path: string, why: string): ModelFetchError =>
    new ModelFetchError('CONFLICT', `${path} ${why}`, {
      path,
      hint: damaged ? UNSURE : IN_THE_WAY,
    });
  const good = new Set<string>(['']);
  /** When it was last seen that there is none. */
  const missing = new Map<string, number>();
  const checkFolder = (folder: string): void => {
    if (good.has(folder)) return;
    checkFolder(folderOf(folder));
    const stats = look(join(target, folder));
    if (!stats) missing.set(folder, performance.now());
    if (stats && !stats.isDirectory() && !ours.has(folder) && !overwrite)
      throw conflict(folder, 'is not a folder, and not ours');
    if (stats && !stats.isDirectory() && !ours.has(folder))
      throw conflict(folder, 'is not a folder: remove it first');
    good.add(folder);
  };
  const isMissing = (folder: string): boolean => {
    const since = missing.get(folder);
    if (since === undefined) return false;
    if (performance.now() - since < MISSING_MS) return true;
    missing.delete(folder);
    good.delete(folder);
    checkFolder(folder);
    return missing.has(folder);
  };
  return {
    checkFolder,
    check: (path, same) => {
      const folder = folderOf(path);
      checkFolder(folder);
      if (isMissing(folder)) return;
      const stats = look(join(target, path));
      if (!stats) return;
      // Also where a file of ours was: somebody may have put a folder there since.
      if (stats.isDirectory()) {
        if (onlyOurs(target, path, ours)) return;
        throw conflict(path, 'is a folder with files that are not ours');
      }
      if (ours.has(path)) return;
      if (overwrite || (stats.isFile() && same(join(target, path), stats))) return;
      throw conflict(path, 'is already there and not ours');
    },
  };
}

/** Empty for the target itself. */
function folderOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf('/')));
}

function look(path: string): Stats | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false });
  } catch (error) {
    // A file of the old model stands where the new one has a folder.
    if ((error as NodeJS.ErrnoException).code === 'ENOTDIR') return undefined;
    throw error;
  }
}

/** A folder of the old model that the new one has a file for: it goes, if nothing else lives in it. */
function onlyOurs(
  target: string,
  folder: string,
  ours: ReadonlyMap<string, ManifestFile>,
): boolean {
  return readdirSync(join(target, folder), { withFileTypes: true }).every((entry) => {
    const path = `${folder}/${entry.name}`;
    return entry.isDirectory() ? onlyOurs(target, path, ours) : ours.has(path);
  });
}
