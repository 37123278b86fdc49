/** Whether an entry is an archive, and of which format: by its name, by what its content says. */
import { closeSync, constants, openSync, readSync } from 'node:fs';
import { basename } from 'node:path';
import { ModelFetchError } from '../errors.ts';
import type { ArchiveFormat, Entry } from '../fetcher.ts';
import { archiveFormat, formatForKserve } from '../unpack/format.ts';
import type { StageContext } from './context.ts';

/** Bytes looked at to tell an archive. */
export const HEAD = 1024;

/** Undefined: named like an archive, but known to be something else under such names, and left as it is. */
export function formatOf(
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

/** The first bytes of the file at `path`. */
export function headOf(path: string): Uint8Array {
  const fd = openSync(path, constants.O_RDONLY);
  try {
    const head = Buffer.alloc(HEAD);
    return head.subarray(0, readSync(fd, head, 0, HEAD, 0));
  } finally {
    closeSync(fd);
  }
}
