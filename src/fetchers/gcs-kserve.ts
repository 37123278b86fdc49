/** A directory of Google Cloud Storage as KServe takes it, for `--compat kserve`. Source: `_download_gcs`. */
import { posix } from 'node:path';
import type { Entry } from '../fetcher.ts';
import { toEntry, type GcsObject } from './gcs-entry.ts';

/**
 * Names that end in a slash are left out whatever they hold, and slashes at the beginning of a path are dropped. Whether
 * the only file is an archive is told by the name of the last object that is listed, fetched or not: so the listing is read twice.
 */
export async function* kserveEntries(
  listing: () => AsyncIterable<GcsObject>,
  prefix: string,
): AsyncGenerator<Entry> {
  let last = '';
  for await (const { name } of listing()) last = name;
  const named = last.endsWith('/') ? '' : posix.basename(last);
  for await (const object of listing()) {
    const path = object.name.slice(prefix.length).replace(/^\/+/, '');
    if (path.trim() !== '' && !path.endsWith('/')) yield { ...toEntry(object, path), named };
  }
}
