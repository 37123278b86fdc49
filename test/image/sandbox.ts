/**
 * Runs an image's program as a kubelet would have it run: first process of its own process space, root file system
 * read-only, any uid, one writable volume. `unshare` and `chroot` do what a container runtime does, where none can run.
 */
import { mkdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ChildProcess } from 'node:child_process';
import { start, type Ran } from './process.ts';

export interface Sandbox {
  /** The unpacked image. */
  readonly rootfs: string;
  readonly uid: number;
  readonly gid: number;
  /** Mounted, writable, at /mnt/models. */
  readonly volume: string;
  readonly env: Readonly<Record<string, string>>;
  /** The whole command line. */
  readonly command: readonly string[];
}

// $1 root file system, $2 volume, $3 uid:gid, then the command. Nothing of the host's environment comes along.
const SCRIPT = `set -e
root=$1 volume=$2 user=$3; shift 3
mount --bind "$root" "$root"
mount --bind "$volume" "$root/mnt/models"
mount -o remount,bind,ro "$root"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
exec chroot --userspec="$user" --groups= "$root" "$@"`;

/** `terminate` sends SIGTERM to the program itself, as its process space's first process. */
export function runSandboxed(sandbox: Sandbox): {
  done: Promise<Ran>;
  terminate: () => Promise<void>;
} {
  for (const place of ['proc', 'dev', 'mnt/models'])
    mkdirSync(join(sandbox.rootfs, place), { recursive: true });
  const { child, done } = start(
    'unshare',
    [
      '--mount',
      '--pid',
      '--fork',
      '--kill-child',
      '--propagation',
      'private',
      'sh',
      '-c',
      SCRIPT,
      'sh',
      sandbox.rootfs,
      sandbox.volume,
      `${String(sandbox.uid)}:${String(sandbox.gid)}`,
      ...sandbox.command,
    ],
    { env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', ...sandbox.env } },
  );
  return { done, terminate: () => terminateChildOf(child) };
}

async function terminateChildOf(parent: ChildProcess): Promise<void> {
  const pid = String(parent.pid);
  const children = (await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')).trim();
  process.kill(Number(children.split(' ')[0]), 'SIGTERM');
}
