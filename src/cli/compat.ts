/** `--compat kserve`: where ours differs from KServe's own initializer, what the command itself does to be like it. */
import type { FetchOptions } from '../options.ts';
import type { FlagValues } from './flags.ts';
import type { Failure } from './failure.ts';

/**
 * Files in the target that are not ours are replaced, those of an earlier model stay, local files are linked, and archives unpacked by their names alone, as
 * KServe does. Flags win over it. What differs in a listing is the fetchers' business: they read `MODEL_FETCH_COMPAT`.
 */
export function compatOptions(compat: FlagValues['compat']): Partial<FetchOptions> {
  return compat === 'kserve'
    ? { overwrite: true, stale: 'keep', link: 'symlink', unpack: 'kserve' }
    : {};
}

/** KServe knows 0 and 1 only. A signal keeps its status. */
export function compatFailure(failure: Failure, compat: FlagValues['compat']): Failure {
  return compat === 'kserve' && failure.exit < 128 ? { ...failure, exit: 1 } : failure;
}
