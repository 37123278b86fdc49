/** What the `gs://` resolver may be told, and how the environment tells it. */
import { posix } from 'node:path';
import { ModelFetchError } from '../errors.ts';
import type { Env } from '../registry.ts';
import { JSON_VARIABLE, type CredentialOptions } from './gcs-credentials.ts';
import { METADATA_ADDRESS } from './gcs-metadata.ts';

/** All explicit; `fromEnv` fills it from the variables that Google's own tools read. */
export interface GcsOptions extends CredentialOptions {
  /** Base URL of the JSON API, without `/storage/v1`, e.g. a Private Service Connect endpoint. Set by the operator: trusted. */
  readonly endpoint?: string;
  /** Base URL of an emulator: reached anonymously. */
  readonly emulator?: string;
  /** Project that pays for requester-pays buckets. */
  readonly userProject?: string;
  /** As KServe, oddities and all. */
  readonly compat?: 'kserve';
}

/** The options that `env` stands for. Throws `INVALID_OPTION`. */
export function optionsFrom(env: Env): GcsOptions {
  const emulator = env['STORAGE_EMULATOR_HOST'] || undefined;
  const endpoint = env['MODEL_FETCH_GCS_ENDPOINT'] || undefined;
  const credentialsFile = env['GOOGLE_APPLICATION_CREDENTIALS'] || undefined;
  const credentialsJson = env[JSON_VARIABLE] || undefined;
  const userProject =
    env['MODEL_FETCH_GCS_USER_PROJECT'] || env['GOOGLE_CLOUD_QUOTA_PROJECT'] || undefined;
  const home = env['HOME'] ? posix.join(env['HOME'], '.config', 'gcloud') : undefined;
  const configuration = env['CLOUDSDK_CONFIG'] || home;
  const noServer = env['METADATA_SERVER_DETECTION'] === 'none' || isTrue(env['NO_GCE_CHECK']);
  return {
    ...(emulator !== undefined && { emulator: baseUrl('STORAGE_EMULATOR_HOST', emulator, 'http') }),
    ...(endpoint !== undefined && {
      endpoint: baseUrl('MODEL_FETCH_GCS_ENDPOINT', endpoint, 'https'),
    }),
    ...(credentialsFile !== undefined && { credentialsFile }),
    ...(credentialsJson !== undefined && { credentialsJson }),
    ...(configuration !== undefined && {
      wellKnownFile: posix.join(configuration, 'application_default_credentials.json'),
    }),
    ...(isTrue(env['MODEL_FETCH_GCS_ANONYMOUS']) && {
      anonymous: 'as MODEL_FETCH_GCS_ANONYMOUS says',
    }),
    ...(!noServer && {
      metadataHost: env['GCE_METADATA_HOST'] || env['GCE_METADATA_IP'] || METADATA_ADDRESS,
    }),
    ...(userProject !== undefined && { userProject }),
    ...(env['MODEL_FETCH_COMPAT'] === 'kserve' && { compat: 'kserve' }),
  };
}

function isTrue(value: string | undefined): boolean {
  return /^(?:1|true|yes|on)$/i.test(value ?? '');
}

/** With or without scheme, slash and `/storage/v1`: Google's libraries disagree on what belongs there. */
function baseUrl(name: string, value: string, scheme: string): string {
  const text = /^https?:\/\//i.test(value) ? value : `${scheme}://${value}`;
  if (!URL.canParse(text) || new URL(text).username !== '')
    throw new ModelFetchError('INVALID_OPTION', `${name} is not the address of a server`, {
      hint: 'Write host:port or http://host:port.',
    });
  const url = new URL(text);
  return url.origin + url.pathname.replace(/\/+$/, '').replace(/\/storage\/v1$/, '');
}
