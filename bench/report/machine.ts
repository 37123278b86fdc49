/** Where and with what the figures were made. */
import { execFileSync } from 'node:child_process';
import { cpus, loadavg, release, totalmem } from 'node:os';
import type { Need, Tools } from '../tools.ts';

/** Facts by name, for the head of the report. */
export type Machine = Readonly<Record<string, string>>;

const PACKAGES =
  'from importlib.metadata import version as v; print("kserve-storage", v("kserve-storage"), "boto3", v("boto3"))';

const VERSIONS: readonly (readonly [Need, string[]])[] = [
  ['nginx', ['-v']],
  ['curl', ['--version']],
  ['aria2c', ['--version']],
  ['s5cmd', ['version']],
  ['rclone', ['version']],
  ['minio', ['--version']],
  ['python', ['-c', PACKAGES]],
  ['tar', ['--version']],
  ['gzip', ['--version']],
];

export function describeMachine(
  tools: Tools,
  {
    folder,
    size,
    rounds,
    commit,
  }: { folder: string; size: string; rounds: number; commit: string },
): Machine {
  const disk = execFileSync('df', ['--output=fstype', folder], { encoding: 'utf8' });
  return {
    date: new Date().toISOString(),
    commit,
    sizes: size,
    'rounds at most': String(rounds),
    processor: `${cpus().length} x ${cpus()[0]?.model ?? 'unknown'}`,
    memory: `${(totalmem() / 2 ** 30).toFixed(1)} GiB`,
    kernel: release(),
    'file system': disk.trim().split('\n').at(-1) ?? '',
    'load before': loadavg()[0]!.toFixed(2),
    node: process.version,
    ...Object.fromEntries(VERSIONS.map(([need, words]) => [need, versionOf(tools, need, words)])),
  };
}

/** What `git describe` says of the working tree. */
export function commitOf(root: string): string {
  try {
    return execFileSync('git', ['describe', '--always', '--dirty'], {
      cwd: root,
      encoding: 'utf8',
    }).trim();
  } catch {
    return 'unknown';
  }
}

function versionOf(tools: Tools, need: Need, words: string[]): string {
  const path = tools.paths.get(need);
  if (path === undefined) return `missing: ${tools.missing.get(need) ?? ''}`;
  try {
    const said = execFileSync('/bin/sh', ['-c', '"$0" "$@" 2>&1', path, ...words], {
      encoding: 'utf8',
    });
    return said.trim().split('\n')[0] ?? '';
  } catch {
    return 'unknown';
  }
}
