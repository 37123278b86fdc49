/** One entry of the plan becomes files in staging: copied, downloaded or unpacked, and checked. */
import { closeSync, constants, lstatSync, openSync, readSync, rmSync, type Stats } from 'node:fs';
import { basename, join } from 'node:path';
import { drain } from './drain.ts';
import { ModelFetchError } from './errors.ts';
import type { ArchiveFormat, Digest, Entry, Fetcher } from './fetcher.ts';
import type { LinkMode } from './options.ts';
import type { PlanItem } from './plan/plan.ts';
import type { Obstacles } from './publish/in-the-way.ts';
import type { ManifestEntry, ManifestFile } from './publish/manifest.ts';
import type { Staging } from './publish/staging.ts';
import { crcOfFile, crcOfFileSync } from './publish/verify.ts';
import { download, type Downloaded } from './transfer/download.ts';
import { inOrder } from './transfer/in-order.ts';
import { localBytes, placeLocal } from './transfer/place-local.ts';
import type { Transfer } from './transfer/read.ts';
import { Source } from './transfer/source.ts';
import { archiveFormat } from './unpack/format.ts';
import { defaultLimits, unpack, type ArchiveSource, type UnpackedFile } from './unpack/unpack.ts';
import { checkedStream } from './verify/checked-stream.ts';

/** What staging one source of a target needs. */
export interface StageContext {
  readonly transfer: Transfer;
  readonly fetcher: Fetcher;
  /** Index and name of the source in the manifest. */
  readonly source: number;
  readonly from: string;
  readonly staging: Staging;
  /** Where plain files of all sources go. */
  readonly tree: string;
  readonly obstacles: Obstacles;
  readonly required: readonly Digest[];
  readonly link: LinkMode;
  readonly unpack: 'auto' | 'never';
  /** Ranges of one file at a time. */
  readonly width: number;
  /** Paths that archives bring must not collide with others. */
  claim(path: string): void;
  /** Called for every file that will be published. */
  onFile(file: { size: number; kept: boolean }): void;
}

/** Bytes looked at to tell an archive. */
const HEAD = 1024;

export async function stageItem(context: StageContext, item: PlanItem): Promise<void> {
  if (item.how === 'keep') {
    record(context, item, item.previous.as, item.previous.against ?? []);
    for (const file of item.files) {
      context.staging.files.line({ file: { ...file, entry: item.id } });
      context.onFile({ size: file.size, kept: true });
    }
    return;
  }
  const source = new Source(context.fetcher, item.entry, context.transfer.signal);
  if (item.how === 'unpack') await stageArchive(context, item, source);
  else await stageFile(context, item, source);
}

async function stageFile(context: StageContext, item: PlanItem, source: Source): Promise<void> {
  const { entry, id } = item;
  context.obstacles.check(
    entry.path,
    (_, stats) => entry.size === undefined || stats.size === entry.size,
  );
  const file = context.staging.place(context.tree, entry.path);
  const done = await bring(context, source, file);
  const format = item.sole && context.unpack === 'auto' ? hiddenArchive(entry, file) : undefined;
  if (format) {
    await unpackLocal(context, item, file, format);
    rmSync(file);
    record(context, item, 'archive', done.against);
    return;
  }
  context.obstacles.check(entry.path, sameBytes(done));
  record(context, item, 'file', done.against);
  recordFile(context, id, entry.path, file, done);
}

/** The file at `to`, whole and checked: from an interrupted run, this machine, or the network. */
async function bring(
  context: StageContext,
  source: Source,
  to: string,
): Promise<Downloaded & { link?: string }> {
  const { staging, transfer, required } = context;
  const { entry } = source;
  const key = resumeKey(context, entry);
  const location = await source.location();
  if (location.kind === 'file') {
    const placed = await placeLocal(entry, location.path, to, context.link, transfer.signal);
    transfer.report({ type: 'progress', path: entry.path, bytes: placed.size });
    const against = await checkPlaced(context, entry, to, required);
    return {
      size: placed.size,
      crc32: placed.crc32 ?? '',
      against,
      ...(placed.link !== undefined && { link: placed.link }),
    };
  }
  const leftover = key === undefined ? undefined : staging.adopt(key, to);
  if (leftover?.done && key !== undefined) {
    const resumed = await finished(entry, to, leftover.done, required);
    if (resumed) {
      staging.noteDone(key, to, resumed);
      return reportVerified(transfer, entry, resumed);
    }
  }
  if (leftover && (leftover.done !== undefined || leftover.ranges.length === 0))
    rmSync(to, { force: true });
  const journal =
    key === undefined
      ? undefined
      : {
          done: leftover?.done ? [] : (leftover?.ranges ?? []),
          note: (range: { start: number; end: number }, crc32: number) => {
            staging.noteRange(key, to, range, crc32);
          },
        };
  const done = await download(transfer, source, to, required, context.width, journal);
  if (key !== undefined) staging.noteDone(key, to, done);
  return reportVerified(transfer, entry, done);
}

