/** The manifest that model-fetch writes last: while it is there and whole, so is the model beside it. */
import { open, stat } from 'node:fs/promises';
import { join } from 'node:path';

const TAIL = 4096;

/**
 * What tells this publication from the next one; undefined while there is none, or while one is under way.
 * `directory` holds the model.
 */
export async function publication(directory: string): Promise<string | undefined> {
  const path = join(directory, '.model-fetch', 'manifest.jsonl');
  try {
    const { ino, mtimeNs, size } = await stat(path, { bigint: true });
    return (await endsWhole(path)) ? `${ino}:${mtimeNs}:${size}` : undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** A manifest without its last line is not whole. */
async function endsWhole(path: string): Promise<boolean> {
  await using file = await open(path);
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
