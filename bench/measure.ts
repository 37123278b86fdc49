/** One measured run: a command in a process group of its own, timed by `measure.py` with wait4 and /proc. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { fileURLToPath } from 'node:url';
import { limitMemory } from './cgroup.ts';

const SCRIPT = fileURLToPath(new URL('measure.py', import.meta.url));
const run = promisify(execFile);

/** What to run, and under which conditions. */
export interface Command {
  readonly argv: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** The only core it may use; absent: all. */
  readonly core?: number;
  /** At most so many bytes of memory, page cache included, by a cgroup of its own. */
  readonly memory?: number;
  /** SIGKILL once `bytes` are on disk below `folder`. */
  readonly kill?: { readonly folder: string; readonly bytes: number };
}

/** What it took. Seconds and bytes; `maxrss` is the largest single process, `anon` the whole tree, sampled every 20 ms. */
export interface Taken {
  readonly wall: number;
  readonly user: number;
  readonly sys: number;
  readonly maxrss: number;
  readonly anon: number;
  readonly samples: number;
  readonly status: number;
  readonly killed: 'timeout' | 'bytes' | null;
}

/** Where a run works and for how long it may. */
export interface Place {
  readonly cwd: string;
  readonly stdout: string;
  readonly stderr: string;
  readonly timeoutSeconds: number;
}

/** Runs `command` to its end, whatever its status. */
export async function measure(command: Command, place: Place): Promise<Taken> {
  const group = command.memory === undefined ? undefined : limitMemory(command.memory);
  if (group && 'missing' in group) throw new Error(group.missing);
  const spec = {
    argv: command.argv,
    env: { PATH: '/usr/local/bin:/usr/bin:/bin', HOME: place.cwd, ...command.env },
    cwd: place.cwd,
    stdout: place.stdout,
    stderr: place.stderr,
    timeout: place.timeoutSeconds,
    core: command.core ?? null,
    cgroup: group?.path ?? null,
    kill: command.kill ?? null,
  };
  try {
    const { stdout } = await run('/usr/bin/python3', [SCRIPT, JSON.stringify(spec)]);
    return JSON.parse(stdout) as Taken;
  } finally {
    await group?.remove();
  }
}

/** CPU-seconds used so far by these processes (not their children), from /proc/PID/stat. Source: proc_pid_stat(5). */
export function cpuOf(pids: readonly number[]): number {
  return pids.reduce((total, pid) => total + cpuOfOne(pid), 0);
}

const TICKS_PER_SECOND = 100;

function cpuOfOne(pid: number): number {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The second field is the program's name in brackets, and may hold spaces.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
  } catch {
    return 0;
  }
}
