/** Secrets given as files: `X_FILE` names a file that holds what `X` would. */
import { ModelFetchError } from '../../errors.ts';
import type { Env } from '../../registry.ts';
import type { ReadText, Told } from '../kserve.ts';

/**
 * The variables that may be given so. A list, as `_FILE` is also the end of names that mean a file themselves
 * (`AWS_WEB_IDENTITY_TOKEN_FILE`, `SSL_CERT_FILE`).
 */
export const SECRETS: readonly string[] = [
  'STORAGE_CONFIG',
  'STORAGE_OVERRIDE_CONFIG',
  'HTTP_PROXY',
  'HTTPS_PROXY',
  'ALL_PROXY',
  'http_proxy',
  'https_proxy',
  'all_proxy',
  'MODEL_FETCH_GCS_CREDENTIALS',
];

/** The same for names that hold a host or a remote. */
const SECRET_FORMS: readonly RegExp[] = [
  /^[^=]+-headers$/,
  /^RCLONE_CONFIG_.+_(SSE_CUSTOMER_KEY_BASE64|SERVICE_ACCOUNT_CREDENTIALS|HEADERS)$/,
];

/** Keys that stay files: the fetcher reads them, and again when the store no longer takes what they held. */
const RENEWED = /^(AWS|RCLONE_CONFIG_.+)_(ACCESS_KEY_ID|SECRET_ACCESS_KEY|SESSION_TOKEN)$/;

/** `env` with the secrets that its `*_FILE` variables name. Throws `INVALID_OPTION` for files that cannot be read, or are empty. */
export function withSecretFiles(env: Env, read: ReadText, told: Told): Env {
  const found: Record<string, string> = {};
  for (const [variable, path] of Object.entries(env)) {
    if (!variable.endsWith('_FILE') || path === undefined || path.trim() === '') continue;
    const secret = variable.slice(0, -'_FILE'.length);
    const isOnce = SECRETS.includes(secret) || SECRET_FORMS.some((form) => form.test(secret));
    if (!isOnce && !RENEWED.test(secret)) continue;
    if ((env[secret] ?? '').trim() !== '') {
      told.warnings.push(`${variable} is not looked at, because ${secret} is set`);
      continue;
    }
    // A remote's is looked at by this name, as only here it is known; Amazon's by whoever needs it.
    if (secret.startsWith('AWS_')) continue;
    const text = secretIn(path, variable, read);
    if (isOnce) found[secret] = text;
  }
  return { ...env, ...found };
}

function secretIn(path: string, variable: string, read: ReadText): string {
  let text: string;
  try {
    text = read(path);
  } catch (error) {
    throw unusable(variable, path, (error as NodeJS.ErrnoException).code ?? 'it cannot be read');
  }
  // Files end in a newline, secrets do not.
  const secret = text.trim();
  if (secret === '') throw unusable(variable, path, 'it is empty');
  return secret;
}

function unusable(variable: string, path: string, why: string): ModelFetchError {
  return new ModelFetchError(
    'INVALID_OPTION',
    `${variable} names ${path}, which is no use: ${why}`,
    {
      hint: 'Mount the secret as a file that the user of this container may read.',
    },
  );
}
