/** The manifest that model-fetch writes last: while it is there and whole, so is the model beside it. */
import { open, readFile, stat, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';

const TAIL = 4096;
/** New with every start of the kernel; random(4). */
const BOOT = '/proc/sys/kernel/random/boot_id';

/**
 * What tells this publication from the next one; undefined while there is none, while one is under way, and after a restart of
 * the machine until model-fetch has looked after files that were never synced.
 * `directory` holds the model.
 */
export async function publication(directory: string): Promise<string | undefined> {
  const path = join(directory, '.model-fetch', 'manifest.jsonl');
  try {
    const { ino, mtimeNs, size } = await stat(path, { bigint: true });
    await using file = await open(path);
    const current = (await endsWhole(file)) && (await isOfThisBoot(file));
    return current ? `${ino}:${mtimeNs}:${size}` : undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** A manifest without its last line is not whole. */
async function endsWhole(file: FileHandle): Promise<boolean> {
  const { size } = await file.stat();
  const { buffer, bytesRead } = await file.read({
    buffer: Buffer.alloc(TAIL),
    position: Math.max(0, size - TAIL),
  });
  const last = buffer.toString('utf8', 0, bytesRead).trimEnd().split('\n').at(-1) ?? '';
  try {
    return typeof (JSON.parse(last) as { end?: { files?: unknown } }).end?.files === 'number';
  } catch {
    return false;
  }
}

/** One that names a boot speaks of files that may not have reached the disk before that boot ended. */
async function isOfThisBoot(file: FileHandle): Promise<boolean> {
  const boot = await bootOf(file);
  if (boot === undefined || boot === 'unknown') return true;
  const present = await readFile(BOOT, 'utf8').catch(() => undefined);
  return present === undefined || present.trim() === boot;
}

/** `boot` of the header, which is the first line. */
async function bootOf(file: FileHandle): Promise<string | undefined> {
  const lines = file.readLines({ start: 0, autoClose: false });
  for await (const line of lines) {
    try {
      return (JSON.parse(line) as { boot?: string }).boot;
    } finally {
      lines.close();
    }
  }
  return undefined;
}
