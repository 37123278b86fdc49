/** The tables as people read them. */
import type { Sheet } from '../workload.ts';
import type { Machine } from './machine.ts';
import { rowsOf, verdictsOf, type Row } from './statistics.ts';

const MIB = 2 ** 20;

/** The whole report. */
export function markdownOf(sheets: readonly Sheet[], machine: Machine): string {
  const targets = targetsOf(sheets);
  const facts = Object.entries(machine).map(([name, value]) => `- ${name}: ${value}`);
  return [
    '# Measurements',
    '',
    ...facts,
    '',
    'Walls are medians; "ratio" is the wall time of a client over ours, so above 1 ours was faster. CPU is user and system',
    'time. "RSS" is the largest process, "anonymous" the whole process tree; both are peaks over all runs.',
    '',
    ...(targets === '' ? [] : ['## Targets', '', targets, '']),
    ...sheets.flatMap((sheet) => [
      `## ${sheet.workload.id}, ${sheet.mode}`,
      '',
      `${sheet.workload.title}.`,
      '',
      tableOf(sheet),
      '',
    ]),
  ].join('\n');
}

/** Every target with what was measured. */
export function targetsOf(sheets: readonly Sheet[]): string {
  const lines = sheets.flatMap((sheet) =>
    verdictsOf(sheet).map(({ text, measured, met }) => [
      `${sheet.workload.id}, ${sheet.mode}`,
      text,
      measured,
      met === undefined ? '' : met ? 'met' : 'missed',
    ]),
  );
  if (lines.length === 0) return '';
  return table(['workload', 'target', 'measured', ''], lines);
}

/** One workload's table. */
export function tableOf(sheet: Sheet): string {
  const rows = rowsOf(sheet);
  const extras = [...new Set(rows.flatMap((row) => Object.keys(row.extra)))];
  const { objects, bytes } = sheet.workload;
  const rate = objects ? 'objects/s' : bytes ? 'MB/s' : undefined;
  const cpu = objects ? 'us/object' : bytes ? 's/GiB' : 's';
  const header = [
    'client',
    'wall, s',
    'fastest-slowest',
    ...(rate ? [rate] : []),
    'ratio',
    `client CPU, ${cpu}`,
  ];
  if (sheet.workload.origin) header.push(`server CPU, ${cpu}`);
  header.push('RSS, MiB', 'anonymous, MiB', ...extras, 'runs', 'remark');
  return table(
    header,
    rows.map((row) => cells(row, sheet, extras)),
  );
}

function cells(row: Row, { workload }: Sheet, extras: readonly string[]): string[] {
  const { bytes, objects, origin } = workload;
  const perUnit = (cpu: number | undefined): string => {
    if (cpu === undefined) return '';
    if (objects) return ((cpu * 1e6) / objects).toFixed(0);
    return bytes ? ((cpu * 1024 * MIB) / bytes).toFixed(2) : cpu.toFixed(3);
  };
  const wall = row.wall;
  const rate = objects
    ? [wall === undefined ? '' : (objects / wall).toFixed(0)]
    : bytes
      ? [wall === undefined ? '' : (bytes / wall / 1e6).toFixed(0)]
      : [];
  return [
    row.name,
    seconds(wall),
    row.spread ? row.spread.map(seconds).join('-') : '',
    ...rate,
    row.ratio?.toFixed(2) ?? '',
    perUnit(row.clientCpu),
    ...(origin ? [perUnit(row.serverCpu)] : []),
    mebibytes(row.maxrss),
    mebibytes(row.anon),
    ...extras.map((name) => row.extra[name]?.toFixed(2) ?? ''),
    String(row.runs),
    row.remark ?? '',
  ];
}

const seconds = (value: number | undefined): string => value?.toFixed(value < 1 ? 3 : 2) ?? '';
const mebibytes = (value: number | undefined): string =>
  value === undefined ? '' : (value / MIB).toFixed(0);

function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const clean = (cell: string): string => cell.replaceAll('|', '\\|').replaceAll(/\s+/g, ' ');
  const line = (row: readonly string[]): string => `| ${row.map(clean).join(' | ')} |`;
  return [
    line(header),
    line(header.map((_, index) => (index === 0 ? '---' : '---:'))),
    ...rows.map(line),
  ].join('\n');
}
