/** The checks of `model-fetch doctor` that need no model: the machine, the disk, the surroundings. */
import { constants } from 'node:fs';
import { access, readFile, stat, statfs } from 'node:fs/promises';
import { totalmem } from 'node:os';
import { dirname } from 'node:path';
import { thisMachine } from '../machine.ts';
import { redactText } from '../redact.ts';
import type { Env } from '../registry.ts';
import { VERSION } from '../version.ts';
import { count, formatBytes } from './format.ts';

/** One line of the answer. `exit`: the status that a failure of it ends the command with. */
export interface Finding {
  readonly check: string;
  readonly status: 'ok' | 'warn' | 'fail';
  readonly detail: string;
  readonly hint?: string;
  readonly exit?: number;
}

export function checkVersions(): Finding {
  const { version, platform, arch } = process;
  return {
    check: 'version',
    status: 'ok',
    detail: `model-fetch ${VERSION}, Node ${version.slice(1)}, ${platform} ${arch}`,
  };
}

/** Who we are decides what we may write; an arbitrary uid without a name is normal in a pod. */
export function checkUser(): Finding {
  const [uid, gid] = [process.getuid?.(), process.getgid?.()];
  if (uid === undefined)
    return { check: 'user', status: 'ok', detail: 'this system has no user ids' };
  return {
    check: 'user',
    status: 'ok',
    detail: `uid ${uid}, gid ${gid ?? '?'}, groups ${process.getgroups?.().join(' ') ?? '?'}`,
  };
}

/** Whether `dest`, or the nearest folder above it that exists, may be written, and how much is free there. */
export async function checkDest(dest: string, asked: boolean): Promise<Finding> {
  let folder = dest;
  while (!(await exists(folder)) && dirname(folder) !== folder) folder = dirname(folder);
  const missing = folder === dest ? '' : `${dest} does not exist yet; `;
  const failed = { check: 'destination', status: asked ? 'fail' : 'warn', exit: 15 } as const;
  try {
    if (!(await stat(folder)).isDirectory())
      return {
        ...failed,
        detail: `${missing}${folder} is not a directory`,
        hint: 'Choose a directory.',
      };
    const { bavail, bsize, ffree } = await statfs(folder);
    const free = bavail * bsize;
    await access(folder, constants.W_OK | constants.X_OK);
    const detail = `${missing}${folder} is writable, ${formatBytes(free)} free`;
    if (free === 0) return { ...failed, detail, hint: 'Make room, or mount a larger volume.' };
    if (ffree === 0)
      return {
        check: 'destination',
        status: 'warn',
        detail: `${detail}, no inodes free`,
        hint: 'Make room: new files need inodes.',
      };
    return { check: 'destination', status: 'ok', detail };
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? String(error);
    const hint = 'Mount a writable volume there, or set fsGroup so that this user may write it.';
    return { ...failed, detail: `${missing}${folder} is not writable (${code})`, hint };
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EACCES';
  }
}

/** The memory and CPU that the control group allows. */
export function checkLimits(): Finding {
  const { cores, quota, memory } = thisMachine();
  const detail = [
    memory === undefined
      ? `memory ${formatBytes(totalmem())}, no limit`
      : `memory ${formatBytes(memory)}`,
    quota ? `CPU ${cores.toFixed(2)}` : `${count(cores, 'CPU')}, no limit`,
  ].join('; ');
  if (memory !== undefined && memory < 256 * 2 ** 20)
    return {
      check: 'limits',
      status: 'warn',
      detail,
      hint: 'Allow 256 MiB of memory: large models may need it.',
    };
  return { check: 'limits', status: 'ok', detail };
}

const PROXY_VARIABLES = ['HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY', 'NO_PROXY'].flatMap((name) => [
  name.toLowerCase(),
  name,
]);

/** The proxy variables that are set, and whether they can be understood. */
export async function checkProxy(env: Env): Promise<Finding> {
  const set = PROXY_VARIABLES.filter((name) => env[name]);
  if (set.length === 0) return { check: 'proxy', status: 'ok', detail: 'none' };
  const detail = set.map((name) => `${name}=${redactText(env[name]!)}`).join(' ');
  try {
    const { Proxies } = await import('../net/proxy.ts');
    const proxies = new Proxies(env);
    // Names that no NO_PROXY lists, so that every proxy is parsed.
    for (const url of ['http://model-fetch.invalid/', 'https://model-fetch.invalid/'])
      proxies.for(new URL(url));
    return { check: 'proxy', status: 'ok', detail };
  } catch (error) {
    return {
      check: 'proxy',
      status: 'fail',
      exit: 2,
      detail: `${detail}: ${(error as Error).message}`,
      ...hintOf(error),
    };
  }
}

/** Variables that name a file of certificates: ours, Node's and the SDKs'. */
const CA_VARIABLES = [
  'SSL_CERT_FILE',
  'REQUESTS_CA_BUNDLE',
  'NODE_EXTRA_CA_CERTS',
  'AWS_CA_BUNDLE',
];

/** Whether every file of certificates that the environment names can be read. */
export async function checkCertificates(env: Env): Promise<Finding> {
  const { caFiles } = await import('../net/ca.ts');
  const named = [...CA_VARIABLES.map((name) => env[name]), ...caFiles(env)].filter(
    (file) => file !== undefined && file !== '',
  );
  const files = [...new Set(named as string[])];
  if (files.length === 0)
    return { check: 'certificates', status: 'ok', detail: 'the roots that come with Node' };
  for (const file of files) {
    const problem = await certificateProblem(file);
    if (problem === undefined) continue;
    const hint = 'Check the variable that names it, and that the file is mounted and readable.';
    return { check: 'certificates', status: 'fail', exit: 2, detail: `${file} ${problem}`, hint };
  }
  return {
    check: 'certificates',
    status: 'ok',
    detail: `the roots that come with Node, and ${files.join(', ')}`,
  };
}

async function certificateProblem(file: string): Promise<string | undefined> {
  try {
    return (await readFile(file, 'utf8')).includes('-----BEGIN')
      ? undefined
      : 'holds no PEM certificate';
  } catch (error) {
    return `cannot be read (${(error as NodeJS.ErrnoException).code ?? String(error)})`;
  }
}

/** The hint of one of our errors, for a finding. */
export function hintOf(error: unknown): { hint?: string } {
  const hint = (error as { hint?: unknown } | undefined)?.hint;
  return typeof hint === 'string' ? { hint } : {};
}
