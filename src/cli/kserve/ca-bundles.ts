/** Certificate bundles as KServe brings them: one that is not there must not stop what works without it. */
import type { Env } from '../../registry.ts';
import type { ReadText, Told } from '../kserve.ts';

/** Where KServe's webhook mounts the bundle when it does not say. */
const USUAL_MOUNT = '/etc/ssl/custom-certs';

/**
 * `env` with the mount point of the global bundle filled in; without the bundle where it cannot be used, which is a
 * warning; without `AWS_CA_BUNDLE` where certificates are not checked and it is missing. What uses the bundles reads them.
 */
export function withUsableBundles(env: Env, read: ReadText, told: Told): Env {
  return withoutIdleBundle(withGlobalBundle(env, read, told), read, told);
}

function withGlobalBundle(env: Env, read: ReadText, told: Told): Env {
  if (!given(env, 'CA_BUNDLE_CONFIGMAP_NAME')) return env;
  const mount = given(env, 'CA_BUNDLE_VOLUME_MOUNT_POINT') ?? USUAL_MOUNT;
  const file = `${mount.replace(/\/+$/, '')}/cabundle.crt`;
  const problem = problemWith(file, read);
  if (problem === undefined) return { ...env, CA_BUNDLE_VOLUME_MOUNT_POINT: mount };
  told.warnings.push(`the CA bundle of CA_BUNDLE_CONFIGMAP_NAME is not used: ${file} ${problem}`);
  return { ...env, CA_BUNDLE_CONFIGMAP_NAME: undefined };
}

function withoutIdleBundle(env: Env, read: ReadText, told: Told): Env {
  if (!['0', 'false'].includes(given(env, 'S3_VERIFY_SSL')?.toLowerCase() ?? '')) return env;
  const endpoint = given(env, 'AWS_ENDPOINT_URL_S3') ?? given(env, 'AWS_ENDPOINT_URL');
  // KServe's webhook says it about endpoints in the clear too, where there is nothing to check.
  if (endpoint !== undefined && /^https:/i.test(endpoint))
    told.warnings.push('the certificate of the S3 endpoint is not checked: S3_VERIFY_SSL says so');
  const bundle = given(env, 'AWS_CA_BUNDLE');
  if (bundle === undefined || problemWith(bundle, read) === undefined) return env;
  return { ...env, AWS_CA_BUNDLE: undefined };
}

function problemWith(file: string, read: ReadText): string | undefined {
  try {
    return read(file).includes('-----BEGIN') ? undefined : 'holds no PEM certificate';
  } catch {
    return 'cannot be read';
  }
}

function given(env: Env, name: string): string | undefined {
  return env[name]?.trim() || undefined;
}
