/** Environments of pods: without keys, with the token of a service account, or with keys that end soon. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Bench, Env } from './bench.ts';
import type { RealServer } from './servers.ts';
import { assumeRole, type TemporaryKeys } from './temporary-keys.ts';

/** No keys by name; a region, as everywhere on EKS. */
export function nobody(url: string): Env {
  return { AWS_ENDPOINT_URL: url, AWS_REGION: 'us-east-1', AWS_EC2_METADATA_DISABLED: 'true' };
}

/** The token in a file of its own, and kept out of all output. */
export function tokenFile(bench: Bench, token: string): string {
  const file = join(bench.newFolder(), 'token');
  writeFileSync(file, token);
  bench.secrets.push(token);
  return file;
}

/** Keys of a quarter of an hour, kept out of all output. */
export async function temporary(bench: Bench, server: RealServer): Promise<TemporaryKeys> {
  const keys = await assumeRole(server.url);
  bench.secrets.push(keys.secretAccessKey, keys.sessionToken);
  return keys;
}

/** `keys` as variables. */
export function named(keys: TemporaryKeys): Env {
  return {
    AWS_ACCESS_KEY_ID: keys.accessKeyId,
    AWS_SECRET_ACCESS_KEY: keys.secretAccessKey,
    AWS_SESSION_TOKEN: keys.sessionToken,
  };
}
