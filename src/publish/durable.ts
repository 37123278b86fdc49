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
import { onDisk } from '../disk.ts';

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

/** Directories open at a time: a model may have more of them than a process may have descriptors. */
const SYNCS = 32;

/** The same for many, side by side. */
export async function syncDirectories(paths: Iterable<string>): Promise<void> {
  const queue = [...paths];
  const lane = async (): Promise<void> => {
    for (let path = queue.pop(); path !== undefined; path = queue.pop()) await syncOne(path);
  };
  await Promise.all(Array.from({ length: SYNCS }, lane));
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
