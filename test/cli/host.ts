/** Running the command inside the test's process: the same `run`, with streams that remember. */
import type { Host } from '../../src/cli/context.ts';
import { run } from '../../src/cli/run.ts';
import type { Ended } from './child.ts';

export interface HostOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Both streams are terminals of this many columns. */
  readonly columns?: number;
  readonly signal?: AbortSignal;
  readonly stoppedBy?: NodeJS.Signals;
}

/** Runs `words` and answers what a shell would see. */
export async function inProcess(
  words: readonly string[],
  options: HostOptions = {},
): Promise<Ended> {
  const out: string[] = [];
  const err: string[] = [];
  const terminal = options.columns === undefined ? {} : { isTTY: true, columns: options.columns };
  const host: Host = {
    argv: words,
    env: options.env ?? {},
    cwd: options.cwd ?? '/nonexistent',
    stdout: { ...terminal, write: (text) => out.push(text) },
    stderr: { ...terminal, write: (text) => err.push(text) },
    signal: options.signal ?? new AbortController().signal,
    stoppedBy: () => options.stoppedBy,
    crash: new Promise(() => undefined),
    onWarning: () => undefined,
  };
  const status = await run(host);
  return { status, signal: null, stdout: out.join(''), stderr: err.join('') };
}
