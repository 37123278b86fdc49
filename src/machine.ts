/**
 * What this process may use of the machine: cores and memory, as the kernel's control groups limit them. Both generations:
 * cgroup-v2.rst and cgroup-v1/ in Linux, Documentation/admin-guide, and scheduler/sched-bwc.rst for the quota of CPU time.
 */
import { readFileSync } from 'node:fs';
import { availableParallelism, totalmem } from 'node:os';
import { join } from 'node:path';

export interface Machine {
  /** CPUs' worth of time it may use: the quota where there is one, such as 0.5, else the CPUs it may run on. */
  readonly cores: number;
  /** Whether `cores` is a quota, which the kernel enforces by stopping the process for parts of its periods. */
  readonly quota: boolean;
  /** Bytes, page cache included; undefined where only the machine's own memory is the limit. */
  readonly memory?: number;
  /** What has happened so far. Reads a file or two. */
  readonly usage: () => Usage;
}

/** Sums since the group was made. */
export interface Usage {
  /** Periods of the quota in which the group ran, and those in which it was stopped for the rest of them. */
  readonly periods: number;
  readonly throttledPeriods: number;
  /** Bytes in use now, page cache included. */
  readonly memory?: number;
}

/** Where to look, and what the operating system says without control groups; for tests. */
export interface MachineFiles {
  /** Where control groups are mounted. */
  readonly mount?: string;
  /** Which groups this process is in; cgroups(7). */
  readonly groups?: string;
  readonly cores?: number;
  /** Bytes. */
  readonly memory?: number;
}

/** Looks once. Never throws: what cannot be read limits nothing. */
export function thisMachine(files: MachineFiles = {}): Machine {
  const { mount = '/sys/fs/cgroup', groups = '/proc/self/cgroup' } = files;
  const { cores = availableParallelism(), memory = totalmem() } = files;
  const { cpu, memory: memoryFolders } = foldersOf(mount, readText(groups) ?? '');
  const quota = least(cpu.map(quotaIn));
  const limit = least(memoryFolders.map(memoryLimitIn));
  const limiting = cpu.find((folder) => quota !== undefined && quotaIn(folder) === quota);
  // What Node answers may be the quota already, rounded down.
  const limited = quota !== undefined && quota < cores + 1;
  return {
    cores: limited ? quota : cores,
    quota: limited,
    ...(limit !== undefined && limit < memory && { memory: limit }),
    usage: () => {
      const used = memoryFolders.map(memoryUseIn).find((bytes) => bytes !== undefined);
      return {
        ...parseCpuStat(limiting === undefined ? '' : (readText(join(limiting, 'cpu.stat')) ?? '')),
        ...(used !== undefined && { memory: used }),
      };
    },
  };
}

/** A group's own path in each hierarchy, by controller; version 2 has the name `''`. */
export function parseGroups(text: string): ReadonlyMap<string, string> {
  const paths = new Map<string, string>();
  for (const line of text.split('\n')) {
    const [, names, path] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? [];
    if (names === undefined || path === undefined) continue;
    for (const name of names.split(',')) paths.set(name, path);
  }
  return paths;
}

/** CPUs' worth of time by `cpu.max` (version 2: `QUOTA PERIOD`, microseconds); undefined without a limit. */
export function parseCpuMax(text: string): number | undefined {
  const [, quota, period] = /^(\d+)\s+(\d+)\s*$/.exec(text) ?? [];
  return ratio(Number(quota), Number(period));
}

/** The same by version 1's two files; -1 is no limit. */
export function parseCfsQuota(quota: string, period: string): number | undefined {
  return ratio(Number(quota.trim() || Number.NaN), Number(period.trim() || Number.NaN));
}

/** Bytes. `max`, and the almost 2^63 by which version 1 says it, are no limit. */
export function parseBytes(text: string): number | undefined {
  const bytes = /^\d+\s*$/.test(text) ? Number(text) : Number.NaN;
  return bytes < 2 ** 60 ? bytes : undefined;
}

/** The periods in a `cpu.stat`, whose lines about them have the same names in both versions. */
export function parseCpuStat(text: string): Pick<Usage, 'periods' | 'throttledPeriods'> {
  const value = (name: string): number =>
    Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(text)?.[1] ?? 0);
  return { periods: value('nr_periods'), throttledPeriods: value('nr_throttled') };
}

function ratio(quota: number, period: number): number | undefined {
  return quota > 0 && period > 0 ? quota / period : undefined;
}

/** The folders whose limits hold for a process in `groups`, its own group first: limits of a parent are its children's too. */
function foldersOf(mount: string, groups: string): { cpu: string[]; memory: string[] } {
  const paths = parseGroups(groups);
  const second = paths.get('');
  const unified = second === undefined ? [] : upwards([mount, join(mount, 'unified')], second);
  const first = (name: string, ...joint: readonly string[]): string[] => {
    const path = paths.get(name);
    if (path === undefined) return [];
    return upwards(
      [name, ...joint].map((folder) => join(mount, folder)),
      path,
    );
  };
  return {
    cpu: [...first('cpu', 'cpu,cpuacct', 'cpuacct,cpu'), ...unified],
    memory: [...first('memory'), ...unified],
  };
}

/**
 * `path` under each of `mounts`, and every folder above it. In a container the path may be the host's, while the mount shows
 * the container's own group as its root: folders that are not there limit nothing. Nor do those outside of a namespace.
 */
function upwards(mounts: readonly string[], path: string): string[] {
  const names = path.split('/').filter((name) => name !== '');
  const known = names.includes('..') ? [] : names;
  return mounts.flatMap((mount) =>
    Array.from({ length: known.length + 1 }, (_, up) =>
      join(mount, ...known.slice(0, known.length - up)),
    ),
  );
}

function quotaIn(folder: string): number | undefined {
  const max = readText(join(folder, 'cpu.max'));
  if (max !== undefined) return parseCpuMax(max);
  const quota = readText(join(folder, 'cpu.cfs_quota_us'));
  if (quota === undefined) return undefined;
  return parseCfsQuota(quota, readText(join(folder, 'cpu.cfs_period_us')) ?? '');
}

/** Above `memory.high` the kernel slows a group down instead of ending it: no less a limit. */
function memoryLimitIn(folder: string): number | undefined {
  return least(
    ['memory.max', 'memory.high', 'memory.limit_in_bytes'].map((name) =>
      parseBytes(readText(join(folder, name)) ?? ''),
    ),
  );
}

function memoryUseIn(folder: string): number | undefined {
  return least(
    ['memory.current', 'memory.usage_in_bytes'].map((name) =>
      parseBytes(readText(join(folder, name)) ?? ''),
    ),
  );
}

function least(values: readonly (number | undefined)[]): number | undefined {
  const known = values.filter((value) => value !== undefined);
  return known.length > 0 ? Math.min(...known) : undefined;
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return undefined;
  }
}
