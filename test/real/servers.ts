/** The real object stores, each on a free port of the loopback with its data in a temporary folder, behind a wire. */
import { spawn, type ChildProcess } from 'node:child_process';
import { createWriteStream, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ToolName } from './tools.ts';
import { freePort, startWire, type Wire } from './wire.ts';

export const ACCESS_KEY = 'modelfetchtest';
export const SECRET_KEY = 'modelfetchsecret';

/** How to start one, and what it can and cannot do. */
export interface ServerKind {
  readonly name: string;
  readonly tool: ToolName;
  readonly scheme: 's3' | 'gs';
  /** Arguments and environment for a server on `port`, whose clients believe it is on `publicPort`. */
  readonly start: (place: { port: number; publicPort: number; folder: string }) => {
    args: string[];
    env?: Record<string, string>;
  };
  /** Where to ask whether it is there; any answer will do. */
  readonly ready?: string;
  /** Refuses requests signed with another secret, and unsigned ones. */
  readonly authenticates?: boolean;
  /** Knows bucket policies that let anyone read. */
  readonly policies?: boolean;
  /** Keeps the checksums of multipart uploads. */
  readonly checksums?: boolean;
  /** Tells them part by part. */
  readonly partChecksums?: boolean;
  /** Accepts keys that cannot be file names, such as `a//b` and `../c`. */
  readonly anyKey?: boolean;
  /** Speaks TLS. */
  readonly secure?: boolean;
  /** Keeps objects as plain files of these names below its folder. */
  readonly file?: (folder: string, bucket: string, key: string) => string;
}

export interface RealServer {
  readonly kind: ServerKind;
  /** Through the wire. */
  readonly url: string;
  readonly wire: Wire;
  readonly folder: string;
  readonly stop: () => Promise<void>;
}

export const SERVERS: readonly ServerKind[] = [
  {
    name: 'MinIO',
    tool: 'minio',
    scheme: 's3',
    authenticates: true,
    policies: true,
    checksums: true,
    partChecksums: true,
    ready: '/minio/health/live',
    start: ({ port, folder }) => ({
      args: [
        'server',
        join(folder, 'data'),
        '--quiet',
        '--address',
        at(port),
        '--console-address',
        at(0),
      ],
      env: {
        MINIO_ROOT_USER: ACCESS_KEY,
        MINIO_ROOT_PASSWORD: SECRET_KEY,
        MINIO_BROWSER: 'off',
        MINIO_UPDATE: 'off',
      },
    }),
  },
  {
    name: 'versitygw',
    tool: 'versitygw',
    scheme: 's3',
    authenticates: true,
    policies: true,
    checksums: true,
    start: ({ port, folder }) => ({
      args: [
        '--port',
        at(port),
        'posix',
        '--sidecar',
        subfolder(folder, 'meta'),
        subfolder(folder, 'data'),
      ],
      env: { ROOT_ACCESS_KEY: ACCESS_KEY, ROOT_SECRET_KEY: SECRET_KEY },
    }),
    file: (folder, bucket, key) => join(folder, 'data', bucket, key),
  },
  {
    name: 'rclone',
    tool: 'rclone',
    scheme: 's3',
    authenticates: true,
    start: ({ port, folder }) => ({
      args: [
        'serve',
        's3',
        '--config',
        '',
        '--addr',
        at(port),
        '--auth-key',
        `${ACCESS_KEY},${SECRET_KEY}`,
        subfolder(folder, 'data'),
      ],
    }),
  },
  {
    name: 'moto',
    tool: 'moto_server',
    scheme: 's3',
    checksums: true,
    anyKey: true,
    start: ({ port }) => ({ args: ['-H', '127.0.0.1', '-p', String(port)] }),
  },
  {
    name: 'fake-gcs-server',
    tool: 'fake-gcs-server',
    scheme: 'gs',
    anyKey: true,
    ready: '/storage/v1/b',
    start: ({ port, publicPort, folder }) => ({
      args: [
        '-scheme',
        'http',
        '-host',
        '127.0.0.1',
        '-port',
        String(port),
        '-backend',
        'memory',
        '-data',
        subfolder(folder, 'data'),
        '-public-host',
        at(publicPort),
        '-log-level',
        'warn',
      ],
    }),
  },
];

/** The server of that name, to be varied. */
export function serverKind(name: string): ServerKind {
  const kind = SERVERS.find((one) => one.name === name);
  if (!kind) throw new Error(`there is no ${name}`);
  return kind;
}

/** `kind` with more arguments and environment. */
export function varied(
  kind: ServerKind,
  more: { args?: readonly string[]; env?: Readonly<Record<string, string>> },
): ServerKind {
  return {
    ...kind,
    start: (place) => {
      const { args, env } = kind.start(place);
      return { args: [...args, ...(more.args ?? [])], env: { ...env, ...more.env } };
    },
  };
}

/** Resolves when it answers; throws with the last lines of its log when it does not within a minute. */
export async function startServer(
  kind: ServerKind,
  command: string,
  folder: string,
): Promise<RealServer> {
  const port = await freePort();
  const wire = await startWire(() => port);
  const { args, env } = kind.start({ port, publicPort: wire.port, folder });
  const log = join(folder, 'server.log');
  const child = spawn(command, args, {
    cwd: folder,
    env: { PATH: '/usr/bin:/bin', HOME: folder, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const sink = createWriteStream(log);
  child.stdout.pipe(sink, { end: false });
  child.stderr.pipe(sink, { end: false });
  const stop = async (): Promise<void> => {
    await Promise.all([end(child), wire.close()]);
    sink.end();
  };
  try {
    await answering(`http://${at(port)}${kind.ready ?? '/'}`, child);
  } catch (error) {
    await stop();
    throw new Error(
      `${kind.name} did not start: ${(error as Error).message}\n${readFileSync(log, 'utf8').slice(-1500)}`,
      { cause: error },
    );
  }
  const protocol = kind.secure ? 'https' : 'http';
  return { kind, url: `${protocol}://${at(wire.port)}`, wire, folder, stop };
}

/** Waits until `url` answers anything, as long as `child` lives and a minute at most. */
export async function answering(url: string, child: ChildProcess): Promise<void> {
  for (let tries = 0; tries < 300; tries += 1) {
    if (child.exitCode !== null) throw new Error(`it ended with ${String(child.exitCode)}`);
    const answer = await fetch(url).catch(() => undefined);
    await answer?.body?.cancel();
    if (answer) return;
    await sleep(200);
  }
  throw new Error('it did not answer within a minute');
}

/** Asks `child` to end, then insists. */
export async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  const insist = setTimeout(() => child.kill('SIGKILL'), 5000);
  await ended;
  clearTimeout(insist);
}

export const at = (port: number): string => `127.0.0.1:${String(port)}`;

function subfolder(folder: string, name: string): string {
  mkdirSync(join(folder, name), { recursive: true });
  return join(folder, name);
}
