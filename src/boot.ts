/** Which boot of the kernel this is: what was written but not synced is sure to be there only as long as it lasts. */
import { readFileSync } from 'node:fs';

/** Where Linux tells it; random(4). The same in every container of a node. */
const FILE = '/proc/sys/kernel/random/boot_id';

/** A UUID, new with every start of the kernel; undefined where it cannot be read. */
export function bootId(file = FILE): string | undefined {
  try {
    const text = readFileSync(file, 'latin1').trim();
    return /^[0-9a-f-]{36}$/i.test(text) ? text : undefined;
  } catch {
    return undefined;
  }
}
