/** rclone's settings of a remote, in the variables that our fetchers read. Pure. */
import { ModelFetchError } from '../../errors.ts';
import type { Env } from '../../registry.ts';

/** One remote: its name in lower case, and its settings by rclone's names, as in `RCLONE_CONFIG_<REMOTE>_<NAME>`. */
export interface Remote {
  readonly name: string;
  readonly settings: Readonly<Record<string, string>>;
}

/** Where S3 is, and how it is addressed: of another store than the remote's. */
const OTHER_STORE = [
  'AWS_ENDPOINT_URL',
  'AWS_ENDPOINT_URL_S3',
  'S3_ENDPOINT',
  'S3_USE_HTTPS',
  'S3_USER_VIRTUAL_BUCKET',
  'S3_USE_ACCELERATE',
  'awsAnonymousCredential',
  'MODEL_FETCH_S3_ANONYMOUS',
];
/** Whose keys they are: of another store than the remote's, unless it says `ENV_AUTH`. */
const OTHER_KEYS = [
  'AWS_ACCESS_KEY_ID',
  'AWS_SECRET_ACCESS_KEY',
  'AWS_SESSION_TOKEN',
  'AWS_ACCESS_KEY_ID_FILE',
  'AWS_SECRET_ACCESS_KEY_FILE',
  'AWS_SESSION_TOKEN_FILE',
  'AWS_PROFILE',
  'AWS_REGION',
  'AWS_DEFAULT_REGION',
];

/** For type `s3`. A remote without keys and without `ENV_AUTH` is read by nobody, as rclone does. */
export function s3Env({ settings }: Remote, env: Env): Env {
  const own = (settings['ACCESS_KEY_ID'] ?? settings['ACCESS_KEY_ID_FILE']) !== undefined;
  const byEnv = isTrue(settings['ENV_AUTH']) && !own;
  return without(env, byEnv ? OTHER_STORE : [...OTHER_STORE, ...OTHER_KEYS], {
    AWS_ACCESS_KEY_ID: settings['ACCESS_KEY_ID'],
    AWS_SECRET_ACCESS_KEY: settings['SECRET_ACCESS_KEY'],
    AWS_SESSION_TOKEN: settings['SESSION_TOKEN'],
    AWS_ACCESS_KEY_ID_FILE: settings['ACCESS_KEY_ID_FILE'],
    AWS_SECRET_ACCESS_KEY_FILE: settings['SECRET_ACCESS_KEY_FILE'],
    AWS_SESSION_TOKEN_FILE: settings['SESSION_TOKEN_FILE'],
    AWS_PROFILE: settings['PROFILE'],
    AWS_REGION: settings['REGION'],
    AWS_REQUEST_PAYER: isTrue(settings['REQUESTER_PAYS']) ? 'requester' : undefined,
    MODEL_FETCH_S3_SSE_C_KEY: settings['SSE_CUSTOMER_KEY_BASE64'],
    // Without a scheme it is reached over TLS.
    S3_ENDPOINT: settings['ENDPOINT'],
    S3_USER_VIRTUAL_BUCKET: isFalse(settings['FORCE_PATH_STYLE']) ? 'true' : undefined,
    S3_USE_ACCELERATE: isTrue(settings['USE_ACCELERATE_ENDPOINT']) ? 'true' : undefined,
    awsAnonymousCredential: own || byEnv ? undefined : 'true',
  });
}

/** For type `google cloud storage`. Without a word about credentials they are looked for as for `gs://`. */
export function gcsEnv({ settings }: Remote, env: Env): Env {
  const inline = settings['SERVICE_ACCOUNT_CREDENTIALS'];
  const file = settings['SERVICE_ACCOUNT_FILE'];
  const own = inline ?? file;
  return without(env, own === undefined ? [] : ['GOOGLE_APPLICATION_CREDENTIALS'], {
    MODEL_FETCH_GCS_ANONYMOUS: isTrue(settings['ANONYMOUS']) ? 'true' : undefined,
    MODEL_FETCH_GCS_CREDENTIALS: inline,
    GOOGLE_APPLICATION_CREDENTIALS: file,
    MODEL_FETCH_GCS_ENDPOINT: settings['ENDPOINT'],
    MODEL_FETCH_GCS_USER_PROJECT: settings['USER_PROJECT'],
  });
}

/** For type `http`: its headers become those of the host. Throws `INVALID_OPTION` without a URL. */
export function httpEnv({ name, settings }: Remote, env: Env): Env {
  const url = URL.parse(settings['URL'] ?? '');
  if (!url || !/^https?:$/.test(url.protocol))
    throw new ModelFetchError('INVALID_OPTION', `the remote ${name} has no URL`, {
      hint: `Set RCLONE_CONFIG_${name.toUpperCase()}_URL to http(s)://host/folder.`,
    });
  const headers = headersIn(settings['HEADERS'] ?? '');
  if (Object.keys(headers).length === 0) return env;
  return { ...env, [`${url.hostname}-headers`]: JSON.stringify(headers) };
}

/** `name,value,name,value`, as CSV: `"a,b"` is one field. */
function headersIn(text: string): Record<string, string> {
  const fields = [...text.matchAll(/"((?:[^"]|"")*)"|([^,]+)/g)].map((match) =>
    (match[1]?.replaceAll('""', '"') ?? match[2] ?? '').trim(),
  );
  const headers: Record<string, string> = {};
  for (let at = 0; at + 1 < fields.length; at += 2) headers[fields[at]!] = fields[at + 1]!;
  return headers;
}

/** `env` without `names`, and with what of `set` is defined. */
function without(
  env: Env,
  names: readonly string[],
  set: Readonly<Record<string, string | undefined>>,
): Env {
  const kept = Object.entries(env).filter(([name]) => !names.includes(name));
  const said = Object.entries(set).filter(([, value]) => value !== undefined);
  return Object.fromEntries([...kept, ...said]);
}

function isTrue(text: string | undefined): boolean {
  return /^(true|1|yes)$/i.test(text ?? '');
}

function isFalse(text: string | undefined): boolean {
  return /^(false|0|no)$/i.test(text ?? '');
}
