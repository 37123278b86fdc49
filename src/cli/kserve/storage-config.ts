/** `STORAGE_CONFIG`: a store described as JSON, as KServe's `storage:` form and ModelMesh keep it in a secret. */
import { ModelFetchError } from '../../errors.ts';
import type { Env } from '../../registry.ts';
import type { Told } from '../kserve.ts';

/** The keys of type `s3`, and the variable that each stands for. Source: KServe, `_update_with_storage_spec`. */
const S3_KEYS: Readonly<Record<string, string>> = {
  endpoint_url: 'AWS_ENDPOINT_URL',
  access_key_id: 'AWS_ACCESS_KEY_ID',
  secret_access_key: 'AWS_SECRET_ACCESS_KEY',
  session_token: 'AWS_SESSION_TOKEN',
  region: 'AWS_DEFAULT_REGION',
  ca_bundle: 'AWS_CA_BUNDLE',
  verify_ssl: 'S3_VERIFY_SSL',
  anonymous: 'awsAnonymousCredential',
};

/**
 * `env` with what `STORAGE_CONFIG` says, key by key replaced by `STORAGE_OVERRIDE_CONFIG`; it wins over variables, as in
 * KServe. Throws `INVALID_OPTION`, never quoting the JSON: it is a secret.
 */
export function withStorageConfig(env: Env, told: Told): Env {
  const config = {
    ...objectIn(env, 'STORAGE_CONFIG'),
    ...objectIn(env, 'STORAGE_OVERRIDE_CONFIG'),
  };
  if (Object.keys(config).length === 0) return env;
  const type: unknown = config['type'];
  if (type === 's3') return { ...env, ...s3Variables(config) };
  told.notes.push(
    typeof type === 'string'
      ? `STORAGE_CONFIG is of type ${JSON.stringify(type)}, not s3: ignored`
      : 'STORAGE_CONFIG has no type: ignored',
  );
  return env;
}

function s3Variables(
  config: Readonly<Record<string, unknown>>,
): Record<string, string | undefined> {
  const set: Record<string, string | undefined> = {};
  for (const [key, variable] of Object.entries(S3_KEYS)) {
    const text = textOf(key, config[key]);
    if (text !== undefined) set[variable] = text;
  }
  // Narrower words for the same things would win over these.
  if (set['AWS_ENDPOINT_URL'] !== undefined) set['AWS_ENDPOINT_URL_S3'] = undefined;
  if (set['AWS_DEFAULT_REGION'] !== undefined) set['AWS_REGION'] = set['AWS_DEFAULT_REGION'];
  // A token belongs to its key: one that came with other keys makes these invalid.
  if (set['AWS_ACCESS_KEY_ID'] !== undefined && set['AWS_SESSION_TOKEN'] === undefined) {
    set['AWS_SESSION_TOKEN'] = undefined;
    set['AWS_SESSION_TOKEN_FILE'] = undefined;
  }
  return set;
}

/** Any JSON type that can be meant: `true` and `"true"` are the same. Undefined where nothing is said. */
function textOf(key: string, value: unknown): string | undefined {
  if (value === undefined || value === null) return undefined;
  if (key === 'anonymous' && (value === 1 || value === '1')) return 'true';
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean')
    return String(value);
  throw new ModelFetchError('INVALID_OPTION', `${key} in STORAGE_CONFIG is not a text`, {
    hint: 'Write {"type":"s3","endpoint_url":"https://…","access_key_id":"…","secret_access_key":"…"}.',
  });
}

function objectIn(env: Env, variable: string): Record<string, unknown> {
  const text = env[variable];
  if (text === undefined || text.trim() === '') return {};
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // The parser's message quotes the text.
    value = undefined;
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return value as Record<string, unknown>;
  throw new ModelFetchError('INVALID_OPTION', `${variable} is not a JSON object`, {
    hint: 'Look at the key of the secret that it comes from (KServe: the secret storage-config).',
  });
}
