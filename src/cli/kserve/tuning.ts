/** KServe's knobs for S3, as far as they have a meaning here. They bear on the whole run. */
import type { FetchOptions } from '../../options.ts';
import type { Env } from '../../registry.ts';
import type { Told } from '../kserve.ts';

/** KServe's own defaults, in seconds: for the one of the two timeouts that is not given. */
const CONNECT_TIMEOUT = 15;
const READ_TIMEOUT = 30;

/** What the knobs say. One that is no whole number is a warning: KServe would not start, but the model can be fetched. */
export function tuningFrom(env: Env, told: Told): Partial<FetchOptions> {
  const connect = knob(env, 'S3_CONNECT_TIMEOUT', told);
  const read = knob(env, 'S3_READ_TIMEOUT', told);
  const retries = knob(env, 'S3_MAX_ATTEMPTS', told, 0);
  // Processes there, requests here: these find their own number, and a fixed one would only be slower.
  if (knob(env, 'S3_MAX_FILE_CONCURRENCY', told) !== undefined)
    told.notes.push('S3_MAX_FILE_CONCURRENCY is not needed: the number of requests adapts itself');
  return {
    // One clock for both here: no byte for so long, connected or not.
    ...((connect ?? read) !== undefined && {
      stallTimeoutMs: 1000 * Math.max(connect ?? CONNECT_TIMEOUT, read ?? READ_TIMEOUT),
    }),
    // boto counts what follows the first attempt.
    ...(retries !== undefined && { attempts: retries + 1 }),
  };
}

function knob(env: Env, name: string, told: Told, least = 1): number | undefined {
  const text = env[name]?.trim() ?? '';
  if (text === '') return undefined;
  const value = Number(text);
  if (/^\d{1,9}$/.test(text) && value >= least) return value;
  told.warnings.push(`${name} is not a whole number from ${String(least)}: ignored`);
  return undefined;
}
