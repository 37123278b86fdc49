/**
 * What a platform's environment means to us: KServe's webhook, Seldon's operator and PrimeHub's controller describe stores in
 * words of their own. Here they become the variables that the fetchers read, and options. A function of the environment
 * and of the files that it names; `kserve/variables.ts` lists every variable.
 */
import { readFileSync } from 'node:fs';
import type { FetchOptions } from '../options.ts';
import type { Env } from '../registry.ts';
import { withUsableBundles } from './kserve/ca-bundles.ts';
import { patternsFrom } from './kserve/patterns.ts';
import { withSecretFiles } from './kserve/secret-files.ts';
import { withStorageConfig } from './kserve/storage-config.ts';
import { tuningFrom } from './kserve/tuning.ts';

/** Reads a small text file that the environment names. Throws as `readFileSync` does. */
export type ReadText = (path: string) => string;

/** What is told about the environment. No value of a variable is ever in it. */
export interface Told {
  /** Something does not do what whoever set it expects. */
  readonly warnings: string[];
  /** Passed over, rightly: for `--log-level debug`. */
  readonly notes: string[];
}

export interface Platform extends Told {
  /** What was given, in the words that the fetchers and the network understand. */
  readonly env: Env;
  /** What the environment says about the run; flags win over it. */
  readonly options: Partial<FetchOptions>;
}

/** Reads `env`. Throws `INVALID_OPTION` for what cannot be meant, never quoting a value. */
export function fromPlatform(env: Env, read: ReadText = readUtf8): Platform {
  const told: Told = { warnings: [], notes: [] };
  const filled = withSecretFiles(env, read, told);
  const translated = withUsableBundles(withStorageConfig(filled, told), read, told);
  const patterns = patternsFrom(translated);
  return {
    env: translated,
    options: { ...tuningFrom(translated, told), ...(patterns && { patterns }) },
    ...told,
  };
}

const readUtf8: ReadText = (path) => readFileSync(path, 'utf8');
