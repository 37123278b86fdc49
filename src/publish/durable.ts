/** Small files and directory entries that must survive a power cut. */
import {
  close,
  closeSync,
  constants,
  fsync,
  fsyncSync,
  open,
  openSync,
  renameSync,
  unlinkSync,
  writeSync,
  copyFileSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { asDiskError, onDisk } from '../disk.ts';

/** Replaces `path` with `text` at once: written beside it, synced, renamed, and the rename synced. */
export function writeDurably(path: string, text: string): void {
  const temporary = `${path}.tmp`;
  onDisk(path, () => {
    const fd = openSync(
      temporary,
      constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_NOFOLLOW,
      0o644,
    );
    try {
      writeSync(fd, text);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(temporary, path);
  });
  syncDirectory(dirname(path));
}

/** Moves a synced file, also to another file system, where it appears whole or not at all. */
export function moveDurably(from: string, to: string): void {
  onDisk(to, () => {
    try {
      renameSync(from, to);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EXDEV') throw error;
      const temporary = `${to}.tmp`;
      copyFileSync(from, temporary);
      const fd = openSync(temporary, 'r+');
      fsyncSync(fd);
      closeSync(fd);
      renameSync(temporary, to);
      unlinkSync(from);
    }
  });
  syncDirectory(dirname(to));
}

/** Makes renames and creations inside `path` durable. */
export function syncDirectory(path: string): void {
  const fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    fsyncSync(fd);
  } catch (error) {
    tolerate(error);
  } finally {
    closeSync(fd);
  }
}

const [openAsync, syncAsync, closeAsync] = [promisify(open), promisify(fsync), promisify(close)];

/** Open at a time: a model may have more files and folders than a process may have descriptors. */
const SYNCS = 32;

/** The same for many, side by side. */
export async function syncDirectories(paths: Iterable<string>): Promise<void> {
  await sideBySide(paths, syncOne);
}

/** Makes the bytes of regular files durable, side by side. */
export async function syncFiles(paths: Iterable<string>): Promise<void> {
  await sideBySide(paths, syncFile);
}

async function sideBySide(
  paths: Iterable<string>,
  work: (path: string) => Promise<void>,
): Promise<void> {
  const queue = [...paths];
  const lane = async (): Promise<void> => {
    for (let path = queue.pop(); path !== undefined; path = queue.pop()) await work(path);
  };
  await Promise.all(Array.from({ length: SYNCS }, lane));
}

async function syncFile(path: string): Promise<void> {
  const { O_RDWR, O_RDONLY, O_NOFOLLOW } = constants;
  try {
    // SMB passes over a sync of what is not open for writing; a link's source may be readable only.
    const fd = await openAsync(path, O_RDWR | O_NOFOLLOW).catch(() =>
      openAsync(path, O_RDONLY | O_NOFOLLOW),
    );
    try {
      await syncAsync(fd);
    } finally {
      await closeAsync(fd);
    }
  } catch (error) {
    // Some network file systems have no fsync for files; their close is what counts.
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'EINVAL' && code !== 'ENOTSUP') throw asDiskError(error, path);
  }
}

async function syncOne(path: string): Promise<void> {
  const fd = await openAsync(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await syncAsync(fd);
  } catch (error) {
    tolerate(error);
  } finally {
    await closeAsync(fd);
  }
}

/** Some network and FUSE file systems cannot sync a directory; they promise nothing we could wait for. */
function tolerate(error: unknown): void {
  const { code } = error as NodeJS.ErrnoException;
  if (
    code !== 'EINVAL' &&
    code !== 'ENOTSUP' &&
    code !== 'EBADF' &&
    code !== 'EISDIR' &&
    code !== 'EACCES'
  )
    throw error;
}
