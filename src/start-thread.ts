/** Starting a thread of ours, in whatever form the program runs. */
import { Worker, type ResourceLimits } from 'node:worker_threads';

export interface ThreadOptions {
  /** Of the thread, as tools show it. */
  readonly name: string;
  readonly workerData?: unknown;
  readonly resourceLimits: ResourceLimits;
}

/**
 * A thread whose file is `file` (without its extension), beside the module at `beside`: the sources run as they are, and as
 * built. The process's own flags are not for it: `--eval` would run a server's program twice.
 */
export function startThread(beside: string, file: string, options: ThreadOptions): Worker {
  const extension = beside.endsWith('.ts') ? 'ts' : 'js';
  return new Worker(new URL(`./${file}.${extension}`, beside), { ...options, execArgv: [] });
}
