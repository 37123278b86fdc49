/** A run told on standard error: a line for what matters, a bar or records for progress, a summary at the end. */
import type { FetchEvent } from '../events.ts';
import type { FetchResult } from '../fetch-model.ts';
import { renderBar } from './bar.ts';
import { count, formatBytes, formatClock, formatRate, formatSeconds } from './format.ts';
import { jsonLine, type LogFields, type Logger } from './log.ts';
import { boundText, recordOf } from './record.ts';
import { Progress, type Snapshot } from './progress.ts';
import type { Screen } from './screen.ts';

export interface ReportOptions {
  readonly log: Logger;
  readonly screen: Screen;
  /** `bar` on a terminal, `log` as ordinary log lines, `json` as records whatever the log looks like. */
  readonly progress: 'bar' | 'log' | 'json' | 'none';
  /** Milliseconds between progress records. */
  readonly intervalMs: number;
  /** How many listings are to be expected. */
  readonly pairs: number;
  readonly color: boolean;
  readonly unicode: boolean;
}

/** What is said last. */
export interface Summary {
  readonly msg: string;
  readonly figures: LogFields;
}

type BoundEvent = FetchEvent & { readonly type: 'bound' };

/** Milliseconds between frames of the bar. */
const FRAME_MS = 100;

export class Report {
  readonly #options: ReportOptions;
  readonly #progress: Progress;
  #timer: NodeJS.Timeout | undefined;
  #frame = 0;
  readonly #startedAt = performance.now();
  /** By what it is that bound the run; the newest, which has the sums. */
  readonly #bounds = new Map<string, BoundEvent>();

  constructor(options: ReportOptions) {
    this.#options = options;
    this.#progress = new Progress(options.pairs, this.#startedAt);
    if (options.progress === 'none') return;
    const isBar = options.progress === 'bar';
    const tick = (): void => {
      if (isBar) this.#draw();
      else this.#record();
    };
    // Not a reason to stay alive: a run whose every other handle is gone is a bug that must show.
    this.#timer = setInterval(tick, isBar ? FRAME_MS : options.intervalMs).unref();
  }

  /** For `FetchOptions.onEvent`. */
  readonly onEvent = (event: FetchEvent): void => {
    this.#progress.add(event);
    if (event.type === 'bound') {
      const told = this.#bounds.has(event.by);
      this.#bounds.set(event.by, event);
      if (told) return;
    }
    const record = recordOf(event);
    if (record) this.#options.log(record.level, record.msg, record.fields);
  };

  /** Ends progress and erases the bar. Called before whatever is said last. */
  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    if (this.#options.progress === 'bar') this.#options.screen.status('');
  }

  /** The end of progress, and the summary: what there is now, what it took, and how it was checked. */
  done(results: readonly FetchResult[]): Summary {
    this.stop();
    const sums = sum(results);
    const seconds = Math.max(0.001, (performance.now() - this.#startedAt) / 1000);
    const bound = this.#bound;
    const msg = summaryText(sums, seconds) + (bound ? `; ${boundText(bound)}` : '');
    return { msg, figures: { ...figuresOf(sums, seconds), ...boundFields(bound) } };
  }

  /** What bound the run for at least half of the time in which it transferred. */
  get #bound(): BoundEvent | undefined {
    return [...this.#bounds.values()].find(({ seconds, ofSeconds }) => seconds >= ofSeconds / 2);
  }

  #draw(): void {
    const { screen, color, unicode } = this.#options;
    const style = { columns: screen.columns, color, unicode, frame: this.#frame++ };
    screen.status(renderBar(this.#progress.snapshot(performance.now()), style));
  }

  #record(): void {
    const { log, screen, progress } = this.#options;
    const snapshot = this.#progress.snapshot(performance.now());
    const fields = { event: 'progress', ...snapshot };
    if (progress === 'json')
      screen.line(jsonLine(Date.now(), 'info', progressText(snapshot), fields));
    else log('info', progressText(snapshot), fields);
  }
}

/** What bound the run, for a summary. */
function boundFields(bound: BoundEvent | undefined): Record<string, unknown> {
  return bound ? { bound: { by: bound.by, bytesPerSec: bound.bytesPerSecond } } : {};
}

/** `42%, 3.1 GiB of 7.4 GiB, 412 MB/s, 0:11 left, 12 of 57 files`. */
export function progressText(snapshot: Snapshot): string {
  const { percent, bytes, totalBytes, bytesPerSec, etaSec, files, totalFiles } = snapshot;
  if (bytes === 0 && totalFiles === undefined) return 'listing';
  return [
    ...(percent === undefined ? [] : [`${percent}%`]),
    totalBytes === undefined
      ? formatBytes(bytes)
      : `${formatBytes(bytes)} of ${formatBytes(totalBytes)}`,
    ...(bytesPerSec === undefined ? [] : [formatRate(bytesPerSec)]),
    ...(etaSec === undefined ? [] : [`${formatClock(etaSec)} left`]),
    totalFiles === undefined ? count(files, 'file') : `${files} of ${count(totalFiles, 'file')}`,
  ].join(', ');
}

/** Several targets as one. */
interface Sums {
  readonly files: number;
  readonly bytes: number;
  readonly fetchedBytes: number;
  readonly retries: number;
  /** Source files by how they were checked. */
  readonly verified: Readonly<Record<string, number>>;
}

function sum(results: readonly FetchResult[]): Sums {
  const verified: Record<string, number> = {};
  for (const result of results)
    for (const [how, files] of Object.entries(result.verified))
      verified[how] = (verified[how] ?? 0) + files;
  const add = (pick: (result: FetchResult) => number) =>
    results.reduce((total, result) => total + pick(result), 0);
  return {
    files: add((result) => result.files),
    bytes: add((result) => result.bytes),
    fetchedBytes: add((result) => result.fetchedBytes),
    retries: add((result) => result.retries),
    verified,
  };
}

function summaryText(sums: Sums, seconds: number): string {
  const { files, bytes, fetchedBytes, retries, verified } = sums;
  const how = Object.entries(verified)
    .filter(([, number]) => number > 0)
    .map(([name, number]) => `${number} by ${name}`);
  const fetched =
    fetchedBytes === 0
      ? `nothing to fetch, ${formatSeconds(seconds)}`
      : `fetched ${formatBytes(fetchedBytes)} in ${formatSeconds(seconds)} (${formatRate(fetchedBytes / seconds)})`;
  return [
    `done: ${count(files, 'file')}, ${formatBytes(bytes)}; ${fetched}`,
    ...(how.length > 0 ? [`checked ${how.join(', ')}`] : []),
    ...(retries > 0 ? [`${retries} ${retries === 1 ? 'retry' : 'retries'}`] : []),
  ].join('; ');
}

function figuresOf(sums: Sums, seconds: number): Record<string, unknown> {
  const megabytesPerSec = Number((sums.fetchedBytes / 1e6 / seconds).toFixed(1));
  return { ...sums, seconds: Number(seconds.toFixed(3)), megabytesPerSec };
}
