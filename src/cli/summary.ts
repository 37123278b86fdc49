/** How a run that went well is told: the last record of a JSON log, which is the termination message too. Pure. */
import { jsonLine, type LogFields } from './log.ts';

/** What may grow without bound, and can be done without, the most dispensable first. */
const LISTS = ['sources', 'targets'] as const;

/**
 * `line`: the record in at most `most` bytes, for the kubelet cuts what is longer, and half a JSON object is none. `shown`:
 * the fields that are in it; with `cut` where lists are shorter than they were. `now`: milliseconds since the epoch.
 */
export function summaryRecord(
  msg: string,
  fields: LogFields,
  now: number,
  most: number,
): { line: string; shown: LogFields } {
  let shown = fields;
  let line = jsonLine(now, 'info', msg, shown);
  for (const name of LISTS)
    for (
      let list = listIn(shown, name);
      list.length > 0 && Buffer.byteLength(line) > most;
      list = list.slice(0, list.length >> 1)
    ) {
      shown = { ...shown, [name]: list.slice(0, list.length >> 1), cut: true };
      line = jsonLine(now, 'info', msg, shown);
    }
  return { line, shown };
}

function listIn(fields: LogFields, name: string): readonly unknown[] {
  const list = fields[name];
  return Array.isArray(list) ? (list as readonly unknown[]) : [];
}
