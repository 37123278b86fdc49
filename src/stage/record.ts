/** What is staged is written down at once: lines of the manifest to come. */
import { lstatSync, type Stats } from 'node:fs';
import type { Digest } from '../fetcher.ts';
import type { PlanItem } from '../plan/plan.ts';
import type { ManifestEntry, ManifestFile } from '../publish/manifest.ts';
import type { FileMark } from '../transfer/part-file.ts';
import { hasCrcSync } from '../publish/verify.ts';
import type { StageContext } from './context.ts';

/** A foreign file of the very same bytes is no obstacle. */
export function sameBytes(file: {
  size: number;
  crc?: Digest;
}): (existing: string, stats: Stats) => boolean {
  return (existing, stats) =>
    stats.size === file.size && file.crc !== undefined && hasCrcSync(existing, file.crc);
}

export function recordFile(
  context: StageContext,
  id: number,
  path: string,
  file: string,
  done: { size: number; crc?: Digest; link?: string; mark?: FileMark },
): void {
  const { mtimeNs, ino } = done.mark ?? lstatSync(file, { bigint: true });
  const line: ManifestFile = {
    path,
    size: done.size,
    ...(done.crc !== undefined && { crc: done.crc }),
    ...(done.link !== undefined && { link: done.link }),
    mtimeNs: String(mtimeNs),
    ino: String(ino),
    entry: id,
  };
  context.staging.files.line({ file: line });
  context.onFile({ size: done.size, kept: false });
}

export function record(
  context: StageContext,
  item: PlanItem,
  as: ManifestEntry['as'],
  against: readonly Digest[],
): void {
  context.staging.entries.line({ entry: entryLine(context, item, as, against) });
}

export function entryLine(
  context: StageContext,
  item: PlanItem,
  as: ManifestEntry['as'],
  against: readonly Digest[],
): ManifestEntry {
  const { path, size, version } = item.entry;
  return {
    id: item.id,
    source: context.source,
    path,
    ...(size !== undefined && { size }),
    ...(version !== undefined && { version }),
    as,
    ...(against.length > 0 && { against }),
  };
}
