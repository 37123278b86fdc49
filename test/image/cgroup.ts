/** A group of processes with so much memory and CPU, as a kubelet makes one for a container: cgroups of version 2, or of version 1. */
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const MOUNT = '/sys/fs/cgroup';
/** Microseconds in which the share of CPU is counted. */
const PERIOD = 100_000;

export interface Cgroup {
  /** Files that a process writes `0` to, to join. */
  readonly procs: readonly string[];
  /** Processes that the kernel killed for want of memory. */
  oomKills(): number;
  /** Resolves when it is gone; a folder that stays busy is left behind. */
  remove(): Promise<void>;
}

export interface Limits {
  /** Bytes, page cache included. */
  readonly memory: number;
  /** CPUs; may be a fraction. */
  readonly cpu: number;
}

let made = 0;

/** Makes one, or says why it cannot. */
export function makeCgroup({ memory, cpu }: Limits): Cgroup | { readonly missing: string } {
  const name = `model-fetch-image-${String(process.pid)}-${String((made += 1))}`;
  const second = existsSync(join(MOUNT, 'cgroup.controllers'));
  const quota = String(Math.round(cpu * PERIOD));
  const folders: string[] = [];
  const make = (parent: string, settings: Readonly<Record<string, string>>): string => {
    const folder = join(MOUNT, parent, name);
    mkdirSync(folder);
    folders.push(folder);
    for (const [file, value] of Object.entries(settings)) writeFileSync(join(folder, file), value);
    return folder;
  };
  try {
    const main = second
      ? make('', { 'memory.max': String(memory), 'cpu.max': `${quota} ${String(PERIOD)}` })
      : make('memory', { 'memory.limit_in_bytes': String(memory) });
    if (!second) make('cpu', { 'cpu.cfs_period_us': String(PERIOD), 'cpu.cfs_quota_us': quota });
    const events = join(main, second ? 'memory.events' : 'memory.oom_control');
    if (!/^oom_kill /m.test(readFileSync(events, 'utf8')))
      throw new Error(`${events} does not count what was killed`);
    return {
      procs: folders.map((folder) => join(folder, 'cgroup.procs')),
      oomKills: () => Number(/^oom_kill (\d+)$/m.exec(readFileSync(events, 'utf8'))?.[1]),
      remove: async () => {
        for (const folder of folders) await removeSoon(folder, 50);
      },
    };
  } catch (error) {
    for (const folder of folders) void removeSoon(folder, 10);
    return { missing: `no cgroup can be made here: ${(error as Error).message}` };
  }
}

/** The kernel lets go of a group a little after its last process has ended. */
async function removeSoon(folder: string, tries: number): Promise<void> {
  try {
    rmdirSync(folder);
  } catch {
    if (tries === 0) return;
    await sleep(100);
    await removeSoon(folder, tries - 1);
  }
}
