/** The contestants: each by its ordinary client and its ordinary settings, pointed at one source. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { join } from 'node:path';
import { s3Environment } from './origin/minio.ts';
import { ROOT, type Need, type Tools } from './tools.ts';
import type { Contestant } from './workload.ts';

/** Where an S3 is. */
export interface S3Place {
  readonly endpoint: string;
  /** PEM file of its authority. */
  readonly ca?: string;
}

const KSERVE = join(ROOT, 'test/real/kserve.py');
const peer = (name: string): string => fileURLToPath(new URL(`peers/${name}`, import.meta.url));

/** Makes contestants from the programs that are there. */
export class Clients {
  readonly #tools: Tools;

  constructor(tools: Tools) {
    this.#tools = tools;
  }

  /** Our command, as the package has it. */
  ours(
    uri: string,
    {
      s3,
      ca,
      flags = [],
      name = 'model-fetch',
    }: { s3?: S3Place; ca?: string; flags?: string[]; name?: string } = {},
  ): Contestant {
    const env = s3
      ? s3Environment(s3.endpoint, s3.ca)
      : ca === undefined
        ? {}
        : { SSL_CERT_FILE: ca };
    return {
      name,
      needs: [],
      command: (dest) => ({ argv: [...OURS, '--quiet', ...flags, uri, dest], env }),
    };
  }

  s5cmd(args: (dest: string) => string[], { endpoint, ca }: S3Place, name = 's5cmd'): Contestant {
    return this.#make(
      name,
      's5cmd',
      (path, dest) => [path, '--log', 'error', ...args(dest)],
      s3Environment(endpoint, ca),
    );
  }

  s5cmdCopy(source: string, place: S3Place): Contestant {
    return this.s5cmd((dest) => ['cp', `s3://${source}`, `${dest}/`], place);
  }

  rclone(source: string, { endpoint, ca }: S3Place): Contestant {
    const env = {
      ...s3Environment(endpoint, ca),
      RCLONE_CONFIG_S3_TYPE: 's3',
      RCLONE_CONFIG_S3_PROVIDER: 'Other',
      RCLONE_CONFIG_S3_ENV_AUTH: 'true',
      RCLONE_CONFIG_S3_ENDPOINT: endpoint,
      RCLONE_CONFIG_S3_FORCE_PATH_STYLE: 'true',
    };
    const trust = ca === undefined ? [] : ['--ca-cert', ca];
    return this.#make(
      'rclone',
      'rclone',
      (path, dest) => [path, '--config', '', ...trust, 'copy', `s3:${source}`, dest],
      env,
    );
  }

  /** KServe's own storage package: what its initializer runs. */
  kserve(uri: string, place?: S3Place): Contestant {
    const env = place ? s3Environment(place.endpoint, place.ca) : {};
    return this.#make('KServe storage', 'python', (path, dest) => [path, KSERVE, uri, dest], env);
  }

  boto3(bucket: string, key: string, { endpoint, ca }: S3Place): Contestant {
    const script = peer('boto3-download.py');
    return this.#make(
      'boto3',
      'python',
      (path, dest) => [path, script, bucket, key, join(dest, key)],
      s3Environment(endpoint, ca),
    );
  }

  /** The AWS SDK for JavaScript as its documentation uses it. */
  awsSdk(bucket: string, key: string, { endpoint, ca }: S3Place): Contestant {
    return {
      name: 'AWS SDK for JS',
      needs: [],
      command: (dest) => ({
        argv: [process.execPath, peer('aws-sdk.mjs'), bucket, key, join(dest, key)],
        env: s3Environment(endpoint, ca),
      }),
    };
  }

  got(url: string, ca?: string): Contestant {
    return {
      name: 'got',
      needs: [],
      command: (dest) => ({
        argv: [process.execPath, peer('got.mjs'), url, join(dest, fileOf(url))],
        ...(ca !== undefined && { env: { NODE_EXTRA_CA_CERTS: ca } }),
      }),
    };
  }

  curl(url: string, { ca, flags = [] }: { ca?: string; flags?: string[] } = {}): Contestant {
    const trust = ca === undefined ? [] : ['--cacert', ca];
    return this.#make('curl', 'curl', (path, dest) => [
      ...[path, '-sSf', ...trust, ...flags],
      ...['-o', join(dest, fileOf(url)), url],
    ]);
  }

  aria2c(
    url: string,
    connections: number,
    { ca, flags = [] }: { ca?: string; flags?: string[] } = {},
  ): Contestant {
    const trust = ca === undefined ? [] : [`--ca-certificate=${ca}`];
    const count = String(connections);
    return this.#make(`aria2c -x${count}`, 'aria2c', (path, dest) => [
      ...[
        path,
        '--quiet',
        '--file-allocation=falloc',
        '-x',
        count,
        '-s',
        count,
        ...trust,
        ...flags,
      ],
      ...['-d', dest, url],
    ]);
  }

  /** A pipe of the shell; `$1` is the target. Fails when any part fails. */
  shell(name: string, needs: readonly Need[], script: string): Contestant {
    return {
      name,
      needs,
      command: (dest) => ({ argv: ['/bin/bash', '-o', 'pipefail', '-c', script, name, dest] }),
    };
  }

  /** Any program with any words. */
  plain(name: string, need: Need, args: (dest: string) => string[]): Contestant {
    return this.#make(name, need, (path, dest) => [path, ...args(dest)]);
  }

  #make(
    name: string,
    need: Need,
    argv: (path: string, dest: string) => string[],
    env: Record<string, string> = {},
  ): Contestant {
    const path = this.#tools.paths.get(need) ?? need;
    return { name, needs: [need], command: (dest) => ({ argv: argv(path, dest), env }) };
  }
}

/** How our command starts: the bundle, by the words of the image's entry point. */
export const OURS = entryPoint(readFileSync(join(ROOT, 'Dockerfile'), 'utf8'));

function entryPoint(dockerfile: string): string[] {
  const [, words] = /^ENTRYPOINT (\[.+\])$/m.exec(dockerfile)!;
  const [, ...rest] = JSON.parse(words!) as string[];
  return [process.execPath, ...rest.map((word) => word.replace(/^\/app\//, `${ROOT}build/image/`))];
}

function fileOf(url: string): string {
  return url.slice(url.lastIndexOf('/') + 1);
}
