/**
 * What becomes of targets that are not needed any more. For minutes after many files were removed, ext4 passes over their
 * inodes one by one whenever a file is made: that cost every client more than all its other work on small files. A pod's
 * volume knows no such thing, so folders of many files stay until the whole run is over.
 * Source: `recently_deleted` in fs/ext4/ialloc.c of Linux.
 */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';

/** Files; fewer are removed at once, for the large models would fill the disk. */
const MANY = 500;

export function retire(work: string, folder: string): void {
  if (!existsSync(folder)) return;
  if (readdirSync(folder, { recursive: true }).length < MANY) {
    rmSync(folder, { recursive: true });
    return;
  }
  const retired = retiredIn(work);
  mkdirSync(retired, { recursive: true });
  renameSync(folder, join(retired, String(readdirSync(retired).length)));
}

/** Before the first run and after the last. */
export function removeRetired(work: string): void {
  rmSync(retiredIn(work), { recursive: true, force: true });
}

function retiredIn(work: string): string {
  return join(work, 'retired');
}
