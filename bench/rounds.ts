/** Runs a workload: rounds of A-B-C, each round in another order, targets removed and disks quiet between runs. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { assertSame } from './compare.ts';
import { cpuOf, measure, type Command, type Place, type Taken } from './measure.ts';
import { pin } from './origin/origin.ts';
import { retire } from './retire.ts';
import type { Tools } from './tools.ts';
import type { Contestant, Mode, Run, Setting, Sheet, Workload } from './workload.ts';

export interface Conditions {
  readonly mode: Mode;
  readonly rounds: number;
  /** A folder on the file system that is measured. */
  readonly work: string;
  readonly tools: Tools;
  /** performance.now() after which no further round begins. The first one always runs. */
  readonly until: number;
  readonly timeoutSeconds: number;
  readonly say: (line: string) => void;
}

const CORES = { shared: { servers: '0-1023' }, pinned: { client: 0, servers: '1-1023' } } as const;

/** All rounds of one workload in one mode. Failures of clients are results; only our own are thrown. */
export async function runRounds(workload: Workload, conditions: Conditions): Promise<Sheet> {
  const { mode, rounds, tools } = conditions;
  if (workload.origin) pin(workload.origin.pids(), CORES[mode].servers);
  const skipped = Object.fromEntries(
    workload.contestants.flatMap((one) => {
      const reason = one.missing ?? one.needs.map((need) => tools.missing.get(need)).find(Boolean);
      return reason === undefined ? [] : [[one.name, reason]];
    }),
  );
  const there = workload.contestants.filter(({ name }) => !(name in skipped));
  const runs: Run[] = [];
  for (let round = 0; round < rounds; round += 1) {
    if (round > 0 && performance.now() > conditions.until) break;
    for (const contestant of rotated(there, round)) {
      if (round >= (contestant.rounds ?? Infinity)) continue;
      for (let time = 0; time < (workload.repeat ?? 1); time += 1)
        runs.push(
          await runOnce({ workload, contestant, round, first: round + time === 0 }, conditions),
        );
    }
  }
  for (const { name } of there) retire(conditions.work, targetOf(workload, name, conditions));
  rmSync(join(conditions.work, 'runs'), { recursive: true, force: true });
  return { workload, mode, runs, skipped };
}

interface Turn {
  readonly workload: Workload;
  readonly contestant: Contestant;
  readonly round: number;
  /** Its first run, after which its files are compared. */
  readonly first: boolean;
}

async function runOnce(turn: Turn, conditions: Conditions): Promise<Run> {
  const { workload, contestant, round } = turn;
  const dest = targetOf(workload, contestant.name, conditions);
  const name = basename(dest);
  const logs = join(conditions.work, 'logs');
  mkdirSync(logs, { recursive: true });
  const place: Place = {
    cwd: conditions.work,
    stdout: join(logs, `${workload.id}.${name}.out`),
    stderr: join(logs, `${workload.id}.${name}.err`),
    timeoutSeconds: conditions.timeoutSeconds,
  };
  if (!workload.warm) retire(conditions.work, dest);
  mkdirSync(dest, { recursive: true });
  const core = conditions.mode === 'pinned' ? CORES.pinned.client : undefined;
  const run = (command: Command): Promise<Taken> =>
    measure({ ...command, ...(core !== undefined && { core }) }, place);
  const setting: Setting = { dest, contestant, run };
  const result = { round, contestant: contestant.name };
  try {
    await contestant.before?.(setting);
    execFileSync('sync');
    const before = cpuOf(workload.origin?.pids() ?? []);
    const taken = await run(contestant.command(dest));
    const serverCpu = cpuOf(workload.origin?.pids() ?? []) - before;
    const extra = await workload.extra?.(setting, taken);
    const failed = fault(taken, place.stderr) ?? difference(turn, dest);
    conditions.say(`  ${contestant.name}: ${failed ?? `${taken.wall.toFixed(2)} s`}`);
    return {
      ...result,
      taken,
      serverCpu,
      ...(extra && { extra }),
      ...(failed !== undefined && { failed }),
    };
  } catch (error) {
    const failed = (error as Error).message;
    conditions.say(`  ${contestant.name}: ${failed}`);
    return { ...result, failed };
  } finally {
    if (!workload.warm) retire(conditions.work, dest);
  }
}

function targetOf({ id }: Workload, name: string, { work }: Conditions): string {
  return join(work, 'runs', id, name.replaceAll(/[^\w.-]/g, '_'));
}

/** Why a run does not count. */
function fault(taken: Taken, stderr: string): string | undefined {
  if (taken.killed === 'timeout') return `stopped after ${taken.wall.toFixed(0)} s`;
  if (taken.status === 0) return undefined;
  const last = readFileSync(stderr, 'utf8').trim().split('\n').at(-1) ?? '';
  return `ended with ${taken.status}: ${last.slice(0, 200)}`;
}

function difference({ workload, contestant, first }: Turn, dest: string): string | undefined {
  if (!first || !workload.expected || contestant.uncompared) return undefined;
  try {
    assertSame(workload.expected, dest);
    return undefined;
  } catch (error) {
    return `wrong files: ${(error as Error).message}`;
  }
}

/** Nobody is always the first after the machine had its rest. */
function rotated<T>(list: readonly T[], by: number): T[] {
  const at = list.length === 0 ? 0 : by % list.length;
  return [...list.slice(at), ...list.slice(0, at)];
}
