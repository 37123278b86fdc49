/** Keys from the environment: by value, or in files, which are read again when the store no longer takes the keys. */
import { readFileSync } from 'node:fs';
import { ModelFetchError } from '../errors.ts';

/** Keys given by name. */
export interface S3Keys {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

type Given = (name: string) => string | undefined;

/**
 * `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`, or the files that the same names with `_FILE` behind
 * them name: what Vault and Kubernetes renew in place. Undefined without a key and its secret. Throws `INVALID_OPTION` for a
 * file that cannot be read.
 */
export function keysFrom(given: Given): S3Keys | (() => Promise<S3Keys>) | undefined {
  const keys = readKeys(given);
  const files = NAMES.some((name) => given(name) === undefined && given(`${name}_FILE`));
  if (!keys || !files) return keys;
  // Asked for later, too: a promise, as what goes wrong then is a rejection.
  return () => Promise.resolve().then(() => readKeys(given)!);
}

const NAMES = ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN'] as const;

function readKeys(given: Given): S3Keys | undefined {
  const [accessKeyId, secretAccessKey, sessionToken] = NAMES.map(
    (name) => given(name) ?? fromFile(given(`${name}_FILE`), `${name}_FILE`),
  );
  if (accessKeyId === undefined || secretAccessKey === undefined) return undefined;
  return { accessKeyId, secretAccessKey, ...(sessionToken !== undefined && { sessionToken }) };
}

function fromFile(file: string | undefined, variable: string): string | undefined {
  if (file === undefined) return undefined;
  try {
    const text = readFileSync(file, 'utf8').trim();
    if (text !== '') return text;
  } catch (error) {
    throw unusable(variable, file, (error as NodeJS.ErrnoException).code ?? 'it cannot be read');
  }
  throw unusable(variable, file, 'it is empty');
}

function unusable(variable: string, file: string, why: string): ModelFetchError {
  return new ModelFetchError(
    'INVALID_OPTION',
    `${variable} names ${file}, which is no use: ${why}`,
    {
      hint: 'Mount the secret as a file that the user of this container may read.',
    },
  );
}
