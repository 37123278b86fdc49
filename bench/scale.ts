/** The sizes of a run: the real ones, and tiny ones that only show that everything works. */

export interface Scale {
  /** Bytes of the one large object. */
  readonly one: number;
  /** Files of 16 KiB. */
  readonly small: number;
  /** Bytes of each of the eight shards of the language model. */
  readonly shard: number;
  /** Bytes of each of the four weights in the archives, and how many small files lie beside them. */
  readonly weights: number;
  readonly members: number;
  /** Bytes of the sparse object. */
  readonly sparse: number;
  /** Generated buckets: objects that are fetched, keys that are only listed. */
  readonly many: 'gen-1k' | 'gen-100k';
  readonly listed: 'gen-20k' | 'gen-1m';
  /** Objects of 16 KiB fetched from far away. */
  readonly farSmall: number;
  /** How often a connection is reset during one object. */
  readonly resets: number;
  /** Runs of each start in every round. */
  readonly starts: number;
}

const MIB = 2 ** 20;

export const FULL: Scale = {
  one: 2048 * MIB,
  small: 10_000,
  shard: 512 * MIB,
  weights: 64 * MIB,
  members: 3500,
  sparse: 16 * 1024 * MIB,
  many: 'gen-100k',
  listed: 'gen-1m',
  farSmall: 2000,
  resets: 32,
  starts: 5,
};

export const QUICK: Scale = {
  one: 48 * MIB,
  small: 300,
  shard: 4 * MIB,
  weights: 2 * MIB,
  members: 100,
  sparse: 128 * MIB,
  many: 'gen-1k',
  listed: 'gen-20k',
  farSmall: 100,
  resets: 3,
  starts: 1,
};
