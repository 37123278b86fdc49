/** A real API server on the loopback, with etcd behind it and nothing else: no scheduler, no node, nothing ever runs. */
import { spawn, type ChildProcess } from 'node:child_process';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../real/wire.ts';
import type { ToolName } from './tools.ts';

/** What a call of kubectl came to. */
export interface Answer {
  readonly ok: boolean;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Cluster {
  /** Runs kubectl as the cluster's administrator; `input` is its standard input. Resolves whatever it answers. */
  kubectl(args: readonly string[], input?: string): Promise<Answer>;
  /** Ends both processes, by their ids. */
  stop(): Promise<void>;
}

/** Ready when it answers `/readyz`; throws with the last lines of the log when that takes two minutes. `signal` ends it. */
export async function startCluster(
  tools: Readonly<Record<ToolName, string>>,
  folder: string,
  signal: AbortSignal,
): Promise<Cluster> {
  const [client, peer, secure] = [await freePort(), await freePort(), await freePort()];
  const token = randomBytes(16).toString('hex');
  writeCredentials(folder, token, secure);
  const etcd = launch(tools.etcd, etcdArgs(folder, client, peer), folder);
  const server = launch(tools['kube-apiserver'], serverArgs(folder, client, secure), folder);
  const cluster: Cluster = {
    kubectl: (args, input) => callKubectl(tools.kubectl, args, folder, input),
    // etcd last: without it the server would take its time to give up.
    stop: async () => {
      await end(server);
      await end(etcd);
    },
  };
  try {
    await ready(cluster, [etcd, server], signal);
    return cluster;
  } catch (error) {
    await cluster.stop();
    const log = readFileSync(join(folder, 'kube-apiserver.log'), 'utf8').slice(-2000);
    throw new Error(`no API server: ${(error as Error).message}\n${log}`, { cause: error });
  }
}

/** Keys for tokens that nobody asks for, one administrator, and kubectl's own configuration. */
function writeCredentials(folder: string, token: string, port: number): void {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  writeFileSync(join(folder, 'sa.pub'), publicKey.export({ type: 'spki', format: 'pem' }));
  writeFileSync(join(folder, 'sa.key'), privateKey.export({ type: 'pkcs8', format: 'pem' }));
  writeFileSync(join(folder, 'tokens.csv'), `${token},admin,uid1,"system:masters"\n`);
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'test',
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'admin' } }],
    users: [{ name: 'admin', user: { token } }],
    clusters: [
      {
        name: 'test',
        // Its certificate is its own, made at its start.
        cluster: { server: `https://127.0.0.1:${String(port)}`, 'insecure-skip-tls-verify': true },
      },
    ],
  };
  writeFileSync(join(folder, 'kubeconfig'), JSON.stringify(config));
}

function etcdArgs(folder: string, client: number, peer: number): string[] {
  const url = (port: number) => `http://127.0.0.1:${String(port)}`;
  return [
    `--data-dir=${join(folder, 'etcd')}`,
    `--listen-client-urls=${url(client)}`,
    `--advertise-client-urls=${url(client)}`,
    `--listen-peer-urls=${url(peer)}`,
    `--initial-advertise-peer-urls=${url(peer)}`,
    `--initial-cluster=default=${url(peer)}`,
    '--unsafe-no-fsync',
  ];
}

function serverArgs(folder: string, etcd: number, port: number): string[] {
  return [
    `--etcd-servers=http://127.0.0.1:${String(etcd)}`,
    '--bind-address=127.0.0.1',
    '--advertise-address=127.0.0.1',
    `--secure-port=${String(port)}`,
    `--cert-dir=${join(folder, 'certificates')}`,
    `--service-account-key-file=${join(folder, 'sa.pub')}`,
    `--service-account-signing-key-file=${join(folder, 'sa.key')}`,
    '--service-account-issuer=https://kubernetes.invalid',
    '--service-cluster-ip-range=10.0.0.0/24',
    '--authorization-mode=AlwaysAllow',
    `--token-auth-file=${join(folder, 'tokens.csv')}`,
    // No controller makes the service accounts it would ask for.
    '--disable-admission-plugins=ServiceAccount',
    '--allow-privileged=true',
  ];
}

function launch(command: string, args: readonly string[], folder: string): ChildProcess {
  const log = openSync(join(folder, `${command.split('/').at(-1)!}.log`), 'a');
  const child = spawn(command, args, {
    cwd: folder,
    env: { PATH: '/usr/bin:/bin', HOME: folder },
    stdio: ['ignore', log, log],
  });
  child.on('error', () => undefined);
  closeSync(log);
  return child;
}

/** Its cache of what the server offers lies in the temporary folder too. */
function callKubectl(
  command: string,
  args: readonly string[],
  folder: string,
  input = '',
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      env: { PATH: '/usr/bin:/bin', HOME: folder, KUBECONFIG: join(folder, 'kubeconfig') },
      timeout: 60_000,
    });
    const texts = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr'] as const)
      child[name].setEncoding('utf8').on('data', (text: string) => (texts[name] += text));
    child.on('error', reject);
    child.on('close', (code) => {
      resolve({ ok: code === 0, ...texts });
    });
    child.stdin.on('error', () => undefined).end(input);
  });
}

async function ready(
  cluster: Cluster,
  children: readonly ChildProcess[],
  signal: AbortSignal,
): Promise<void> {
  const until = Date.now() + 120_000;
  for (;;) {
    signal.throwIfAborted();
    const dead = children.find(({ exitCode, pid }) => exitCode !== null || pid === undefined);
    if (dead) throw new Error(`${dead.spawnfile} ended with ${String(dead.exitCode)}`);
    const { ok, stderr } = await cluster.kubectl(['get', '--raw', '/readyz']);
    if (ok) return;
    if (Date.now() > until) throw new Error(stderr.trim());
    await sleep(300);
  }
}

/** Asks, then insists. */
async function end(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  const insist = setTimeout(() => child.kill('SIGKILL'), 10_000);
  await ended;
  clearTimeout(insist);
}
