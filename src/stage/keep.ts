/** Entries that are in place already. Nothing is written of them unless something else changes: the old manifest has their lines. */
import { dirname, join } from 'node:path';
import type { PlanItem } from '../plan/plan.ts';
import { syncFiles } from '../publish/durable.ts';
import type { ManifestEntry, ManifestFile, ManifestFolder } from '../publish/manifest.ts';
import type { Spool } from '../publish/spool.ts';
import type { StageContext } from './context.ts';
import { entryLine } from './record.ts';

type KeepItem = Extract<PlanItem, { how: 'keep' }>;

/** What a new manifest will say. The listing itself is let go of, the lines of the old manifest are in memory anyway. */
export interface Kept {
  readonly id: number;
  readonly source: number;
  /** All but `id` and `source`. */
  readonly entry: ManifestEntry;
  readonly files: readonly ManifestFile[];
  readonly folders: readonly ManifestFolder[];
}

export function keep(context: StageContext, item: KeepItem): Kept {
  const { id, entry, previous, files, folders } = item;
  for (const file of files) {
    if (previous.as !== 'file') context.claim(file.path);
    context.onFile({ size: file.size, kept: true });
  }
  const same = previous.size === entry.size && previous.version === entry.version;
  return {
    id,
    source: context.source,
    entry: same ? previous : entryLine(context, item, previous.as, previous.against ?? []),
    files,
    folders,
  };
}

/** Down to the disk, with their folders: an earlier run left that to the kernel. */
export async function syncKept(
  context: StageContext,
  files: readonly ManifestFile[],
): Promise<void> {
  const { target, staging } = context;
  await syncFiles(
    files.filter(({ link }) => link === undefined).map(({ path }) => join(target, path)),
  );
  staging.addFolder(target);
  for (const { path } of files)
    for (let at = dirname(path); at !== '.'; at = dirname(at)) staging.addFolder(join(target, at));
}

export function writeKeptEntries(manifest: Spool, kept: readonly Kept[]): void {
  for (const { id, source, entry } of kept) manifest.line({ entry: { ...entry, id, source } });
}

export function writeKeptFiles(manifest: Spool, kept: readonly Kept[]): void {
  for (const { id, files, folders } of kept) {
    for (const file of files) manifest.line({ file: { ...file, entry: id } });
    for (const { path } of folders) manifest.line({ folder: { path, entry: id } });
  }
}
