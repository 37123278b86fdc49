/** A container as a kubelet would start it from its specification, in an unpacked image: mounts, user, limits, `/dev` of its own. */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { makeCgroup, type Cgroup, type Limits } from './cgroup.ts';
import { start, type Ran } from './process.ts';

export interface Mount {
  /** A folder of the host. */
  readonly from: string;
  /** Its place in the container. */
  readonly at: string;
  readonly readOnly?: boolean;
}

export interface ContainerRun {
  readonly rootfs: string;
  /** Entrypoint and arguments. */
  readonly command: readonly string[];
  /** All there is: no PATH, no HOME that is not here. */
  readonly env: Readonly<Record<string, string>>;
  readonly mounts: readonly Mount[];
  readonly uid: number;
  readonly gid: number;
  /** `fsGroup`. */
  readonly groups?: readonly number[];
  readonly limits?: Limits;
  /** A file of the host that becomes `/dev/termination-log`. */
  readonly terminationLog: string;
}

export interface ContainerEnd extends Ran {
  /** What `kubectl describe` would show. */
  readonly message: string;
  /** Absent where no group could be made; then `unlimited` says why. */
  readonly oomKills?: number;
  readonly unlimited?: string;
}

// $1 root, $2 log, $3 number of groups to join, these, number of mounts, these as from at ro|rw, variables, the command. The root
// is read-only and privileges cannot be gained. Variables go round the shell, which drops names that it cannot use itself.
const SCRIPT = `set -e
root=$1 log=$2; shift 2
count=$1; shift
while [ "$count" -gt 0 ]; do echo 0 > "$1"; shift; count=$((count - 1)); done
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for device in null zero random urandom; do : > "$root/dev/$device"; mount --bind "/dev/$device" "$root/dev/$device"; done
: > "$root/dev/termination-log"; mount --bind "$log" "$root/dev/termination-log"
count=$1; shift
mount --bind /etc/hosts "$root/etc/hosts"
mount -o remount,bind,ro "$root"
while [ "$count" -gt 0 ]; do
  mount --bind "$1" "$root$2"
  if [ "$3" = ro ]; then mount -o remount,bind,ro "$root$2"; fi
  shift 3; count=$((count - 1))
done
exec setpriv --no-new-privs env -i "$@"`;

const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Runs it to its end, and takes away the mount points that were made for it. */
export async function runContainer(container: ContainerRun): Promise<ContainerEnd> {
  const { rootfs, limits, terminationLog, mounts, uid, gid, groups = [] } = container;
  const points = ['/proc', '/dev', ...mounts.map(({ at }) => at)];
  const made = points.flatMap((at) => makePoint(rootfs, at));
  const hosts = join(rootfs, 'etc/hosts');
  const ownHosts = existsSync(hosts);
  if (!ownHosts) writeFileSync(hosts, '');
  writeFileSync(terminationLog, '');
  chmodSync(terminationLog, 0o666);
  const group: Cgroup | { readonly missing: string } | undefined = limits && makeCgroup(limits);
  const procs = group && 'procs' in group ? group.procs : [];
  const binds = mounts.flatMap(({ from, at, readOnly }) => [from, at, readOnly ? 'ro' : 'rw']);
  try {
    const ran = await start(
      'unshare',
      [
        ...['--mount', '--pid', '--fork', '--kill-child', '--propagation', 'private'],
        ...['sh', '-c', SCRIPT, 'sh', rootfs, terminationLog],
        ...[String(procs.length), ...procs, String(mounts.length), ...binds],
        ...Object.entries({ PATH, ...container.env }).map(([name, value]) => `${name}=${value}`),
        ...['chroot', `--userspec=${String(uid)}:${String(gid)}`, `--groups=${groups.join(',')}`],
        ...[rootfs, ...container.command],
      ],
      {
        env: { PATH },
        signal: AbortSignal.timeout(180_000),
      },
    ).done;
    const message = readFileSync(terminationLog, 'utf8');
    if (group === undefined) return { ...ran, message };
    if ('missing' in group) return { ...ran, message, unlimited: group.missing };
    return { ...ran, message, oomKills: group.oomKills() };
  } finally {
    if (group && 'remove' in group) await group.remove();
    for (const folder of made.reverse()) rmdirSync(folder);
    if (!ownHosts) rmSync(hosts);
  }
}

/** Answers the folders that were missing, the outermost first. */
function makePoint(rootfs: string, at: string): string[] {
  const made: string[] = [];
  for (let place = at; place !== '/' && !existsSync(join(rootfs, place)); place = dirname(place))
    made.unshift(join(rootfs, place));
  for (const folder of made) {
    mkdirSync(folder);
    chmodSync(folder, 0o755);
  }
  return made;
}
