/** Measures the load of a run, interval by interval. Sources: proc(5), and sched-stats.rst in Linux, Documentation/scheduler. */
import type { EventLoopUtilization } from 'node:perf_hooks';
import { readdirSync, readFileSync } from 'node:fs';
import type { Machine } from '../machine.ts';
import { writingMs } from '../write-clock.ts';
import type { Load } from './bottleneck.ts';
import type { Threads } from './threads.ts';

/** What can be measured without knowing about requests. */
export type Measured = Omit<Load, 'bytes' | 'transferring'>;

const TASKS = '/proc/self/task';

/** Answers, each time it is called, what has been since the last time. */
export function loadMeter(
  machine: Machine,
  threads: Pick<Threads, 'writers' | 'loops'> | undefined,
): () => Measured {
  const look = () => ({
    at: performance.now(),
    cpu: process.cpuUsage(),
    usage: machine.usage(),
    here: writingMs(),
    there: threads?.writers ?? { busy: 0, ms: 0 },
    queued: queuedByTask(),
    loops: threads?.loops ?? [performance.eventLoopUtilization()],
  });
  let last = look();
  return () => {
    const before = last;
    const now = (last = look());
    // Where threads write, what this thread writes beside them is little, and left out.
    const busy = Math.max(before.there.busy, now.there.busy);
    const cpu = {
      user: now.cpu.user - before.cpu.user,
      system: now.cpu.system - before.cpu.system,
    };
    return {
      ms: now.at - before.at,
      cpuMs: (cpu.user + cpu.system) / 1000,
      systemMs: cpu.system / 1000,
      cores: machine.cores,
      periods: now.usage.periods - before.usage.periods,
      throttledPeriods: now.usage.throttledPeriods - before.usage.throttledPeriods,
      writers: Math.max(1, busy),
      writingMs: busy > 0 ? now.there.ms - before.there.ms : now.here - before.here,
      queuedMs: grown(before.queued, now.queued),
      loopUse: leastUsed(before.loops, now.loops),
    };
  };
}

/** A loop that was not there before counts from its beginning. */
function leastUsed(
  before: readonly EventLoopUtilization[],
  now: readonly EventLoopUtilization[],
): number {
  const uses = now.map(({ active, idle }, i) => {
    const busy = active - (before[i]?.active ?? 0);
    return busy / Math.max(1, busy + idle - (before[i]?.idle ?? 0));
  });
  return uses.length === 0 ? 0 : Math.min(...uses);
}

/** Nanoseconds that each thread has been ready to run without running; undefined where the kernel does not tell. */
function queuedByTask(): ReadonlyMap<string, number> | undefined {
  try {
    return new Map(
      readdirSync(TASKS).map((id) => {
        const [, queued] = readFileSync(`${TASKS}/${id}/schedstat`, 'latin1').split(' ');
        return [id, Number(queued)];
      }),
    );
  } catch {
    return undefined;
  }
}

/** Milliseconds. */
function grown(
  before: ReadonlyMap<string, number> | undefined,
  now: ReadonlyMap<string, number> | undefined,
): number | undefined {
  if (!before || !now) return undefined;
  let ns = 0;
  for (const [id, queued] of now) ns += queued - (before.get(id) ?? 0);
  return Number.isFinite(ns) ? ns / 1e6 : undefined;
}
