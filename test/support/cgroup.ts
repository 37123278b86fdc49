/** Control groups for a process of a test, where this machine lets us make them; of either version. */
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TestContext } from 'node:test';

const MOUNT = '/sys/fs/cgroup';

/** The folder of a new group, or why there is none. */
export type Group = string | { readonly missing: string };

/** A group that may use so many CPUs' worth of time. */
export function limitCpu(t: TestContext, cores: number): Group {
  const quota = String(Math.round(cores * 100_000));
  return makeGroup(t, 'cpu', (second) =>
    second
      ? { 'cpu.max': `${quota} 100000` }
      : { 'cpu.cfs_period_us': '100000', 'cpu.cfs_quota_us': quota },
  );
}

/** A group that may use so many bytes of memory, page cache included. */
export function limitMemory(t: TestContext, bytes: number): Group {
  return makeGroup(t, 'memory', (second) => ({
    [second ? 'memory.max' : 'memory.limit_in_bytes']: String(bytes),
  }));
}

/**
 * A group that writes so many bytes a second to the disk of `folder`, in which writes then wait for the disk, as they do
 * elsewhere once the page cache is full of what is still to be written.
 */
export function limitWrites(t: TestContext, folder: string, bytesPerSecond: number): Group {
  try {
    execFileSync('chattr', ['+S', folder], { stdio: 'ignore' });
  } catch {
    return { missing: 'writes cannot be made synchronous here' };
  }
  const { dev } = statSync(folder);
  // The encoding of makedev(3) for numbers as small as these.
  const number = `${String((dev >> 8) & 0xfff)}:${String(dev & 0xff)}`;
  const disk = diskOf(number);
  if (disk === undefined) return { missing: 'no block device holds the folder' };
  return makeGroup(t, 'io', (second) =>
    second
      ? { 'io.max': `${disk} wbps=${String(bytesPerSecond)}` }
      : { 'blkio.throttle.write_bps_device': `${disk} ${String(bytesPerSecond)}` },
  );
}

/** Limits are a disk's, not a partition's. */
function diskOf(number: string): string | undefined {
  const folder = `/sys/dev/block/${number}`;
  if (!existsSync(folder)) return undefined;
  if (!existsSync(join(folder, 'partition'))) return number;
  return readFileSync(join(folder, '..', 'dev'), 'utf8').trim();
}

let made = 0;

function makeGroup(
  t: TestContext,
  controller: 'cpu' | 'memory' | 'io',
  limits: (second: boolean) => Readonly<Record<string, string>>,
): Group {
  const second = existsSync(join(MOUNT, 'cgroup.controllers'));
  const parent = second ? MOUNT : join(MOUNT, controller === 'io' ? 'blkio' : controller);
  const path = join(parent, `model-fetch-test-${String(process.pid)}-${String((made += 1))}`);
  try {
    mkdirSync(path);
    t.after(() => removeSoon(path, 50));
    for (const [file, text] of Object.entries(limits(second))) {
      if (!readdirSync(path).includes(file)) throw new Error(`it has no ${file}`);
      writeFileSync(join(path, file), text);
    }
    return path;
  } catch (error) {
    return { missing: `no such control group can be made here: ${(error as Error).message}` };
  }
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
