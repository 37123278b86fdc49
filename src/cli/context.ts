/** What a command works with: everything that belongs to the process is handed in here, so that commands can be read alone. */
import type { FetchOptions } from '../options.ts';
import type { Env, ResolverRegistry } from '../registry.ts';
import type { CommandName, FlagValues } from './flags.ts';
import type { LogFields, Logger } from './log.ts';
import type { Out } from './out.ts';
import type { Screen, Sink } from './screen.ts';

/** The process as `run` sees it. Only `main.ts` knows the real one. */
export interface Host {
  readonly argv: readonly string[];
  readonly env: Env;
  readonly cwd: string;
  readonly stdout: Sink;
  readonly stderr: Sink;
  /** Aborted by SIGINT and SIGTERM. */
  readonly signal: AbortSignal;
  /** Which of them it was. */
  readonly stoppedBy: () => NodeJS.Signals | undefined;
  /** Rejects when something was thrown that nobody caught. */
  readonly crash: Promise<never>;
  /** Process warnings so far and from now on. */
  readonly onWarning: (listener: (warning: Error) => void) => void;
}

export interface Context {
  readonly command: CommandName;
  readonly operands: readonly string[];
  readonly values: FlagValues;
  /** The environment for the library, `--pvc` included. */
  readonly env: Env;
  readonly cwd: string;
  readonly signal: AbortSignal;
  readonly out: Out;
  readonly log: Logger;
  readonly screen: Screen;
  readonly style: {
    readonly logFormat: 'text' | 'json';
    /** Standard error is a terminal that can be drawn on. */
    readonly terminal: boolean;
    readonly color: boolean;
    readonly unicode: boolean;
  };
  /** The built-in schemes and those of `--plugin`. */
  readonly registry: () => Promise<ResolverRegistry>;
  /** `FetchOptions` from flags, environment and registry. */
  readonly options: () => Promise<FetchOptions>;
  /** The end of a run that went well, in the log and in the termination log. Called once, last. */
  readonly summarize: (msg: string, fields: LogFields) => void;
}

/** What a command does. It writes its result to `out`, throws when it fails, and never ends the process. */
export type CommandRun = (context: Context) => Promise<void>;
