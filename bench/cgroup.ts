/** Memory cgroups, where this machine lets us make them: version 2, or the memory controller of version 1. */
import { existsSync, mkdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const MOUNT = '/sys/fs/cgroup';

/** A group that may use so many bytes of memory, page cache included. */
export interface Cgroup {
  readonly path: string;
  /** Resolves when it is gone; a folder that stays busy is left behind. */
  remove(): Promise<void>;
}

let made = 0;

/** Makes one, or says why it cannot. */
export function limitMemory(bytes: number): Cgroup | { readonly missing: string } {
  const second = existsSync(join(MOUNT, 'cgroup.controllers'));
  const names = second
    ? { parent: MOUNT, limit: 'memory.max' }
    : { parent: join(MOUNT, 'memory'), limit: 'memory.limit_in_bytes' };
  const path = join(names.parent, `model-fetch-bench-${process.pid}-${(made += 1)}`);
  try {
    mkdirSync(path);
    writeFileSync(join(path, names.limit), String(bytes));
  } catch (error) {
    if (existsSync(path)) void removeSoon(path, 10);
    return { missing: `no memory cgroup can be made here: ${(error as Error).message}` };
  }
  return {
    path,
    remove: () => removeSoon(path, 50),
  };
}

/** The kernel lets go of a group a little after its last process has ended. */
async function removeSoon(path: string, tries: number): Promise<void> {
  try {
    rmdirSync(path);
  } catch {
    if (tries === 0) return;
    await sleep(100);
    await removeSoon(path, tries - 1);
  }
}
