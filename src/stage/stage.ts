/** One entry of the plan becomes files in staging: copied, downloaded or unpacked, and checked. */
import { rmSync } from 'node:fs';
import type { PlanItem } from '../plan/plan.ts';
import { Source } from '../transfer/source.ts';
import { hiddenArchive, stageArchive } from './archive.ts';
import { bring } from './bring.ts';
import { bringDecoded } from './decode.ts';
import type { StageContext } from './context.ts';
import { syncKept } from './keep.ts';
import { record, recordFile, sameBytes } from './record.ts';
import { unpackLocal } from './unpack-into.ts';

export function stageItem(context: StageContext, item: PlanItem): Promise<void> {
  if (item.how === 'keep') return syncKept(context, item.files);
  const source = new Source(context.fetcher, item.entry, context.transfer.signal);
  return item.how === 'fetch'
    ? stageFile(context, item, source)
    : stageUnpacked(context, item, source);
}

async function stageUnpacked(context: StageContext, item: PlanItem, source: Source): Promise<void> {
  if (await stageArchive(context, item, source)) return;
  context.claim(item.entry.path);
  await stageFile(context, item, source);
}

async function stageFile(context: StageContext, item: PlanItem, source: Source): Promise<void> {
  const { entry, id } = item;
  context.obstacles.check(
    entry.path,
    (_, stats) => entry.size === undefined || stats.size === entry.size || !!entry.encoding,
  );
  const file = context.staging.place(context.tree, entry.path);
  const done = await (entry.encoding === 'gzip' ? bringDecoded : bring)(context, source, file);
  const format = item.sole && context.unpack === 'auto' ? hiddenArchive(entry, file) : undefined;
  if (format) {
    context.release(entry.path);
    await unpackLocal(context, item, file, format);
    rmSync(file);
    record(context, item, 'archive', done.against);
    return;
  }
  context.obstacles.check(entry.path, sameBytes(done));
  record(context, item, item.how === 'unpack' ? 'lookalike' : 'file', done.against);
  recordFile(context, id, entry.path, file, done);
}
