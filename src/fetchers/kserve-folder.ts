/** Local files as KServe takes them, for `--compat kserve`. Source: `_download_local`. */
import type { Fetcher } from '../fetcher.ts';

/**
 * Of a folder, KServe looks at the names at its top alone: hidden ones are left out, patterns choose among them, and an
 * archive further down is none. Patterns also apply to a source that is one file.
 */
export function asKserve(fetcher: Fetcher, isFolder: boolean): Fetcher {
  return {
    ...fetcher,
    patternsBy: 'top',
    async *list(call) {
      for await (const entry of fetcher.list(call)) {
        if (isFolder && entry.path.startsWith('.')) continue;
        yield entry.path.includes('/') ? { ...entry, named: '' } : entry;
      }
    },
  };
}