/** Only what has a version can be resumed by another run. */
function resumeKey(context: StageContext, entry: Entry): string | undefined {
  if (entry.version === undefined || entry.size === undefined) return undefined;
  return JSON.stringify([context.from, entry.path, entry.version, entry.size]);
}

/** A file that an earlier run had finished: believed if its bytes still say so. */
async function finished(
  entry: Entry,
  file: string,
  done: { crc32: string; against: readonly Digest[] },
  required: readonly Digest[],
): Promise<Downloaded | undefined> {
  if (
    lstatSync(file).size !== entry.size ||
    !required.every((digest) => done.against.includes(digest))
  )
    return undefined;
  return (await crcOfFile(file)) === done.crc32 ? { size: entry.size, ...done } : undefined;
}

/** A local file is checked only when somebody vouches for its digest: its own disk is not asked twice otherwise. */
async function checkPlaced(
  context: StageContext,
  entry: Entry,
  file: string,
  required: readonly Digest[],
): Promise<readonly Digest[]> {
  const declared = entry.digests ?? [];
  if (required.length === 0 && declared.length === 0) return [];
  const checked = checkedStream(
    localBytes(entry, file, context.transfer.signal),
    required,
    () => declared,
    { uri: context.fetcher.uri, path: entry.path },
  );
  await drain(checked.bytes);
  return checked.result().against;
}

function reportVerified(transfer: Transfer, entry: Entry, done: Downloaded): Downloaded {
  transfer.report({
    type: 'verified',
    path: entry.path,
    bytes: done.size,
    crc32: done.crc32,
    against: done.against,
  });
  return done;
}

/** A sole file whose name says nothing may be an archive by its content. */
function hiddenArchive(entry: Entry, file: string): ArchiveFormat | undefined {
  return archiveFormat(basename(entry.path), headOf(file));
}

/** A tar is unpacked while it arrives. A zip has its table of contents at the end: it is put on disk first. */
async function stageArchive(context: StageContext, item: PlanItem, source: Source): Promise<void> {
  const { entry } = item;
  const { transfer, fetcher, required } = context;
  const location = await source.location();
  if (location.kind === 'file') {
    const format = entry.archive?.format ?? mustBeArchive(context, entry, headOf(location.path));
    const against = await checkPlaced(context, entry, location.path, required);
    await unpackLocal(context, item, location.path, format);
    record(context, item, 'archive', against);
    return;
  }
  let learnt: readonly Digest[] = [];
  const bytes = inOrder(transfer, source, (digests) => {
    learnt = digests;
  });
  const checked = checkedStream(bytes, required, () => [...(entry.digests ?? []), ...learnt], {
    uri: fetcher.uri,
    path: entry.path,
  });
  const peeked = await peek(checked.bytes, HEAD);
  const format = entry.archive?.format ?? mustBeArchive(context, entry, peeked.head);
  if (format === 'zip') {
    await checked.bytes.return(undefined);
    await stageZip(context, item, source);
    return;
  }
  await unpackInto(context, item, format, {
    name: entry.path,
    uri: fetcher.uri,
    ...(entry.size !== undefined && { size: entry.size }),
    stream: () => peeked.rest,
  });
  // An unpacker may stop at its own end mark: the digest is of every byte.
  await drain(checked.bytes);
  const { size, crc32, against } = checked.result();
  transfer.report({ type: 'verified', path: entry.path, bytes: size, crc32, against });
  record(context, item, 'archive', against);
}

