/** A zip, whose table of contents is at its end: by ranges, in memory when it is small, by the disk when nothing else goes. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { drain } from '../drain.ts';
import { ModelFetchError } from '../errors.ts';
import type { Digest, Entry } from '../fetcher.ts';
import type { PlanItem } from '../plan/plan.ts';
import { inOrder } from '../transfer/in-order.ts';
import { RangeIgnored } from '../transfer/lane.ts';
import { read } from '../transfer/read.ts';
import type { Source } from '../transfer/source.ts';
import { checkedStream } from '../verify/checked-stream.ts';
import { isCrc } from '../verify/crc.ts';
import { chooseDigests } from '../verify/expected.ts';
import { algorithmOf } from '../verify/parts.ts';
import { formatOf, HEAD } from './archive-format.ts';
import { bring } from './bring.ts';
import type { StageContext } from './context.ts';
import { RangedZip } from './ranged-zip.ts';
import { record } from './record.ts';
import { recordArchive, unpackInto, unpackLocal } from './unpack-into.ts';

/** Bytes; a smaller zip is one plain GET into memory, whose answer may also bring the source's checksums. */
const IN_MEMORY = 16 * 1024 * 1024;

/** Whether it is worth asking for a zip by its end, before the first bytes say that it is one. */
export function isCalledZip({ archive, path, named = path }: Entry): boolean {
  return archive?.format === 'zip' || /\.zip$/i.test(named);
}

/** What is called a zip, without beginning to stream it. Undefined: it is none, or must be streamed. */
export async function stageCalledZip(
  context: StageContext,
  item: PlanItem,
  source: Source,
): Promise<boolean | undefined> {
  const { size, ranges } = item.entry;
  if (size === undefined) return undefined;
  if (size <= IN_MEMORY) return inMemory(context, item, source, size);
  if (ranges === false) return undefined;
  const head = Buffer.alloc(HEAD);
  try {
    await readInto(head, (sink) =>
      read(context.transfer, source, { range: { start: 0, end: HEAD }, sink }),
    );
  } catch (error) {
    if (error instanceof RangeIgnored) return undefined;
    throw error;
  }
  if (formatOf(context, item.entry, head) !== 'zip') return undefined;
  await stageZip(context, item, source);
  return true;
}

/** One that is known to be a zip. */
export async function stageZip(
  context: StageContext,
  item: PlanItem,
  source: Source,
): Promise<void> {
  const { size, ranges } = item.entry;
  const ofParts = algorithmOf(await source.parts());
  // Digests of parts that need order are found from what is on disk.
  if (size === undefined || ranges === false || (ofParts && !isCrc(ofParts))) {
    await fromDisk(context, item, source);
    return;
  }
  try {
    await byRanges(context, item, source);
  } catch (error) {
    if (!(error instanceof RangeIgnored)) throw error;
    await fromDisk(context, item, source);
  }
}

async function byRanges(context: StageContext, item: PlanItem, source: Source): Promise<void> {
  const { transfer, fetcher, required } = context;
  const against = chooseDigests(required, await declaredFor(source));
  const zip = new RangedZip(transfer, source, against, await source.parts());
  try {
    await unpackInto(context, item, 'zip', {
      name: item.entry.path,
      uri: fetcher.uri,
      stream: () => inOrder(transfer, source, () => undefined),
      size: zip.size,
      ordered: zip.ordered,
      read: zip.read,
      fill: zip.fill,
    });
    recordArchive(context, item, await zip.result());
  } finally {
    await zip.close();
  }
}

/** Whatever it turns out to be. False: no archive after all. */
async function inMemory(
  context: StageContext,
  item: PlanItem,
  source: Source,
  size: number,
): Promise<boolean> {
  const { entry } = item;
  const { transfer, fetcher, required } = context;
  const bytes = Buffer.allocUnsafe(size);
  let learnt: readonly Digest[] = [];
  const got = await readInto(bytes, (sink, restart) =>
    read(transfer, source, {
      onDigests: (digests) => {
        learnt = digests;
      },
      sink,
      restart,
    }),
  );
  if (got !== size)
    throw new ModelFetchError(
      'TRUNCATED',
      `${entry.path} ended at byte ${String(got)} of ${String(size)}`,
      { uri: fetcher.uri, path: entry.path },
    );
  const format = formatOf(context, entry, bytes.subarray(0, HEAD));
  if (!format) return false;
  const declared = [...(await declaredFor(source)), ...learnt];
  const details = { uri: fetcher.uri, path: entry.path };
  const inParts = await source.parts();
  const checked = checkedStream(once(bytes), required, () => declared, details, inParts);
  await drain(checked.bytes);
  await unpackInto(context, item, format, {
    name: entry.path,
    uri: fetcher.uri,
    size,
    stream: () => once(bytes),
    read: (start, end) => Promise.resolve(bytes.subarray(start, end)),
  });
  recordArchive(context, item, checked.result());
  return true;
}

async function fromDisk(context: StageContext, item: PlanItem, source: Source): Promise<void> {
  const spool = join(context.staging.dir, `archive-${String(item.id)}`);
  // It goes as soon as it is unpacked: no reason to wait for the disk.
  const transfer = { ...context.transfer, sync: false };
  const done = await bring({ ...context, transfer }, source, spool);
  await unpackLocal(context, item, spool, 'zip');
  rmSync(spool);
  record(context, item, 'archive', done.against);
}

/** What the entry and its location say. */
async function declaredFor(source: Source): Promise<readonly Digest[]> {
  const location = await source.location();
  const learnt = location.kind === 'http' ? (location.digests ?? []) : [];
  return [...(source.entry.digests ?? []), ...learnt];
}

/** Gathers in `bytes` what `reading` hands to its sink; answers how much that was. */
async function readInto(
  bytes: Buffer,
  reading: (sink: (chunk: Uint8Array) => void, restart: () => void) => Promise<void>,
): Promise<number> {
  let at = 0;
  const sink = (chunk: Uint8Array): void => {
    bytes.set(chunk, at);
    at += chunk.length;
  };
  await reading(sink, () => {
    at = 0;
  });
  return at;
}

// eslint-disable-next-line @typescript-eslint/require-await -- a stream of what is already here
async function* once(bytes: Buffer): AsyncGenerator<Uint8Array> {
  yield bytes;
}
