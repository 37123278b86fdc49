/** Fills a real store with objects: S3 through boto3, Google's through plain uploads. */
import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { ACCESS_KEY, SECRET_KEY, type RealServer } from './servers.ts';
import type { StoredObject } from './trees.ts';

export interface Store {
  createBucket(bucket: string): Promise<void>;
  /** Uploads below `prefix`; answers those whose names the store accepts. */
  put(bucket: string, prefix: string, objects: readonly StoredObject[]): Promise<StoredObject[]>;
  remove(bucket: string, key: string): Promise<void>;
  /** Anyone may list and read. S3 only. */
  makePublic(bucket: string): Promise<void>;
  /** A URL that anyone may read the object with for so many seconds. S3 only. */
  presign(bucket: string, key: string, seconds: number): Promise<string>;
  close(): Promise<void>;
}

/** What clients need to reach `server` with the right credentials. */
export function credentials(server: RealServer): Record<string, string> {
  return server.kind.scheme === 'gs'
    ? { STORAGE_EMULATOR_HOST: server.url }
    : {
        AWS_ENDPOINT_URL: server.url,
        AWS_ACCESS_KEY_ID: ACCESS_KEY,
        AWS_SECRET_ACCESS_KEY: SECRET_KEY,
        AWS_REGION: 'us-east-1',
        AWS_DEFAULT_REGION: 'us-east-1',
        AWS_EC2_METADATA_DISABLED: 'true',
      };
}

/** `env`: what the uploading client needs beside the credentials. */
export function openStore(
  server: RealServer,
  python: string,
  env: Readonly<Record<string, string>> = {},
): Store {
  return server.kind.scheme === 'gs' ? gcsStore(server) : s3Store(server, python, env);
}

function s3Store(server: RealServer, python: string, env: Readonly<Record<string, string>>): Store {
  const script = fileURLToPath(new URL('store.py', import.meta.url));
  const child = spawn(python, [script], {
    env: { PATH: '/usr/bin:/bin', HOME: server.folder, ...credentials(server), ...env },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const call = async (command: object): Promise<unknown> => {
    child.stdin.write(`${JSON.stringify(command)}\n`);
    const line = await answers.next();
    if (line.done) throw new Error('the uploading process ended');
    const { value, error } = JSON.parse(line.value) as { value: unknown; error?: string };
    if (error) throw new Error(`${server.kind.name}: ${error}`);
    return value;
  };
  let files = 0;
  const upload = join(server.folder, 'upload');
  mkdirSync(upload);
  return {
    createBucket: async (bucket) => {
      await call({ do: 'bucket', bucket });
    },
    put: async (bucket, prefix, objects) => {
      const items = objects.map(({ path, body, upload: how }) => {
        const file = join(upload, String((files += 1)));
        writeFileSync(file, body);
        return { key: prefix + path, file, ...how };
      });
      const refusals = (await call({ do: 'put', bucket, items })) as (string | null)[];
      // A name may be refused; a way of uploading may not, or a case would show nothing.
      const fault = objects.findIndex((one, index) => one.upload && refusals[index] !== null);
      if (fault !== -1) throw new Error(`${server.kind.name}: ${refusals[fault] ?? ''}`);
      return objects.filter((_, index) => refusals[index] === null);
    },
    remove: async (bucket, key) => {
      await call({ do: 'delete', bucket, key });
    },
    makePublic: async (bucket) => {
      const Resource = [`arn:aws:s3:::${bucket}`, `arn:aws:s3:::${bucket}/*`];
      const Action = ['s3:GetObject', 's3:ListBucket'];
      await call({
        do: 'policy',
        bucket,
        policy: {
          Version: '2012-10-17',
          Statement: [{ Effect: 'Allow', Principal: '*', Action, Resource }],
        },
      });
    },
    presign: async (bucket, key, seconds) =>
      (await call({ do: 'presign', bucket, key, seconds })) as string,
    close: () =>
      new Promise((resolve) => {
        child.once('exit', () => {
          resolve();
        });
        child.stdin.end();
      }),
  };
}

function gcsStore(server: RealServer): Store {
  const send = async (
    method: string,
    path: string,
    body?: string | Uint8Array<ArrayBuffer>,
  ): Promise<void> => {
    const answer = await fetch(`${server.url}${path}`, {
      method,
      ...(body !== undefined && { body }),
    });
    if (!answer.ok)
      throw new Error(`${method} ${path}: ${String(answer.status)} ${await answer.text()}`);
    await answer.body?.cancel();
  };
  return {
    createBucket: (bucket) =>
      send('POST', '/storage/v1/b?project=test', JSON.stringify({ name: bucket })),
    put: async (bucket, prefix, objects) => {
      const accepted: StoredObject[] = [];
      for (const object of objects) {
        const name = encodeURIComponent(prefix + object.path);
        const path = `/upload/storage/v1/b/${bucket}/o?uploadType=media&name=${name}`;
        await send('POST', path, new Uint8Array(object.body)).then(
          () => accepted.push(object),
          () => undefined,
        );
      }
      return accepted;
    },
    remove: (bucket, key) => send('DELETE', `/storage/v1/b/${bucket}/o/${encodeURIComponent(key)}`),
    makePublic: () => Promise.reject(new Error('an emulator checks no credentials')),
    presign: () => Promise.reject(new Error('an emulator checks no signatures')),
    close: () => Promise.resolve(),
  };
}
