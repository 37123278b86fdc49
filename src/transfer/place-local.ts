/** Files that already lie on this machine: reflinked, linked or copied into staging instead of streamed. */
import {
  constants,
  copyFileSync,
  fstatSync,
  linkSync,
  openSync,
  closeSync,
  readSync,
  realpathSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { onDisk } from '../disk.ts';
import { ModelFetchError } from '../errors.ts';
import type { Digest, Entry } from '../fetcher.ts';
import type { LinkMode } from '../options.ts';
import { continueCrc, crcDigest } from '../verify/crc.ts';
import { copyBytes } from './copy-file.ts';
import { PartFile } from './part-file.ts';

/** How a file came to be in staging. A link has no CRC: its bytes were not read, and stay the source's own. */
export interface Placed {
  readonly size: number;
  readonly crc?: Digest;
  readonly how: 'reflink' | 'copy' | 'hard' | 'symlink';
  readonly link?: string;
}

/** Places `from` at `to`. A hard link that crosses file systems becomes a copy, which the result says. */
export async function placeLocal(
  entry: Entry,
  from: string,
  to: string,
  mode: LinkMode,
  { signal, threads }: { signal: AbortSignal; threads: boolean },
): Promise<Placed> {
  const size = sourceSize(entry, from);
  if (mode === 'symlink') {
    const link = realpathSync.native(from);
    onDisk(to, () => {
      symlinkSync(link, to);
    });
    return { size, how: 'symlink', link };
  }
  if (mode === 'hard' && tryLink(from, to)) return { size, how: 'hard' };
  if (mode === 'auto' && tryReflink(from, to))
    return { size, how: 'reflink', crc: await crcOf(to, signal) };
  return copy(entry, from, to, threads, signal);
}

function sourceSize(entry: Entry, from: string): number {
  const { size } = onSource(entry, from, () => statSync(from));
  if (entry.size !== undefined && size !== entry.size) throw changed(entry, from);
  return size;
}

function tryLink(from: string, to: string): boolean {
  try {
    linkSync(realpathSync.native(from), to);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EXDEV' || code === 'EPERM' || code === 'EMLINK' || code === 'ENOTSUP')
      return false;
    throw error;
  }
}

function tryReflink(from: string, to: string): boolean {
  try {
    copyFileSync(from, to, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE_FORCE);
    return true;
  } catch {
    // Not on this file system, or not across these two: the plain copy below says what is wrong, if anything is.
    return false;
  }
}

async function crcOf(path: string, signal: AbortSignal): Promise<Digest> {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    let value = 0n;
    for await (const piece of readPieces(fd, signal)) value = continueCrc('crc32', value, piece);
    return crcDigest('crc32', value);
  } finally {
    closeSync(fd);
  }
}

/** What is summed is what is written. A source that is written to meanwhile shows by its size or time. */
async function copy(
  entry: Entry,
  from: string,
  to: string,
  threads: boolean,
  signal: AbortSignal,
): Promise<Placed> {
  const source = onSource(entry, from, () =>
    openSync(from, constants.O_RDONLY | constants.O_NONBLOCK),
  );
  try {
    const before = fstatSync(source, { bigint: true });
    if (!before.isFile()) throw changed(entry, from);
    const file = new PartFile(to);
    try {
      const size = Number(before.size);
      const copying = { source, target: file.fd, path: to, size };
      const { bytes, crc32 } = await copyBytes(copying, threads, signal);
      const after = fstatSync(source, { bigint: true });
      const ended = bytes === size && readSync(source, Buffer.alloc(1), 0, 1, size) === 0;
      if (after.mtimeNs !== before.mtimeNs || after.size !== before.size || !ended)
        throw changed(entry, from);
      await file.finish();
      return { size: bytes, crc: crcDigest('crc32', crc32), how: 'copy' };
    } finally {
      file.close();
    }
  } finally {
    closeSync(source);
  }
}

/** Bytes. */
const PIECE = 256 * 1024;

async function* readPieces(fd: number, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const buffer = Buffer.allocUnsafe(PIECE);
  for (let sinceYield = 0; ; sinceYield++) {
    signal.throwIfAborted();
    const got = readSync(fd, buffer, 0, buffer.length, null);
    if (got === 0) return;
    yield buffer.subarray(0, got);
    // Signals and other files get their turn every 16 MiB.
    if (sinceYield % 64 === 63) await new Promise(setImmediate);
  }
}

/** The bytes of a local archive in order. */
export async function* localBytes(
  entry: Entry,
  path: string,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const fd = onSource(entry, path, () => openSync(path, constants.O_RDONLY | constants.O_NONBLOCK));
  try {
    yield* readPieces(fd, signal);
  } finally {
    closeSync(fd);
  }
}

function onSource<T>(entry: Entry, from: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') throw changed(entry, from, error);
    if (code === 'EACCES' || code === 'EPERM')
      throw new ModelFetchError('PERMISSION_DENIED', `cannot read ${from}`, {
        path: entry.path,
        cause: error,
        hint: 'Check the owner and mode of the source.',
      });
    throw error;
  }
}

function changed(entry: Entry, from: string, cause?: unknown): ModelFetchError {
  return new ModelFetchError('SOURCE_CHANGED', `${from} changed while it was read`, {
    path: entry.path,
    cause,
  });
}
