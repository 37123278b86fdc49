/** MinIO, what people run: its data in a folder of ours, filled once by s5cmd. */
import { spawn, execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { answering, end, freePort, type Origin } from './origin.ts';

export const ACCESS_KEY = 'modelfetchbench';
export const SECRET_KEY = 'modelfetchsecret';

export interface Minio extends Origin {
  readonly http: string;
}

/** Starts it and uploads the folders `buckets` of `root` unless that was done before. */
export async function startMinio(
  programs: { minio: string; s5cmd: string },
  { root, work, buckets }: { root: string; work: string; buckets: readonly string[] },
): Promise<Minio> {
  mkdirSync(work, { recursive: true });
  const [port, console] = await Promise.all([freePort(), freePort()]);
  const at = `127.0.0.1:${port}`;
  const log = openSync(join(work, 'minio.log'), 'w');
  const child = spawn(
    programs.minio,
    [
      'server',
      join(work, 'data'),
      '--quiet',
      '--address',
      at,
      '--console-address',
      `127.0.0.1:${console}`,
    ],
    {
      env: {
        PATH: '/usr/bin:/bin',
        HOME: work,
        MINIO_ROOT_USER: ACCESS_KEY,
        MINIO_ROOT_PASSWORD: SECRET_KEY,
        MINIO_BROWSER: 'off',
        MINIO_UPDATE: 'off',
      },
      stdio: ['ignore', log, log],
    },
  );
  const origin = {
    name: 'MinIO',
    http: `http://${at}`,
    pids: () => [child.pid!],
    stop: () => end(child),
  };
  try {
    await answering(`http://${at}/minio/health/live`, child);
    for (const bucket of buckets) upload(programs.s5cmd, origin.http, { root, work, bucket });
    return origin;
  } catch (error) {
    await origin.stop();
    throw error;
  }
}

function upload(
  s5cmd: string,
  endpoint: string,
  { root, work, bucket }: { root: string; work: string; bucket: string },
): void {
  const stamp = join(work, `${bucket}.uploaded`);
  if (existsSync(stamp)) return;
  const env = { PATH: '/usr/bin:/bin', HOME: work, ...s3Environment(endpoint) };
  const run = (...args: string[]): void => {
    execFileSync(s5cmd, ['--log', 'error', ...args], { env, stdio: ['ignore', 'ignore', 'pipe'] });
  };
  try {
    run('mb', `s3://${bucket}`);
  } catch {
    // It may stand from an upload that was cut short.
  }
  run('cp', '--concurrency', '2', `${join(root, bucket)}/`, `s3://${bucket}/`);
  writeFileSync(stamp, '');
}

/** What every S3 client here is given. */
export function s3Environment(endpoint: string, ca?: string): Record<string, string> {
  return {
    AWS_ENDPOINT_URL: endpoint,
    S3_ENDPOINT_URL: endpoint,
    AWS_ACCESS_KEY_ID: ACCESS_KEY,
    AWS_SECRET_ACCESS_KEY: SECRET_KEY,
    AWS_REGION: 'us-east-1',
    AWS_DEFAULT_REGION: 'us-east-1',
    AWS_EC2_METADATA_DISABLED: 'true',
    ...(ca !== undefined && { AWS_CA_BUNDLE: ca, SSL_CERT_FILE: ca, NODE_EXTRA_CA_CERTS: ca }),
  };
}
