/** What stands for `src/cli/run.ts` in the image's entry point: the program, loaded when it is needed. */
import { join } from 'node:path';
import type * as program from '../../src/cli/run.ts';
import { load } from './load.ts';

/** A word that names S3 asks for the code of a run over S3. A wrong guess costs time, and nothing else. */
const isForS3 = process.argv.some((word) => /^s3a?:/.test(word));

export const { run } = load<typeof program>(
  join(import.meta.dirname, 'program.js'),
  join(import.meta.dirname, isForS3 ? 'program-s3.cache' : 'program.cache'),
  require,
).exports;
