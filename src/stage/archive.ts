/** A model that is one archive: told by name and content, checked as a whole, unpacked into a tree of its own. */
import { closeSync, constants, lstatSync, openSync, readdirSync, readSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { drain } from '../drain.ts';
import { ModelFetchError } from '../errors.ts';
import type { ArchiveFormat, Digest, Entry } from '../fetcher.ts';
import type { PlanItem } from '../plan/plan.ts';
import { syncFiles } from '../publish/durable.ts';
import { inOrder } from '../transfer/in-order.ts';
import { localBytes } from '../transfer/place-local.ts';
import type { Source } from '../transfer/source.ts';
import { archiveFormat, formatForKserve } from '../unpack/format.ts';
import { defaultLimits, unpack, type ArchiveSource, type UnpackedFile } from '../unpack/unpack.ts';
import { checkedStream } from '../verify/checked-stream.ts';
import { bring, checkPlaced } from './bring.ts';
import type { StageContext } from './context.ts';
import { record, recordFile, sameBytes } from './record.ts';

/** Bytes looked at to tell an archive. */
const HEAD = 1024;

/** A sole file whose name says nothing may be an archive by its content. */
export function hiddenArchive(entry: Entry, file: string): ArchiveFormat | undefined {
  return archiveFormat(basename(entry.path), headOf(file));
}

/**
 * A tar is unpacked while it arrives. A zip has its table of contents at the end: it is put on disk first. False: it is a file
 * like any other after all.
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
  let learnt: readonly Digest[] = [];
  const bytes = inOrder(transfer, source, (digests) => {
    learnt = [...learnt, ...digests];
  });
  const checked = checkedStream(bytes, required, () => [...(entry.digests ?? []), ...learnt], {
    uri: fetcher.uri,
    path: entry.path,
  });
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
  const { size, crc, against } = checked.result();
  transfer.report({ type: 'verified', path: entry.path, bytes: size, crc, against });
  record(context, item, 'archive', against);
  return true;
}

async function stageZip(context: StageContext, item: PlanItem, source: Source): Promise<void> {
  const spool = join(context.staging.dir, `archive-${String(item.id)}`);
  // It goes as soon as it is unpacked: no reason to wait for the disk.
  const transfer = { ...context.transfer, sync: false };
  const done = await bring({ ...context, transfer }, source, spool);
  await unpackLocal(context, item, spool, 'zip');
  rmSync(spool);
  record(context, item, 'archive', done.against);
}

/** Undefined: named like an archive, but known to be something else under such names, and left as it is. */
function formatOf(
  context: StageContext,
  entry: Entry,
  head: Uint8Array,
): ArchiveFormat | undefined {
  const { archive, path } = entry;
  const name = entry.named ?? basename(path);
  const details = {
    uri: context.fetcher.uri,
    path,
    hint: 'Check what the source holds (an error page?), or pass --unpack never.',
  };
  try {
    const told = context.unpack === 'kserve' ? formatForKserve : archiveFormat;
    const format = archive?.format ?? told(name, head);
    if (format !== undefined || archive === undefined) return format;
  } catch (error) {
    throw new ModelFetchError('BAD_ARCHIVE', (error as Error).message, {
      ...details,
      cause: error,
    });
  }
  throw new ModelFetchError('BAD_ARCHIVE', `${path} is no archive`, details);
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

export async function unpackLocal(
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
  for (const { path, empty } of foldersIn(into)) {
    context.obstacles.checkFolder(path);
    if (transfer.sync) staging.addFolder(join(into, path));
    if (empty) staging.files.line({ folder: { path, entry: id } });
  }
  if (transfer.sync)
    await syncFiles(
      files.filter(({ link }) => link === undefined).map(({ path }) => join(into, path)),
    );
  for (const file of files) {
    context.claim(file.path);
    const written = { ...file, crc: `crc32:${file.crc32}` as const };
    context.obstacles.check(file.path, sameBytes(written));
    recordFile(context, id, file.path, join(into, file.path), written);
  }
  transfer.report({
    type: 'unpacked',
    path: entry.path,
    format,
    files: total.files,
    bytes: total.bytes,
  });
}

/** Every folder below `root`, empty ones included: they are published too. Links are not followed. */
function* foldersIn(root: string, at = ''): Generator<{ path: string; empty: boolean }> {
  const inside = readdirSync(join(root, at), { withFileTypes: true });
  if (at !== '') yield { path: at, empty: inside.length === 0 };
  for (const entry of inside) if (entry.isDirectory()) yield* foldersIn(root, join(at, entry.name));
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
