/** The words of `npm run bench`. */
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { FULL, QUICK, type Scale } from './scale.ts';
import { ROOT } from './tools.ts';
import type { Mode } from './workload.ts';

export interface Options {
  /** Ids or their beginnings (`a`, `b-minio`); empty: all. */
  readonly only: readonly string[];
  /** Names of clients, or their beginnings; empty: all. Ours is always there: it is what ratios are against. */
  readonly clients: readonly string[];
  readonly modes: readonly Mode[];
  readonly rounds: number;
  readonly quick: boolean;
  readonly scale: Scale;
  /** Minutes for everything but the making of the models. */
  readonly minutes: number;
  /** Models, targets and servers' data: one file system. */
  readonly work: string;
  readonly results: string;
}

export const USAGE = `npm run bench -- [options]
  --only a,b-minio   workloads by id or by its beginning
  --clients s5cmd    only ours and these, by name or by its beginning
  --mode shared      only this mode (shared, pinned)
  --rounds 3         rounds of each workload, if the time allows
  --minutes 55       when to stop beginning further rounds (--quick: 2.5)
  --quick            tiny sizes and one round: shows that everything works, measures nothing
  --work DIR         where models and targets are (default build/bench)
  --results DIR      where tables, figures and chart go (default bench/results; parts and --quick: build/bench)
  --list             print the ids
`;

/** Throws on words it does not know. */
export function readOptions(argv: readonly string[]): Options & { readonly list: boolean } {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      only: { type: 'string', default: '' },
      clients: { type: 'string', default: '' },
      mode: { type: 'string' },
      rounds: { type: 'string' },
      minutes: { type: 'string' },
      quick: { type: 'boolean', default: false },
      work: { type: 'string', default: join(ROOT, 'build/bench') },
      results: { type: 'string' },
      list: { type: 'boolean', default: false },
    },
  });
  const { quick, list } = values;
  return {
    list,
    quick,
    only: values.only.split(',').filter(Boolean),
    clients: values.clients.split(',').filter(Boolean),
    modes: values.mode === undefined ? ['shared', 'pinned'] : [modeOf(values.mode)],
    rounds: positive(values.rounds ?? (quick ? '1' : '3'), 'rounds'),
    minutes: positive(values.minutes ?? (quick ? '2.5' : '55'), 'minutes'),
    scale: quick ? QUICK : FULL,
    work: resolve(values.work, quick ? 'quick' : 'full'),
    results: values.results ?? resultsOf(quick, values.only + values.clients !== ''),
  };
}

/** A quick run is no measurement, and a part is not the whole: neither replaces the set that git keeps. */
function resultsOf(quick: boolean, part: boolean): string {
  if (quick) return join(ROOT, 'build/bench/quick-results');
  return join(ROOT, part ? 'build/bench/part-results' : 'bench/results');
}

function modeOf(text: string): Mode {
  if (text === 'shared' || text === 'pinned') return text;
  throw new Error(`--mode is shared or pinned, not ${text}\n${USAGE}`);
}

function positive(text: string, name: string): number {
  const value = Number(text);
  if (value > 0) return value;
  throw new Error(`--${name} must be a number above 0, not ${text}\n${USAGE}`);
}
