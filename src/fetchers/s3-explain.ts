/** Which credentials would be used, found out without the network and told without a secret. */
import { readFile } from 'node:fs/promises';
import type { Env } from '../registry.ts';
import type { S3Options } from './s3-options.ts';

/** The name of the source. Same order as the SDK's chain; the keys named in the environment come first, as in boto. */
export async function credentialSource(options: S3Options, env: Env): Promise<string> {
  const { credentials, profile } = options;
  if (credentials === 'anonymous') return 'anonymous';
  if (typeof credentials === 'function') return 'keys in files (AWS_SECRET_ACCESS_KEY_FILE)';
  if (credentials) {
    const kind = credentials.sessionToken === undefined ? 'keys' : 'temporary keys';
    return env['AWS_ACCESS_KEY_ID'] === undefined
      ? `given ${kind}`
      : `environment ${kind} (AWS_ACCESS_KEY_ID)`;
  }
  if (profile !== undefined) return `profile ${profile} (AWS_PROFILE)`;
  if (await hasDefaultProfile(env)) return 'profile default';
  const role = env['AWS_ROLE_ARN'];
  if (role !== undefined && env['AWS_WEB_IDENTITY_TOKEN_FILE'] !== undefined)
    return `web identity, role ${role} (AWS_WEB_IDENTITY_TOKEN_FILE)`;
  if (env['AWS_CONTAINER_CREDENTIALS_FULL_URI'] !== undefined)
    return 'container (AWS_CONTAINER_CREDENTIALS_FULL_URI: Pod Identity)';
  if (env['AWS_CONTAINER_CREDENTIALS_RELATIVE_URI'] !== undefined)
    return 'container (AWS_CONTAINER_CREDENTIALS_RELATIVE_URI: ECS)';
  if (env['AWS_EC2_METADATA_DISABLED']?.toLowerCase() === 'true') return 'none';
  return 'instance metadata, if this machine has any';
}

const CREDENTIAL_SETTING =
  /^\s*(aws_access_key_id|role_arn|credential_process|sso_session|sso_start_url|web_identity_token_file|login_session)\s*=/;

/** Whether the shared files give the default profile anything to sign with. */
async function hasDefaultProfile(env: Env): Promise<boolean> {
  const home = env['HOME'] ?? env['USERPROFILE'];
  const files = [
    env['AWS_SHARED_CREDENTIALS_FILE'] ?? (home && `${home}/.aws/credentials`),
    env['AWS_CONFIG_FILE'] ?? (home && `${home}/.aws/config`),
  ];
  for (const file of files) {
    if (!file) continue;
    const text = await readFile(file, 'utf8').catch(() => '');
    let inDefault = false;
    for (const line of text.split('\n')) {
      const section = /^\s*\[([^\]]+)\]/.exec(line)?.[1];
      if (section !== undefined) inDefault = /^(profile\s+)?default$/.test(section.trim());
      else if (inDefault && CREDENTIAL_SETTING.test(line)) return true;
    }
  }
  return false;
}
