/**
 * A run in a control group: `argv[2]` is the group, then source, target, options as JSON. It joins the group when everything
 * is loaded, ends at the first `bound` it is told, and prints those it was told and what it takes itself to have.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { FetchEvent } from '../../src/events.ts';
import { fetchModel, type FetchOptions } from '../../src/index.ts';
import { thisMachine } from '../../src/machine.ts';

const [, , group = '', uri = '', dest = '', options = '{}'] = process.argv;
writeFileSync(join(group, 'cgroup.procs'), String(process.pid));
const bounds: FetchEvent[] = [];
const stop = new AbortController();
try {
  await fetchModel(uri, dest, {
    ...(JSON.parse(options) as FetchOptions),
    signal: stop.signal,
    onEvent: (event) => {
      if (event.type !== 'bound') return;
      bounds.push(event);
      stop.abort();
    },
  });
} catch (error) {
  if (!stop.signal.aborted) throw error;
}
process.stdout.write(JSON.stringify({ bounds, machine: thisMachine() }));
