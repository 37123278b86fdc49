/** Why there is nothing to sign with, and whether that may pass. */
import { ModelFetchError } from '../errors.ts';
import { errorCodeOf, failureOf } from './s3-errors.ts';

/**
 * What the SDK's chain threw, as ours. `source`: where credentials should have come from, as `explain` names it; the chain
 * itself tells no more than that it found none.
 */
export function credentialError(error: unknown, source?: string): ModelFetchError {
  const failure = failureOf(error);
  // From the network below: what is wrong is not the credentials.
  if (failure instanceof ModelFetchError && failure.cause !== error) return failure;
  const passing =
    !(failure instanceof ModelFetchError) &&
    !isAboutFile(error) &&
    errorCodeOf(failure.status, failure.code) === 'UNAVAILABLE';
  const from = source === undefined || source === 'none' ? '' : ` from ${source}`;
  return new ModelFetchError(
    passing ? 'UNAVAILABLE' : 'UNAUTHENTICATED',
    `cannot get S3 credentials${from}: ${error instanceof Error ? error.message : String(error)}`,
    { hint: from === '' ? NONE_HINT : SOURCE_HINT, cause: error },
  );
}

const NONE_HINT =
  'Give AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile or a role; awsAnonymousCredential=true reads a public bucket without any.';
const SOURCE_HINT =
  'Check that source: the profile, the role and who may assume it, the token and its file; awsAnonymousCredential=true reads a public bucket without credentials.';

/** A token or profile file that is not there, or not ours to read, stays so. */
function isAboutFile(error: unknown): boolean {
  const { syscall } = error as { readonly syscall?: unknown };
  return syscall === 'open' || syscall === 'read';
}
