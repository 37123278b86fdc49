/** From runs to rows: medians over the runs that count. */
import type { Extra, Run, Sheet, Target } from '../workload.ts';

/** One contestant's line in a table. Seconds, bytes; CPU in seconds of user and system together. */
export interface Row {
  readonly name: string;
  readonly runs: number;
  readonly wall?: number;
  /** Fastest and slowest run. */
  readonly spread?: readonly [number, number];
  /** Its wall time over ours: above one, ours was faster. */
  readonly ratio?: number;
  readonly clientCpu?: number;
  readonly serverCpu?: number;
  /** The largest of all runs. */
  readonly maxrss?: number;
  readonly anon?: number;
  readonly extra: Extra;
  /** Why it has no figures: skipped, or its first failure. */
  readonly remark?: string;
}

/** What became of a target. `met` is absent where a figure is missing. */
export interface Verdict {
  readonly text: string;
  readonly measured: string;
  readonly met?: boolean;
}

export function median(values: readonly number[]): number | undefined {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length === 0) return undefined;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Rows in the order of the contestants; the first is ours. */
export function rowsOf(sheet: Sheet): Row[] {
  const ours = sheet.workload.contestants[0]!.name;
  const base = median(walls(sheet, ours));
  return sheet.workload.contestants.map(({ name }) => {
    const reason = sheet.skipped[name];
    if (reason !== undefined) return { name, runs: 0, extra: {}, remark: `skipped: ${reason}` };
    return rowOf(sheet, name, base);
  });
}

function rowOf(sheet: Sheet, name: string, base: number | undefined): Row {
  const good = goodRuns(sheet, name);
  const failed = sheet.runs.find((run) => run.contestant === name && run.failed !== undefined);
  const remark = failed ? { remark: `failed: ${failed.failed!}` } : {};
  const wall = median(walls(sheet, name));
  if (wall === undefined) return { name, runs: 0, extra: {}, ...remark };
  const taken = good.map((run) => run.taken!);
  const all = taken.map((one) => one.wall);
  return {
    name,
    runs: good.length,
    wall,
    spread: [Math.min(...all), Math.max(...all)],
    ...(base !== undefined && { ratio: wall / base }),
    clientCpu: median(taken.map((one) => one.user + one.sys))!,
    serverCpu: median(good.map((run) => run.serverCpu ?? 0))!,
    maxrss: Math.max(...taken.map((one) => one.maxrss)),
    anon: Math.max(...taken.map((one) => one.anon)),
    extra: extraOf(good),
    ...remark,
  };
}

function goodRuns(sheet: Sheet, name: string): Run[] {
  return sheet.runs.filter(
    (run) => run.contestant === name && run.failed === undefined && run.taken !== undefined,
  );
}

function walls(sheet: Sheet, name: string): number[] {
  return goodRuns(sheet, name).map((run) => run.taken!.wall);
}

function extraOf(runs: readonly Run[]): Extra {
  const names = new Set(runs.flatMap((run) => Object.keys(run.extra ?? {})));
  const pairs = [...names].map(
    (name) => [name, median(runs.flatMap((run) => run.extra?.[name] ?? []))!] as const,
  );
  return Object.fromEntries(pairs);
}

/** Holds the medians to the workload's targets. */
export function verdictsOf(sheet: Sheet): Verdict[] {
  const rows = rowsOf(sheet);
  return (sheet.workload.targets ?? []).map((target) => judge(target, rows, rows[0]!));
}

function judge(target: Target, rows: readonly Row[], ours: Row): Verdict {
  const row = (name: string): Row | undefined => rows.find((one) => one.name === name);
  switch (target.kind) {
    case 'faster': {
      const ratio = row(target.than)?.ratio;
      const text = `at least ${target.times} x as fast as ${target.than}`;
      return verdict(
        text,
        ratio,
        (value) => `${value.toFixed(2)} x`,
        (value) => value >= target.times,
      );
    }
    case 'cpu': {
      const theirs = row(target.against)?.clientCpu;
      const share = quotient(ours.clientCpu, theirs);
      const text = `CPU at most ${target.times} x ${target.against}'s`;
      return verdict(
        text,
        share,
        (value) => `${value.toFixed(2)} x`,
        (value) => value <= target.times,
      );
    }
    case 'behind': {
      const theirs = row(target.what)?.wall;
      const behind =
        theirs === undefined || ours.wall === undefined ? undefined : ours.wall - theirs;
      const text = `at most ${1000 * target.seconds} ms behind ${target.what}`;
      return verdict(
        text,
        behind,
        (value) => `${(1000 * value).toFixed(0)} ms`,
        (value) => value <= target.seconds,
      );
    }
    case 'anon': {
      const text = `at most ${target.bytes / 2 ** 20} MiB of anonymous memory`;
      const peak = row(target.of)?.anon;
      return verdict(
        text,
        peak,
        (value) => `${(value / 2 ** 20).toFixed(0)} MiB`,
        (value) => value <= target.bytes,
      );
    }
    case 'extra': {
      const { least = -Infinity, most = Infinity, name } = target;
      const text = `${name}: ${least === -Infinity ? `at most ${most}` : `at least ${least}`}`;
      return verdict(
        text,
        row(target.of)?.extra[name],
        (value) => value.toFixed(1),
        (value) => value >= least && value <= most,
      );
    }
  }
}

function verdict(
  text: string,
  value: number | undefined,
  show: (value: number) => string,
  met: (value: number) => boolean,
): Verdict {
  if (value === undefined) return { text, measured: 'not measured' };
  return { text, measured: show(value), met: met(value) };
}

function quotient(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined || b === 0 ? undefined : a / b;
}
