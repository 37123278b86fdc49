/**
 * One run at a time in a target. A lease file, not `flock`, which network file systems grant to everybody. It saves work and
 * keeps two runs' renames apart; it is held by a heartbeat, and a holder that is provably dead loses it at once.
 */
import { randomUUID } from 'node:crypto';
import {
  linkSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { hostname } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { onDisk } from '../disk.ts';
import { ModelFetchError } from '../errors.ts';
import { pause } from '../transfer/retry.ts';

const BEAT_MS = 5_000;
/** Without a beat for this long, by the file system's own clock, the holder is taken for dead. */
const DEAD_MS = 30_000;
const POLL_MS = 200;

interface Holder {
  readonly id: string;
  readonly host: string;
  /** Boot and process namespace: within them, a process id and its start time name one process for good. */
  readonly realm: string;
  readonly pid: number;
  readonly start: string;
}

/** Waits for the lease on `path` at most `timeoutMs`; `BUSY` then. The result gives it back. */
export async function acquireLock(
  path: string,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<() => void> {
  const me: Holder = {
    id: randomUUID(),
    host: hostname(),
    realm: realm(),
    pid: process.pid,
    start: startOf(process.pid),
  };
  const mine = `${path}.${me.id}`;
  onDisk(path, () => {
    writeFileSync(mine, JSON.stringify(me), { flag: 'wx' });
  });
  // From the start: whoever waits is alive as well.
  const beat = setInterval(() => {
    const now = new Date();
    try {
      utimesSync(mine, now, now);
      // One inode, but for volumes without hard links.
      if (readHolder(path)?.id === me.id) utimesSync(path, now, now);
    } catch {
      // The volume is going away; the run itself will say so.
    }
  }, BEAT_MS);
  beat.unref();
  try {
    const deadline = Date.now() + timeoutMs;
    while (!tryLink(mine, path)) {
      const holder = readHolder(path);
      if (dead(holder, path, mine)) evict(path, holder);
      else if (Date.now() >= deadline)
        throw new ModelFetchError(
          'BUSY',
          `another run holds ${path}${holder ? ` (process ${String(holder.pid)} on ${holder.host})` : ''}`,
          {
            path,
            hint: 'Wait for it, or raise --lock-timeout.',
          },
        );
      else await pause(POLL_MS, signal);
    }
    sweep(path, mine);
  } catch (error) {
    clearInterval(beat);
    rmSync(mine, { force: true });
    throw error;
  }
  return () => {
    clearInterval(beat);
    const held = readHolder(path)?.id === me.id;
    // In this order: what a kill leaves is a lease of a dead holder, which the next run evicts.
    rmSync(mine, { force: true });
    if (held) rmSync(path, { force: true });
  };
}

/** `link` is exclusive on every file system that has it, NFS included. Both names share one inode, and one heartbeat. */
function tryLink(mine: string, path: string): boolean {
  try {
    linkSync(mine, path);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') return false;
    if (code === 'EPERM' || code === 'ENOTSUP' || code === 'ENOSYS' || code === 'EMLINK')
      return tryCreate(mine, path);
    throw error;
  }
}

/** FUSE mounts without hard links. */
function tryCreate(mine: string, path: string): boolean {
  try {
    writeFileSync(path, readFileSync(mine), { flag: 'wx' });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

function readHolder(path: string): Holder | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Holder;
  } catch {
    return undefined;
  }
}

/** A lease that cannot be read is nobody's, but it may be just being written: it gets its time. */
function dead(holder: Holder | undefined, path: string, mine: string): boolean {
  if (holder?.realm === realm()) return startOf(holder.pid) !== holder.start;
  try {
    const now = new Date();
    utimesSync(mine, now, now);
    // Our own file was touched just now, by the same clock or at least the same server: only the difference counts.
    return statSync(mine).mtimeMs - statSync(path).mtimeMs > DEAD_MS;
  } catch {
    return false;
  }
}

/** Of several who see the same dead holder, one rename wins; whoever then finds another's lease in hand puts it back. */
function evict(path: string, holder: Holder | undefined): void {
  const grave = `${path}.${randomUUID()}.dead`;
  try {
    renameSync(path, grave);
    if (readHolder(grave)?.id !== holder?.id) linkSync(grave, path);
    unlinkSync(grave);
  } catch {
    // Someone else was faster; the next try sees what they made of it.
  }
  if (!holder) return;
  try {
    unlinkSync(`${path}.${holder.id}`);
  } catch {
    // Gone already.
  }
}

/** Removes what runs that were killed while they waited have left beside the lease. */
function sweep(path: string, mine: string): void {
  try {
    for (const name of readdirSync(dirname(path))) {
      const file = join(dirname(path), name);
      if (!name.startsWith(`${basename(path)}.`) || file === mine) continue;
      const holder = readHolder(file);
      if (holder && dead(holder, file, mine)) rmSync(file, { force: true });
    }
  } catch {
    // It is only tidying up: the lease is held.
  }
}

function realm(): string {
  try {
    return `${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()} ${readlinkSync('/proc/self/ns/pid')}`;
  } catch {
    return `host ${hostname()} ${process.platform}`;
  }
}

/** Start time of a process in clock ticks since boot; empty when there is none. Source: proc(5), field 22. */
function startOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${String(pid)}/stat`, 'latin1');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  } catch {
    try {
      // No /proc here: alive is all that can be known.
      process.kill(pid, 0);
      return process.platform === 'linux' ? '' : 'alive';
    } catch {
      return '';
    }
  }
}
