/**
 * What bounds a run, where that can be told for sure: the CPU that it may use, or the volume that it writes to. Pure. Said
 * only of what held for five seconds; of networks and servers nothing is said, for nothing here could prove it.
 */

export type Bound = 'cpu' | 'disk';

/** What an interval of a run was made of. Times in milliseconds, of the whole process. */
export interface Load {
  readonly ms: number;
  /** Body bytes that arrived. */
  readonly bytes: number;
  /** Requests were under way from its beginning to its end. */
  readonly transferring: boolean;
  /** CPU time, and the part of it in the kernel, where writes copy. */
  readonly cpuMs: number;
  readonly systemMs: number;
  /** CPUs' worth of time that the process may use. */
  readonly cores: number;
  /** Periods of a CPU quota, and those in which it was used up. */
  readonly periods: number;
  readonly throttledPeriods: number;
  /** Threads that wrote, and how long their writes took. */
  readonly writers: number;
  readonly writingMs: number;
  /** How long threads were ready to run and did not, for others had the CPU; undefined where that is not told. */
  readonly queuedMs: number | undefined;
  /** Of the event loops that move bytes, the share of the time in which the least used one had something to do: 0 to 1. */
  readonly loopUse: number;
}

/** What has bounded a run, summed over the intervals in which it did. */
export interface Verdict {
  readonly by: Bound;
  readonly seconds: number;
  /** All seconds of the run in which requests were under way. */
  readonly ofSeconds: number;
  readonly bytesPerSecond: number;
  /** 0 to 1: of the writers' time, how much they waited for the volume; of a quota's periods, how many used it up. */
  readonly share: number;
}

const SURE_MS = 5_000;
const BUSY_CPU = 0.9;
/** Of a quota's periods: a quota that is used up in so many of them is what there is to be had. */
const USED_UP = 0.8;
/** The same, when it is only about not growing. */
const PRESSED = 0.25;
/** Of an event loop's time: whatever comes, waits for the loop. */
const NEVER_IDLE = 0.85;
/** Of a writer's time. */
const BLOCKED = 0.6;
/** Bytes per second: above this, writers may as well wait for each other as for the volume. */
const FASTEST_DISK = 2 ** 30;

/** What bound these intervals, taken together; undefined when that is not certain. */
export function boundOf(loads: readonly Load[]): Bound | undefined {
  const all = sum(loads);
  if (all.cpuMs >= BUSY_CPU * all.coreMs || all.throttled >= USED_UP * Math.max(1, all.periods))
    return 'cpu';
  // A process that was stopped, or waited for a CPU, may have been so in the middle of a write.
  if (all.throttled > 0 || all.queuedMs === undefined) return undefined;
  if (all.writerMs === 0 || (all.bytes / all.ms) * 1000 > FASTEST_DISK) return undefined;
  return blocked(all) >= BLOCKED ? 'disk' : undefined;
}

/** What more connections could not help in this interval. A little is enough: it is looked at again in the next. */
export function pressedBy(load: Load): Bound | undefined {
  if (load.periods > 0 && load.throttledPeriods >= PRESSED * load.periods) return 'cpu';
  if (load.loopUse >= NEVER_IDLE) return 'cpu';
  return boundOf([load]);
}

/** Watches the intervals of a run. */
export class Bottleneck {
  /** The newest intervals in a row in which requests were under way, and whether a verdict has counted them. */
  #window: { readonly load: Load; counted: boolean }[] = [];
  readonly #held = new Map<Bound, Load[]>();
  #ms = 0;

  /** Takes the next interval. Answers what is certain now and has not been told before. */
  add(load: Load): Verdict | undefined {
    if (!load.transferring) {
      this.#window = [];
      return undefined;
    }
    this.#ms += load.ms;
    this.#window.push({ load, counted: false });
    while (length(this.#window.slice(1)) >= SURE_MS) this.#window.shift();
    if (length(this.#window) < SURE_MS) return undefined;
    const by = boundOf(this.#window.map((one) => one.load));
    if (!by) return undefined;
    const held = this.#held.get(by) ?? [];
    for (const one of this.#window.filter(({ counted }) => !counted)) {
      one.counted = true;
      held.push(one.load);
    }
    const first = !this.#held.has(by);
    this.#held.set(by, held);
    return first ? this.#verdict(by, held) : undefined;
  }

  /** All that was certain at some time, with the sums of the whole run. */
  verdicts(): Verdict[] {
    return [...this.#held].map(([by, held]) => this.#verdict(by, held));
  }

  #verdict(by: Bound, held: readonly Load[]): Verdict {
    const all = sum(held);
    return {
      by,
      seconds: seconds(all.ms),
      ofSeconds: seconds(this.#ms),
      bytesPerSecond: Math.round((all.bytes / all.ms) * 1000),
      share: Number((by === 'disk' ? blocked(all) : ratio(all.throttled, all.periods)).toFixed(2)),
    };
  }
}

interface Sum {
  readonly ms: number;
  readonly bytes: number;
  readonly cpuMs: number;
  readonly systemMs: number;
  readonly coreMs: number;
  readonly periods: number;
  readonly throttled: number;
  readonly writerMs: number;
  readonly writingMs: number;
  readonly queuedMs: number | undefined;
}

function sum(loads: readonly Load[]): Sum {
  const add = (pick: (load: Load) => number): number =>
    loads.reduce((total, load) => total + pick(load), 0);
  return {
    ms: add(({ ms }) => ms),
    bytes: add(({ bytes }) => bytes),
    cpuMs: add(({ cpuMs }) => cpuMs),
    systemMs: add(({ systemMs }) => systemMs),
    coreMs: add(({ cores, ms }) => cores * ms),
    periods: add(({ periods }) => periods),
    throttled: add(({ throttledPeriods }) => throttledPeriods),
    writerMs: add(({ writers, ms }) => writers * ms),
    writingMs: add(({ writingMs }) => writingMs),
    queuedMs: loads.some(({ queuedMs }) => queuedMs === undefined)
      ? undefined
      : add(({ queuedMs }) => queuedMs ?? 0),
  };
}

/**
 * The share of the writers' time in which they slept in a write: at least so much, for all of the process's work in the
 * kernel and all of its waiting for a CPU is taken to have been in writes.
 */
function blocked({ writingMs, systemMs, queuedMs = 0, writerMs }: Sum): number {
  return Math.min(1, Math.max(0, ratio(writingMs - systemMs - queuedMs, writerMs)));
}

function ratio(part: number, whole: number): number {
  return whole > 0 ? part / whole : 0;
}

function length(window: readonly { readonly load: Load }[]): number {
  return window.reduce((ms, { load }) => ms + load.ms, 0);
}

function seconds(ms: number): number {
  return Number((ms / 1000).toFixed(1));
}
