/** An archive into a tree of its own in staging, and into the manifest to come. */
import { closeSync, constants, lstatSync, openSync, readdirSync, readSync } from 'node:fs';
import { join } from 'node:path';
import type { ArchiveFormat, Digest } from '../fetcher.ts';
import type { PlanItem } from '../plan/plan.ts';
import { syncFiles } from '../publish/durable.ts';
import { localBytes } from '../transfer/place-local.ts';
import { createThreads } from '../unpack/threads.ts';
import { badArchive } from '../unpack/refuse.ts';
import { defaultLimits, unpack, type ArchiveSource, type UnpackedFile } from '../unpack/unpack.ts';
import type { StageContext } from './context.ts';
import { record, recordFile, sameBytes } from './record.ts';

/** The archive at `path`, on this machine. */
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
        return Promise.resolve(bytes.subarray(0, readAt(fd, bytes, start)));
      },
      fill: (into, start) => {
        const got = readAt(fd, into, start);
        return got === into.length
          ? Promise.resolve()
          : Promise.reject(badArchive('it is shorter than it was'));
      },
    });
  } finally {
    closeSync(fd);
  }
}

/** Fills `into` from `position` on, as far as the file goes. */
function readAt(fd: number, into: Uint8Array, position: number): number {
  let at = 0;
  while (at < into.length) {
    const got = readSync(fd, into, at, into.length - at, position + at);
    if (got === 0) break;
    at += got;
  }
  return at;
}

/** Unpacks `source` and records its files; their whole is recorded by `recordArchive`, when it has been checked. */
export async function unpackInto(
  context: StageContext,
  item: PlanItem,
  format: ArchiveFormat,
  source: ArchiveSource,
): Promise<void> {
  const { staging, transfer } = context;
  const { entry, id } = item;
  const into = staging.newTree();
  const files: UnpackedFile[] = [];
  const threads = format === 'zip' ? createThreads() : undefined;
  const total = await unpack(source, {
    into,
    format,
    ...(entry.archive?.strip !== undefined && { strip: entry.archive.strip }),
    limits: defaultLimits,
    signal: transfer.signal,
    ...(threads && { threads }),
    onFile: (file) => {
      files.push(file);
    },
  }).finally(() => threads?.close());
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

/** The archive is whole and unpacked. */
export function recordArchive(
  context: StageContext,
  item: PlanItem,
  { size, crc, against }: { size: number; crc: Digest; against: readonly Digest[] },
): void {
  const { path } = item.entry;
  context.transfer.report({ type: 'verified', path, bytes: size, crc, against });
  record(context, item, 'archive', against);
}

/** Every folder below `root`, empty ones included: they are published too. Links are not followed. */
function* foldersIn(root: string, at = ''): Generator<{ path: string; empty: boolean }> {
  const inside = readdirSync(join(root, at), { withFileTypes: true });
  if (at !== '') yield { path: at, empty: inside.length === 0 };
  for (const entry of inside) if (entry.isDirectory()) yield* foldersIn(root, join(at, entry.name));
}
