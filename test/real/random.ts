/** Random sources of every scheme, held against KServe's own downloader: the same ones each time, and new ones. */
import { compareSources } from '../kserve/differential.ts';
import { gsSources, type Scheme, type Sources } from '../kserve/sources.ts';
import { startServer, type ServerKind } from './servers.ts';
import { openStore } from './store.ts';

/** Sources of each scheme, about 500 in all: S3's cost KServe most of a second each. */
const COUNTS: Readonly<Record<Scheme, number>> = { s3: 100, gs: 130, http: 140, file: 70, pvc: 60 };
/** Whose sources show every row of the table of differences. */
const KNOWN_SEED = 'shown';

/** Name and body of each comparison. `gcs`: the emulator, for which a server of ours stands in where it is missing. */
export function randomCases(
  seed: string,
  gcs: { readonly kind: ServerKind; readonly command: string; readonly folder: string } | undefined,
): Record<string, () => Promise<void>> {
  const cases: Record<string, () => Promise<void>> = {};
  for (const [scheme, count] of Object.entries(COUNTS) as [Scheme, number][])
    for (const [one, share] of [
      [KNOWN_SEED, 0.5],
      [seed, 0.5],
    ] as const)
      cases[`${scheme}: ${String(count * share)} random sources of seed ${one}`] = async () => {
        const open = scheme === 'gs' && gcs ? () => emulated(gcs) : undefined;
        const { differences } = await compareSources(scheme, count * share, one, open);
        if (differences.length > 0)
          throw new Error(`seed ${one}\n${differences.slice(0, 5).join('\n')}`);
      };
  return cases;
}

async function emulated(gcs: {
  readonly kind: ServerKind;
  readonly command: string;
  readonly folder: string;
}): Promise<Sources> {
  const server = await startServer(gcs.kind, gcs.command, gcs.folder);
  const store = openStore(server, '');
  const made = new Set<string>();
  const sources = await gsSources({
    url: server.url,
    async put(bucket, path, body) {
      if (!made.has(bucket)) await store.createBucket(bucket);
      made.add(bucket);
      const stored = await store.put(bucket, '', [{ path, body }]);
      if (stored.length === 0) throw new Error(`the emulator refuses ${path}`);
    },
  });
  return { ...sources, close: () => server.stop() };
}
