/** The words of a benchmark: what is fetched, by whom, under which conditions, and what we want to see. */
import type { Expected } from './compare.ts';
import type { Command, Taken } from './measure.ts';
import type { Origin } from './origin/origin.ts';
import type { Need } from './tools.ts';

/** `shared`: client and server on all cores. `pinned`: the client on core 0 alone, as an init container is; servers on the others. */
export type Mode = 'shared' | 'pinned';

/** One client of a workload. */
export interface Contestant {
  readonly name: string;
  readonly needs: readonly Need[];
  readonly command: (dest: string) => Command;
  /** At most so many rounds, for those that take minutes. The table shows how many there were. */
  readonly rounds?: number;
  /** Before each run and outside its time: fills a target, breaks a download off. */
  readonly before?: (setting: Setting) => Promise<void>;
  /** Its files are not looked at: it leaves none, or another contestant of the same program is compared. */
  readonly uncompared?: boolean;
  /** The reason why it cannot be had here. */
  readonly missing?: string;
}

/** What hooks may use. */
export interface Setting {
  readonly dest: string;
  readonly contestant: Contestant;
  /** Runs a command in the conditions of the measurement, unmeasured. */
  readonly run: (command: Command) => Promise<Taken>;
}

/** Further figures of a run, in the units of their names; they become columns. */
export type Extra = Readonly<Record<string, number>>;

/** What issue and documentation promise, as a condition on the medians. */
export type Target =
  | { readonly kind: 'faster'; readonly than: string; readonly times: number }
  | { readonly kind: 'cpu'; readonly against: string; readonly times: number }
  | { readonly kind: 'behind'; readonly what: string; readonly seconds: number }
  | { readonly kind: 'anon'; readonly of: string; readonly bytes: number }
  | {
      readonly kind: 'extra';
      readonly of: string;
      readonly name: string;
      readonly least?: number;
      readonly most?: number;
    };

export interface Workload {
  /** `a-s3-tls`: the letter is the family's. */
  readonly id: string;
  readonly title: string;
  /** Body bytes of one run; 0 where none should move. */
  readonly bytes: number;
  /** Objects of one run, where they and not the bytes are the point. */
  readonly objects?: number;
  readonly modes: readonly Mode[];
  readonly origin?: Origin;
  /** The first is ours, and what the others are compared with. */
  readonly contestants: readonly Contestant[];
  readonly expected?: Expected;
  readonly targets?: readonly Target[];
  /** A rough guess for one round, by which the time of the whole run is shared out. */
  readonly seconds: number;
  /** Runs of each contestant in every round. */
  readonly repeat?: number;
  /** Targets stay from one round to the next: a warm run is what is measured. */
  readonly warm?: boolean;
  /** After each run. */
  readonly extra?: (setting: Setting, taken: Taken) => Promise<Extra>;
}

/** One run, or why there was none. */
export interface Run {
  readonly round: number;
  readonly contestant: string;
  readonly taken?: Taken;
  /** CPU-seconds of the origin's processes. */
  readonly serverCpu?: number;
  readonly extra?: Extra;
  readonly failed?: string;
}

/** A workload in one mode, with all its runs. */
export interface Sheet {
  readonly workload: Workload;
  readonly mode: Mode;
  readonly runs: readonly Run[];
  /** Contestants that were not there, and why. */
  readonly skipped: Readonly<Record<string, string>>;
}
