/** What stands for `src/cli/run.ts` in the image's entry point: the program, loaded when it is needed. */
import { join } from 'node:path';
import type * as program from '../../src/cli/run.ts';
import { load } from './load.ts';

/** The first word that is a URI says of which run the code is wanted. A wrong guess costs time, and nothing else. */
function cacheName(): string {
  const uri = process.argv.find((word) => word.includes('://')) ?? '';
  if (/^s3a?:/.test(uri)) return 'program-s3.cache';
  return /^https?:/.test(uri) ? 'program-http.cache' : 'program.cache';
}

export const { run } = load<typeof program>(
  join(import.meta.dirname, 'program.js'),
  join(import.meta.dirname, cacheName()),
  require,
).exports;
