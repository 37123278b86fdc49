/** Ties the climb to the run: counts what goes through, and sets the width of the slots every half second. */
import type { Reporter } from '../events.ts';
import type { Machine } from '../machine.ts';
import { Bottleneck, pressedBy, type Load, type Verdict } from './bottleneck.ts';
import type { Climb } from './climb.ts';
import { loadMeter, type Measured } from './load.ts';
import type { Slots } from './slots.ts';
import type { Threads } from './threads.ts';

const INTERVAL_MS = 500;

export interface Steering {
  /** Body bytes arrived. */
  bytes(count: number): void;
  /** A request was answered, whose body took so many milliseconds. */
  request(short: boolean, bytes: number, ms: number): void;
  /** The server asks for less. */
  pushBack(): void;
  /** A connection was cut that had brought bytes. */
  cut(): void;
  stop(): void;
}

export interface Steered {
  readonly slots: Slots;
  readonly climb: Climb;
  readonly machine: Machine;
  readonly threads: Threads | undefined;
  readonly report: Reporter;
}

/** Starts at once; the timer does not keep the process alive. */
export function steer({ slots, climb, machine, threads, report }: Steered): Steering {
  /** Not before there is something to measure: a run that finds nothing to do is over by then. */
  let measure: (() => Measured) | undefined;
  const begin = (): (() => Measured) => {
    wasBusy = true;
    return loadMeter(machine, threads);
  };
  const bottleneck = new Bottleneck();
  let bytes = 0;
  let requests = 0;
  let cuts = 0;
  let since = performance.now();
  let wasBusy = false;
  const tell = (verdict: Verdict): void => {
    const { cores, quota } = machine;
    report({ type: 'bound', ...verdict, cores, quota });
  };
  const look = (): Load | undefined => {
    const { busy } = slots;
    const load = measure && { ...measure(), bytes, transferring: busy && wasBusy };
    wasBusy = busy;
    return load;
  };
  const timer = setInterval(() => {
    const now = performance.now();
    const load = look();
    const pressed = load?.transferring === true && pressedBy(load) !== undefined;
    const { saturated } = slots;
    slots.width = climb.tick({ bytes, requests, ms: now - since, saturated, cuts, pressed });
    [bytes, requests, cuts, since] = [0, 0, 0, now];
    const verdict = load && bottleneck.add(load);
    if (verdict) tell(verdict);
  }, INTERVAL_MS);
  timer.unref();
  return {
    bytes: (count) => {
      measure ??= begin();
      bytes += count;
    },
    request: (short, body, ms) => {
      requests++;
      if (short) climb.answered(ms);
      else climb.answeredLong(body, ms);
      slots.width = climb.width;
    },
    pushBack: () => {
      climb.pushBack();
    },
    cut: () => {
      cuts++;
    },
    stop: () => {
      clearInterval(timer);
      for (const verdict of bottleneck.verdicts()) tell(verdict);
    },
  };
}
