/** Buckets that exist only as a rule: so many keys, all with one small body. */

/** Number of keys by bucket. */
export const GENERATED: Readonly<Record<string, number>> = {
  'gen-1k': 1_000,
  'gen-20k': 20_000,
  'gen-100k': 100_000,
  'gen-1m': 1_000_000,
};

/** The file below the data root that answers every generated key. */
export const generatedBody = '.generated/body';

/** Its content. */
export const GENERATED_BYTES = Buffer.alloc(1024, 'model-fetch\n');

/** The key at `index`; in byte order, a thousand to a folder. */
export function generatedKey(index: number): string {
  const folder = String(Math.floor(index / 1000)).padStart(4, '0');
  return `shard-${folder}/part-${String(index).padStart(7, '0')}.bin`;
}
