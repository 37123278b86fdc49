/** All workloads, in the order of the tables. */
import type { Workload } from '../workload.ts';
import { archives } from './archives.ts';
import { farAway, resets } from './far.ts';
import { busy, killed } from './killed.ts';
import { local } from './local.ts';
import { manyFiles } from './many-files.ts';
import { memory } from './memory.ts';
import { oneObject } from './one-object.ts';
import type { Stage } from './stage.ts';

export function allWorkloads(stage: Stage): Workload[] {
  return [
    ...oneObject(stage),
    ...manyFiles(stage),
    ...archives(stage),
    ...local(stage),
    ...farAway(stage),
    ...memory(stage),
    killed(stage),
    busy(stage),
    resets(stage),
  ].sort((a, b) => a.id.localeCompare(b.id));
}
