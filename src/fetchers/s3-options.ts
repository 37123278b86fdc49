/** What can be said about an S3: by the caller, or by an environment in the words of AWS, boto and KServe. */
import { readFileSync } from 'node:fs';
import { ModelFetchError } from '../errors.ts';
import type { Transport } from '../fetcher.ts';
import type { Env } from '../registry.ts';
import { keysFrom, type S3Keys } from './s3-keys.ts';

export type { S3Keys } from './s3-keys.ts';

export interface S3Options {
  /**
   * A function is asked again when its keys are no longer taken. Default: the SDK's own chain (profile, web identity,
   * container, instance metadata).
   */
  readonly credentials?: S3Keys | 'anonymous' | (() => Promise<S3Keys>);
  /** Default: `us-east-1`, corrected by what the server says. */
  readonly region?: string;
  /** Set by the operator, hence trusted. Default: Amazon's. */
  readonly endpoint?: string;
  /** Default: `path` with an endpoint, `virtual` without. */
  readonly addressing?: 'path' | 'virtual';
  readonly accelerate?: boolean;
  readonly dualstack?: boolean;
  readonly fips?: boolean;
  readonly requesterPays?: boolean;
  /** The 32 bytes of the customer's key (SSE-C), base64. */
  readonly customerKey?: string;
  readonly profile?: string;
  /** List as KServe does: prefixes match by characters, empty objects and keys that end in `/` are left out. */
  readonly compat?: 'kserve';
  /** CA bundle and such; `reach` is decided by `endpoint`. */
  readonly transport?: Omit<Transport, 'reach'>;
}

/** Reads `env`. Throws `INVALID_OPTION`. Sources: the AWS SDK reference guide's settings; KServe's S3 settings. */
export function optionsFromEnv(env: Env): S3Options {
  const given = (name: string): string | undefined => env[name]?.trim() || undefined;
  const yes = (name: string): boolean => given(name)?.toLowerCase() === 'true';
  const region = given('AWS_REGION') ?? given('AWS_DEFAULT_REGION');
  const endpoint = endpointFrom(given);
  const credentials = credentialsFrom(given, yes);
  const customerKey = customerKeyFrom(given);
  const profile = given('AWS_PROFILE');
  const transport = transportFrom(given);
  const payer = given('MODEL_FETCH_S3_REQUEST_PAYER') ?? given('AWS_REQUEST_PAYER');
  return {
    ...(credentials && { credentials }),
    ...(region !== undefined && { region }),
    ...(endpoint !== undefined && { endpoint }),
    ...(yes('S3_USER_VIRTUAL_BUCKET') && { addressing: 'virtual' as const }),
    accelerate: yes('S3_USE_ACCELERATE'),
    dualstack: yes('AWS_USE_DUALSTACK_ENDPOINT'),
    fips: yes('AWS_USE_FIPS_ENDPOINT'),
    requesterPays: payer?.toLowerCase() === 'requester',
    ...(customerKey !== undefined && { customerKey }),
    ...(profile !== undefined && { profile }),
    ...(given('MODEL_FETCH_COMPAT') === 'kserve' && { compat: 'kserve' as const }),
    ...(transport && { transport }),
  };
}

type Given = (name: string) => string | undefined;

function endpointFrom(given: Given): string | undefined {
  let endpoint = given('AWS_ENDPOINT_URL_S3') ?? given('AWS_ENDPOINT_URL');
  const bare = given('S3_ENDPOINT');
  if (endpoint === undefined && bare !== undefined) {
    const secure = !['0', 'false'].includes(given('S3_USE_HTTPS')?.toLowerCase() ?? '');
    endpoint = bare.includes('://') ? bare : `${secure ? 'https' : 'http'}://${bare}`;
  }
  if (endpoint === undefined) return undefined;
  const url = URL.parse(endpoint);
  if (!url || !/^https?:$/.test(url.protocol))
    throw new ModelFetchError('INVALID_OPTION', `"${endpoint}" is not an S3 endpoint`, {
      hint: 'Set AWS_ENDPOINT_URL to http(s)://host[:port].',
    });
  // Amazon's global name serves one region only; the SDK knows the regional ones. KServe is often configured with it.
  return url.hostname === 's3.amazonaws.com' ? undefined : endpoint.replace(/\/+$/, '');
}

function credentialsFrom(given: Given, yes: (name: string) => boolean): S3Options['credentials'] {
  if (yes('awsAnonymousCredential') || yes('MODEL_FETCH_S3_ANONYMOUS')) return 'anonymous';
  return keysFrom(given);
}

function customerKeyFrom(given: Given): string | undefined {
  const file = given('MODEL_FETCH_S3_SSE_C_KEY_FILE');
  const key = given('MODEL_FETCH_S3_SSE_C_KEY') ?? (file && readKey(file));
  if (key === undefined) return undefined;
  if (Buffer.from(key, 'base64').length === 32) return key;
  throw new ModelFetchError('INVALID_OPTION', 'the SSE-C key is not 32 bytes in base64', {
    hint: 'Set MODEL_FETCH_S3_SSE_C_KEY, or MODEL_FETCH_S3_SSE_C_KEY_FILE, to what `openssl rand -base64 32` prints.',
  });
}

function readKey(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (cause) {
    throw new ModelFetchError('INVALID_OPTION', `cannot read the SSE-C key in ${file}`, {
      hint: 'MODEL_FETCH_S3_SSE_C_KEY_FILE names a file that this user can read.',
      cause,
    });
  }
}

function transportFrom(given: Given): S3Options['transport'] {
  const ca = given('AWS_CA_BUNDLE') ?? mountedBundle(given);
  const insecure = ['0', 'false'].includes(given('S3_VERIFY_SSL')?.toLowerCase() ?? '');
  if (ca === undefined && !insecure) return undefined;
  return { ...(ca !== undefined && { ca }), ...(insecure && { insecure }) };
}

/** KServe mounts a config map with the bundle, and names the map and the mount. */
function mountedBundle(given: Given): string | undefined {
  const mount = given('CA_BUNDLE_VOLUME_MOUNT_POINT');
  if (given('CA_BUNDLE_CONFIGMAP_NAME') === undefined || mount === undefined) return undefined;
  return `${mount.replace(/\/+$/, '')}/cabundle.crt`;
}
