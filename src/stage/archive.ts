/** A model that is one archive: told by name and content, checked as a whole, unpacked into a tree of its own. */
import { basename } from 'node:path';
import { drain } from '../drain.ts';
import type { ArchiveFormat, Digest, Entry } from '../fetcher.ts';
import type { PlanItem } from '../plan/plan.ts';
import { inOrder } from '../transfer/in-order.ts';
import type { Source } from '../transfer/source.ts';
import { archiveFormat } from '../unpack/format.ts';
import { checkedStream } from '../verify/checked-stream.ts';
import { formatOf, HEAD, headOf } from './archive-format.ts';
import { checkPlaced } from './bring.ts';
import type { StageContext } from './context.ts';
import { record } from './record.ts';
import { recordArchive, unpackInto, unpackLocal } from './unpack-into.ts';
import { isCalledZip, stageCalledZip, stageZip } from './zip.ts';

/** A sole file whose name says nothing may be an archive by its content. */
export function hiddenArchive(entry: Entry, file: string): ArchiveFormat | undefined {
  return archiveFormat(basename(entry.path), headOf(file));
}

/**
 * A tar is unpacked while it arrives. A zip has its table of contents at the end: it is read by ranges, or put on disk first
 * where there are none. False: it is a file like any other after all.
 */
export async function stageArchive(
  context: StageContext,
  item: PlanItem,
  source: Source,
): Promise<boolean> {
  const { entry } = item;
  const { transfer, fetcher, required } = context;
  const location = await source.location();
  if (location.kind === 'file') {
    const format = formatOf(context, entry, headOf(location.path));
    if (!format) return false;
    const against = await checkPlaced(context, entry, location.path, required);
    await unpackLocal(context, item, location.path, format);
    record(context, item, 'archive', against);
    return true;
  }
  if (isCalledZip(entry)) {
    const staged = await stageCalledZip(context, item, source);
    if (staged !== undefined) return staged;
  }
  let learnt: readonly Digest[] = [];
  const bytes = inOrder(transfer, source, (digests) => {
    learnt = [...learnt, ...digests];
  });
  const checked = checkedStream(
    bytes,
    required,
    () => [...(entry.digests ?? []), ...learnt],
    { uri: fetcher.uri, path: entry.path },
    await source.parts(),
  );
  const peeked = await peek(checked.bytes, HEAD);
  const format = formatOf(context, entry, peeked.head);
  if (format === undefined || format === 'zip') {
    await checked.bytes.return(undefined);
    if (format === 'zip') await stageZip(context, item, source);
    return format === 'zip';
  }
  try {
    await unpackInto(context, item, format, {
      name: entry.path,
      uri: fetcher.uri,
      ...(entry.size !== undefined && { size: entry.size }),
      stream: () => peeked.rest,
    });
    // An unpacker may stop at its own end mark: the digest is of every byte.
    await drain(checked.bytes);
  } catch (error) {
    // Whoever still reads for us is let go. Not awaited: it ends with the run's signal at the latest.
    void checked.bytes.return(undefined).catch(() => undefined);
    throw error;
  }
  recordArchive(context, item, checked.result());
  return true;
}

/** At least `least` first bytes, and the whole stream again from its start. */
async function peek(
  bytes: AsyncGenerator<Uint8Array>,
  least: number,
): Promise<{ head: Buffer; rest: AsyncGenerator<Uint8Array> }> {
  const held: Buffer[] = [];
  let length = 0;
  while (length < least) {
    const step = await bytes.next();
    if (step.done === true) break;
    held.push(Buffer.from(step.value));
    length += step.value.length;
  }
  const head = Buffer.concat(held);
  async function* rest(): AsyncGenerator<Uint8Array> {
    yield head;
    // Not `for await`: the caller reads on to the very end after the unpacker has stopped.
    for (let step = await bytes.next(); step.done !== true; step = await bytes.next())
      yield step.value;
  }
  return { head, rest: rest() };
}
