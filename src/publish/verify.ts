/** Published files against the manifest. */
import {
  closeSync,
  constants,
  existsSync,
  lstatSync,
  openSync,
  readlinkSync,
  readSync,
  type BigIntStats,
} from 'node:fs';
import { join, resolve } from 'node:path';
import { ModelFetchError } from '../errors.ts';
import type { Digest } from '../fetcher.ts';
import { isCredible } from './durability.ts';
import { readManifest, type ManifestFile, type ManifestHeader } from './manifest.ts';
import { OWN } from '../plan/path.ts';
import { continueCrc, crcAlgorithm, crcDigest } from '../verify/crc.ts';

/**
 * How a run asks whether a file is still what `header` speaks of: by a cheap look, and by its bytes where that does not
 * convince. After a crash of the kernel size, time and inode may be right and the bytes lost: then only the bytes count.
 * A look that convinces is answered at once: there may be one for each of a million files.
 */
export function untouchedIn(
  target: string,
  header: ManifestHeader | undefined,
  boot: string | undefined,
  signal: AbortSignal,
): (file: ManifestFile) => boolean | Promise<boolean> {
  const credible = header !== undefined && isCredible(header, boot);
  return (file) =>
    (credible && looksUntouched(target, file)) || bytesUntouched(target, file, signal);
}

/** Whether a file is what was published, by a cheap look: kind, size, time and inode. */
function looksUntouched(target: string, file: ManifestFile): boolean {
  const stats = statOf(target, file);
  return (
    stats !== undefined && String(stats.mtimeNs) === file.mtimeNs && String(stats.ino) === file.ino
  );
}

/** Whether its bytes are what was published. A linked file has no CRC of ours: its size and time must do. */
export async function bytesUntouched(
  target: string,
  file: ManifestFile,
  signal?: AbortSignal,
): Promise<boolean> {
  const stats = statOf(target, file);
  if (!stats) return false;
  if (file.link !== undefined) return true;
  if (file.crc === undefined) return String(stats.mtimeNs) === file.mtimeNs;
  return hasCrc(join(target, file.path), file.crc, signal);
}

/** Every file of `dest` against its manifest. Throws `NOT_FOUND` without one, `TARGET_CHANGED` naming the first that differs. */
export async function verify(
  dest: string,
  options: { manifest?: string; signal?: AbortSignal } = {},
): Promise<{ files: number; bytes: number; manifest: string }> {
  const target = resolve(dest);
  const path = resolve(options.manifest ?? join(target, OWN, 'manifest.jsonl'));
  const manifest = existsSync(path) ? await readManifest(path) : undefined;
  if (!manifest)
    throw new ModelFetchError('NOT_FOUND', `${dest} has no current manifest`, {
      path,
      hint: 'Nothing was published there, or a publish was interrupted: run the fetch again.',
    });
  if (!manifest.header) throw new ModelFetchError('TARGET_CHANGED', `${path} is damaged`, { path });
  let bytes = 0;
  for (const file of manifest.files.values()) {
    options.signal?.throwIfAborted();
    if (!(await bytesUntouched(target, file, options.signal)))
      throw new ModelFetchError('TARGET_CHANGED', `${file.path} differs from the manifest`, {
        path: file.path,
        hint: 'Fetch again: it repairs what differs.',
      });
    bytes += file.size;
  }
  return { files: manifest.files.size, bytes, manifest: path };
}

/** Undefined unless it is there, of the right kind and size. */
function statOf(target: string, file: ManifestFile): BigIntStats | undefined {
  const path = `${target}/${file.path}`;
  try {
    const stats = lstatSync(path, { bigint: true, throwIfNoEntry: false });
    if (!stats) return undefined;
    if (file.link !== undefined)
      return stats.isSymbolicLink() && readlinkSync(path) === file.link ? stats : undefined;
    return stats.isFile() && stats.size === BigInt(file.size) ? stats : undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOTDIR') return undefined;
    throw error;
  }
}

/** Whether a regular file has this CRC; never through a link. Lets others have their turn every 16 MiB. */
export async function hasCrc(path: string, crc: Digest, signal?: AbortSignal): Promise<boolean> {
  const steps = crcSteps(path, crc);
  for (;;) {
    const { done, value } = steps.next();
    if (done === true) return value === crc;
    signal?.throwIfAborted();
    await new Promise(setImmediate);
  }
}

/** The same at one go, for a file that is compared in passing. */
export function hasCrcSync(path: string, crc: Digest): boolean {
  const steps = crcSteps(path, crc);
  for (;;) {
    const { done, value } = steps.next();
    if (done === true) return value === crc;
  }
}

/** The CRC of the file by the algorithm of `like`. */
function* crcSteps(path: string, like: Digest): Generator<undefined, Digest | undefined> {
  const algorithm = crcAlgorithm(like);
  if (algorithm === undefined) return undefined;
  const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const buffer = Buffer.allocUnsafe(1024 * 1024);
    let value = 0n;
    for (let round = 1; ; round++) {
      const got = readSync(fd, buffer, 0, buffer.length, null);
      if (got === 0) return crcDigest(algorithm, value);
      value = continueCrc(algorithm, value, buffer.subarray(0, got));
      if (round % 16 === 0) yield;
    }
  } finally {
    closeSync(fd);
  }
}