async function stageZip(context: StageContext, item: PlanItem, source: Source): Promise<void> {
  const spool = join(context.staging.dir, `archive-${String(item.id)}`);
  const done = await bring(context, source, spool);
  await unpackLocal(context, item, spool, 'zip');
  rmSync(spool);
  record(context, item, 'archive', done.against);
}

function mustBeArchive(context: StageContext, entry: Entry, head: Uint8Array): ArchiveFormat {
  const format = archiveFormat(basename(entry.path), head);
  if (format) return format;
  throw new ModelFetchError('BAD_ARCHIVE', `${entry.path} is named like an archive, but is none`, {
    uri: context.fetcher.uri,
    path: entry.path,
    hint: 'Check what the source holds (an error page?), or pass --unpack never.',
  });
}

function headOf(path: string): Uint8Array {
  const fd = openSync(path, constants.O_RDONLY);
  try {
    const head = Buffer.alloc(HEAD);
    return head.subarray(0, readSync(fd, head, 0, HEAD, 0));
  } finally {
    closeSync(fd);
  }
}

async function unpackLocal(
  context: StageContext,
  item: PlanItem,
  path: string,
  format: ArchiveFormat,
): Promise<void> {
  const { entry } = item;
  const fd = openSync(path, constants.O_RDONLY);
  try {
    const { size } = lstatSync(path);
    await unpackInto(context, item, format, {
      name: entry.path,
      uri: context.fetcher.uri,
      size,
      stream: () => localBytes(entry, path, context.transfer.signal),
      read: (start, end) => {
        const bytes = Buffer.allocUnsafe(end - start);
        let at = 0;
        while (at < bytes.length) {
          const got = readSync(fd, bytes, at, bytes.length - at, start + at);
          if (got === 0) break;
          at += got;
        }
        return Promise.resolve(bytes.subarray(0, at));
      },
    });
  } finally {
    closeSync(fd);
  }
}

async function unpackInto(
  context: StageContext,
  item: PlanItem,
  format: ArchiveFormat,
  source: ArchiveSource,
): Promise<void> {
  const { staging, transfer } = context;
  const { entry, id } = item;
  const into = staging.newTree();
  const files: UnpackedFile[] = [];
  const total = await unpack(source, {
    into,
    format,
    ...(entry.archive?.strip !== undefined && { strip: entry.archive.strip }),
    limits: defaultLimits,
    signal: transfer.signal,
    onFile: (file) => {
      files.push(file);
    },
  });
  for (const file of files) {
    context.claim(file.path);
    context.obstacles.check(file.path, sameBytes(file));
    recordFile(context, id, file.path, join(into, file.path), file);
  }
  transfer.report({
    type: 'unpacked',
    path: entry.path,
    format,
    files: total.files,
    bytes: total.bytes,
  });
}

/** A foreign file of the very same bytes is no obstacle. */
function sameBytes(file: {
  size: number;
  crc32?: string;
}): (existing: string, stats: Stats) => boolean {
  return (existing, stats) =>
    stats.size === file.size && file.crc32 !== undefined && crcOfFileSync(existing) === file.crc32;
}

function recordFile(
  context: StageContext,
  id: number,
  path: string,
  file: string,
  done: { size: number; crc32?: string; link?: string },
): void {
  const stats = lstatSync(file, { bigint: true });
  const line: ManifestFile = {
    path,
    size: done.size,
    ...(done.crc32 !== undefined && done.crc32 !== '' && { crc32: done.crc32 }),
    ...(done.link !== undefined && { link: done.link }),
    mtimeNs: String(stats.mtimeNs),
    ino: String(stats.ino),
    entry: id,
  };
  context.staging.files.line({ file: line });
  context.onFile({ size: done.size, kept: false });
}

function record(
  context: StageContext,
  item: PlanItem,
  as: ManifestEntry['as'],
  against: readonly Digest[],
): void {
  const { path, size, version } = item.entry;
  const line: ManifestEntry = {
    id: item.id,
    source: context.source,
    path,
    ...(size !== undefined && { size }),
    ...(version !== undefined && { version }),
    as,
    ...(against.length > 0 && { against }),
  };
  context.staging.entries.line({ entry: line });
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
