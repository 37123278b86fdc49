/**
 * How many requests at a time: more while more helps, fewer when the server pushes back. A pure controller, told once per
 * interval what went through. One store gives 50 to 90 MB/s a connection and wants dozens of them; another is a laptop.
 */

export interface ClimbOptions {
  readonly start: number;
  readonly least: number;
  readonly most: number;
}

/** What went through since the last interval. */
export interface Interval {
  readonly bytes: number;
  readonly requests: number;
  readonly ms: number;
  /** Requests were waiting for a slot: only then does the width bound anything. */
  readonly saturated: boolean;
  /** Connections that were cut while they brought bytes. Absent: none. */
  readonly cuts?: number;
  /** The CPU or the disk had as much to do as it can: more connections would only wait for it. */
  readonly pressed?: boolean;
}

/** A request costs about as much as these bytes: small files are counted by their number, large ones by their size. */
const REQUEST_BYTES = 64 * 1024;
const GROWTH = 1.5;
/** Less gain than this for half as many connections more is noise. */
const WORTH_IT = 1.08;
const SHRINK = 0.6;
/** Of the connections: so many that are cut are the server's doing; a single one among many is the network's noise. */
const CUTS = 1 / 16;
/** Intervals until a smaller width shows: what is under way goes on. */
const SETTLE = 3;
/** Of the goodput: a step down that leaves less costs something. */
const KEPT = 0.9;
/** Intervals during which cuts are taken for the network's way. */
const DEAF = 60;
/** Milliseconds: of so many short requests, one would have been quicker than that if the server were near. */
const FAR_MS = 12;
const SAMPLE = 64;
const LEAP = 8;
/** Bytes a millisecond: a connection that brings less is held by what lies between, of which others get their own. */
const SLOW_CONNECTION = 150_000;
const LONG_SAMPLE = 4;
const LONG_LEAP = 2;
/** Intervals to stay after a step that gained nothing, before trying again: links and stores change. */
const REST = 10;

export class Climb {
  readonly #options: ClimbOptions;
  #width: number;
  /** Goodput at the width before the step that is being judged, and that width. */
  #before: { rate: number; width: number } | undefined;
  #rest = 0;
  #pushedBack = false;
  /** Goodput and width before the last step down for cut connections. */
  #beforeCuts: { rate: number; width: number } | undefined;
  #settle = 0;
  #deaf = 0;
  readonly #long = { answered: 0, best: 0 };
  readonly #short = { answered: 0, quickestMs: Infinity };

  constructor(options: ClimbOptions) {
    this.#options = options;
    this.#width = options.start;
  }

  get width(): number {
    return this.#width;
  }

  /** The server said 429 or 503. */
  pushBack(): void {
    this.#pushedBack = true;
  }

  /**
   * A short request took `ms`. When even the quickest of the first ones mostly waited, the server is far away, and small files
   * need width more than anything: the climb leaps, for at a few hundred requests a second its steps would take the whole run.
   */
  answered(ms: number): void {
    const { answered, quickestMs } = this.#short;
    if (answered === SAMPLE) return;
    this.#short.answered++;
    this.#short.quickestMs = Math.min(quickestMs, ms);
    if (answered + 1 === SAMPLE && this.#short.quickestMs >= FAR_MS && this.#rest === 0)
      this.#set(this.#width * LEAP);
  }

  /** A long request brought so much in `ms`. Where the first ones all show a slow connection, the climb leaps as well. */
  answeredLong(bytes: number, ms: number): void {
    const { answered, best } = this.#long;
    if (answered === LONG_SAMPLE) return;
    this.#long.answered++;
    this.#long.best = Math.max(best, bytes / ms);
    if (answered + 1 === LONG_SAMPLE && this.#long.best < SLOW_CONNECTION && this.#rest === 0)
      this.#set(this.#width * LONG_LEAP);
  }

  /** Judges the last step and takes the next; answers the width from now on. */
  tick(interval: Interval): number {
    const { cuts = 0, pressed = false } = interval;
    const rate = (interval.bytes + interval.requests * REQUEST_BYTES) / Math.max(1, interval.ms);
    if (this.#deaf > 0) this.#deaf--;
    if (this.#settle > 0) this.#settle--;
    if (this.#pushedBack) {
      this.#pushedBack = false;
      this.#shrink();
      return this.#width;
    }
    const listens = this.#deaf === 0 && this.#settle === 0;
    if (listens && cuts >= Math.max(1, this.#width * CUTS)) {
      this.#onCuts(rate);
      return this.#width;
    }
    if (!interval.saturated) return this.#width;
    if (this.#before && rate < this.#before.rate * WORTH_IT) {
      this.#set(this.#before.width);
      this.#before = undefined;
      this.#rest = REST;
      return this.#width;
    }
    if (this.#rest > 0) {
      this.#rest--;
      return this.#width;
    }
    this.#beforeCuts = undefined;
    if (this.#width < this.#options.most && !pressed) {
      this.#before = { rate, width: this.#width };
      this.#set(Math.ceil(this.#width * GROWTH));
    } else this.#before = undefined;
    return this.#width;
  }

  /** Fewer connections may be what the server wants; when fewer bring less and are cut all the same, it is not. */
  #onCuts(rate: number): void {
    const before = this.#beforeCuts;
    if (before && rate < before.rate * KEPT) {
      this.#set(before.width);
      this.#beforeCuts = undefined;
      this.#deaf = DEAF;
      return;
    }
    this.#beforeCuts = { rate, width: this.#width };
    this.#settle = SETTLE;
    this.#shrink();
  }

  #shrink(): void {
    this.#set(Math.floor(this.#width * SHRINK));
    this.#before = undefined;
    this.#rest = REST;
  }

  #set(width: number): void {
    this.#width = Math.min(this.#options.most, Math.max(this.#options.least, width));
  }
}
