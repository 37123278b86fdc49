/** A real forward proxy, its access log, and names that only it can resolve. */
import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Bench } from './bench.ts';
import { end } from './servers.ts';
import { freePort } from './wire.ts';

export interface Tinyproxy {
  /** Without credentials. */
  readonly url: string;
  readonly port: number;
  /** `CONNECT host:port` and `GET http://host/path`, since the last call, as its log has them. */
  readonly seen: () => string[];
}

/** Starts one; it resolves the names of `hosts` to 127.0.0.1, which nobody else does. */
export async function startTinyproxy(
  bench: Bench,
  how: { hosts: readonly string[]; user?: string; password?: string },
): Promise<Tinyproxy> {
  const folder = bench.newFolder();
  const port = await freePort();
  const log = join(folder, 'access.log');
  const config = join(folder, 'tinyproxy.conf');
  const auth = how.user === undefined ? [] : [`BasicAuth ${how.user} ${how.password ?? ''}`];
  writeFileSync(
    config,
    [
      ...[`Port ${String(port)}`, 'Listen 127.0.0.1', 'Allow 127.0.0.1', 'Timeout 60'],
      ...['MaxClients 200', `LogFile "${log}"`, 'LogLevel Connect', ...auth, ''],
    ].join('\n'),
  );
  const child = spawn(bench.tool('tinyproxy'), ['-d', '-c', config], {
    env: { PATH: '/usr/bin:/bin', ...resolving(bench, how.hosts) },
    stdio: 'ignore',
  });
  bench.onEnd(() => end(child));
  await listening(port);
  let told = 0;
  return {
    url: `http://127.0.0.1:${String(port)}`,
    port,
    seen: () => {
      const all = readFileSync(log, 'utf8').matchAll(/Request \([^)]*\): (\S+ \S+) HTTP/g);
      const lines = [...all].map(([, line]) => line!);
      const fresh = lines.slice(told);
      told = lines.length;
      return fresh;
    },
  };
}

/** Variables with which a process resolves `hosts` to 127.0.0.1. */
export function resolving(bench: Bench, hosts: readonly string[]): Record<string, string> {
  const file = join(bench.newFolder(), 'hosts');
  writeFileSync(file, hosts.map((host) => `127.0.0.1 ${host}\n`).join(''));
  return { LD_PRELOAD: bench.tool('libnss_wrapper'), NSS_WRAPPER_HOSTS: file };
}

async function listening(port: number): Promise<void> {
  for (let tries = 0; tries < 100; tries += 1) {
    const socket = connect(port, '127.0.0.1');
    const isOpen = await new Promise<boolean>((resolve) => {
      socket.once('connect', () => {
        resolve(true);
      });
      socket.once('error', () => {
        resolve(false);
      });
    });
    socket.destroy();
    if (isOpen) return;
    await sleep(50);
  }
  throw new Error('tinyproxy does not listen');
}
