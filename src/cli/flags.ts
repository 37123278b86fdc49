/**
 * Every flag, once: its name, its variable, its parser, its help and the option it sets. The command line, the
 * environment, the help, the completions and the documentation are all derived from this table.
 */
import type { Digest } from '../fetcher.ts';
import { digest, type Fsync, type LinkMode, type NetPolicy } from '../options.ts';
import {
  asIs,
  bytes,
  claim,
  duration,
  oneOf,
  pathOrNone,
  whole,
  yesNo,
  type Parser,
} from './values.ts';

/** The commands, in the order in which help lists them. */
export const COMMANDS = [
  'fetch',
  'ls',
  'explain',
  'verify',
  'schemes',
  'doctor',
  'completion',
  'help',
] as const;
export type CommandName = (typeof COMMANDS)[number];

/** What flags and variables may say. Durations in milliseconds, sizes in bytes, `false` for `none`. */
export interface FlagValues {
  readonly include?: readonly string[];
  readonly exclude?: readonly string[];
  readonly checksum?: Digest;
  readonly expectRevision?: string;
  readonly unpack?: 'auto' | 'never';
  readonly link?: LinkMode;
  readonly pvc?: readonly string[];
  readonly plugin?: readonly string[];
  readonly manifest?: string | false;
  readonly overwrite?: boolean;
  readonly compat?: 'kserve' | 'none';
  readonly dryRun?: boolean;
  readonly concurrency?: number;
  readonly limitRate?: number;
  readonly timeoutMs?: number;
  readonly stallTimeoutMs?: number;
  readonly attempts?: number;
  readonly connectGraceMs?: number;
  readonly lockTimeoutMs?: number;
  readonly fsync?: Fsync;
  readonly netPolicy?: NetPolicy;
  readonly output?: 'human' | 'json';
  readonly logFormat?: 'auto' | 'json' | 'text';
  readonly logLevel?: 'error' | 'warn' | 'info' | 'debug';
  readonly progress?: 'auto' | 'none' | 'json';
  readonly progressIntervalMs?: number;
  readonly terminationLog?: string | false;
  readonly quiet?: boolean;
  readonly noColor?: boolean;
}

/** One row of the table. */
export interface Flag {
  /** Without the dashes: `stall-timeout`. */
  readonly name: string;
  readonly short?: string;
  /** What stands for its value in help; absent for a switch. */
  readonly value?: string;
  readonly group: 'What' | 'How' | 'Output';
  readonly help: string;
  /** The default, in words. */
  readonly default?: string;
  /** The commands that know it. */
  readonly commands: readonly CommandName[];
  /** The field of `FlagValues` that it sets. */
  readonly key: keyof FlagValues;
  /** `library`: the field is one of `FetchOptions`. `command`: the command's own business. */
  readonly for: 'library' | 'command';
  readonly parse: Parser<unknown>;
  readonly repeatable?: boolean;
  readonly choices?: readonly string[];
  readonly completes?: 'file' | 'directory';
  /** A check that someone asked for: an empty variable must not silently switch it off. */
  readonly guard?: boolean;
}

/** Holds a row to the type of the field that it sets. */
function flag<K extends keyof FlagValues>(
  key: K,
  parse: Parser<
    NonNullable<FlagValues[K]> extends readonly (infer Item)[] ? Item : NonNullable<FlagValues[K]>
  >,
  rest: Omit<Flag, 'key' | 'parse'>,
): Flag {
  return { key, parse, ...rest };
}

/** A row whose values are a few words, the first of which is the default unless it says otherwise. */
function choice<K extends keyof FlagValues>(
  key: K,
  choices: readonly (FlagValues[K] & string)[],
  rest: Omit<Flag, 'key' | 'parse' | 'choices' | 'value'>,
): Flag {
  const words = { choices, value: choices.join('|'), default: choices[0]! };
  return { key, parse: oneOf(choices), ...words, ...rest };
}

const FETCH = ['fetch'] as const;
const LISTING = ['fetch', 'ls', 'doctor'] as const;
/** Commands that go to a source. */
export const REACHING = ['fetch', 'ls', 'explain', 'doctor'] as const;
const WHAT = { group: 'What', for: 'library' } as const;
const HOW = { group: 'How', for: 'library' } as const;
const OUTPUT = { group: 'Output', for: 'command', commands: COMMANDS } as const;

// prettier-ignore
export const FLAGS: readonly Flag[] = [
  flag('include', asIs, { ...WHAT, name: 'include', value: 'glob', repeatable: true, commands: ['fetch', 'ls'], help: 'take only paths that match; may be repeated' }),
  flag('exclude', asIs, { ...WHAT, name: 'exclude', value: 'glob', repeatable: true, commands: ['fetch', 'ls'], help: 'leave out paths that match; may be repeated' }),
  flag('checksum', digest, { ...WHAT, name: 'checksum', value: 'sha256:hex', guard: true, commands: FETCH, help: 'the one file of the model must have this digest' }),
  flag('expectRevision', asIs, { ...WHAT, name: 'expect-revision', value: 'id', guard: true, commands: LISTING, help: 'refuse any other revision of the source' }),
  choice('unpack', ['auto', 'never'], { ...WHAT, name: 'unpack', commands: FETCH, help: 'unpack a model that is one archive' }),
  choice('link', ['auto', 'copy', 'hard', 'symlink'], { ...WHAT, name: 'link', commands: FETCH, help: 'how local files are placed' }),
  flag('pvc', claim, { ...WHAT, for: 'command', name: 'pvc', value: 'claim=/path', repeatable: true, commands: REACHING, help: 'where a claim is mounted; may be repeated' }),
  flag('plugin', asIs, { ...WHAT, for: 'command', name: 'plugin', value: 'module', repeatable: true, commands: [...REACHING, 'schemes'], completes: 'file', help: 'a module that adds schemes; may be repeated' }),
  flag('manifest', pathOrNone, { ...WHAT, name: 'manifest', value: 'path|none', default: 'in the target', commands: ['fetch', 'verify'], completes: 'file', help: 'where the manifest is' }),
  flag('overwrite', yesNo, { ...WHAT, name: 'overwrite', commands: FETCH, help: 'replace files in the target that are not ours' }),
  choice('compat', ['none', 'kserve'], { ...WHAT, for: 'command', name: 'compat', commands: REACHING, help: "kserve: the trees and exit statuses of KServe's own initializer" }),
  flag('dryRun', yesNo, { ...WHAT, for: 'command', name: 'dry-run', short: 'n', commands: FETCH, help: 'say what would be done, and write nothing' }),

  flag('concurrency', whole, { ...HOW, name: 'concurrency', value: 'n', default: 'as many as help, up to 128', commands: FETCH, help: 'requests at a time' }),
  flag('limitRate', bytes, { ...HOW, name: 'limit-rate', value: 'bytes', commands: FETCH, help: 'at most this many bytes a second: 100M, 1Gi' }),
  flag('timeoutMs', duration, { ...HOW, name: 'timeout', value: 'duration', commands: LISTING, help: 'give up after this long: 20s, 5m, 1h (exit 18)' }),
  flag('stallTimeoutMs', duration, { ...HOW, name: 'stall-timeout', value: 'duration', default: '30s', commands: LISTING, help: 'replace a connection that is silent so long' }),
  flag('attempts', whole, { ...HOW, name: 'attempts', value: 'n', default: '8', commands: LISTING, help: 'tries without a new byte before giving up' }),
  flag('connectGraceMs', duration, { ...HOW, name: 'connect-grace', value: 'duration', default: '30s', commands: LISTING, help: 'how long refused connections are tried again' }),
  flag('lockTimeoutMs', duration, { ...HOW, name: 'lock-timeout', value: 'duration', default: '10m', commands: FETCH, help: 'how long to wait for another run' }),
  choice('fsync', ['auto', 'always', 'never'], { ...HOW, name: 'fsync', commands: FETCH, help: 'sync files to disk; auto: unless the disk is local' }),
  choice('netPolicy', ['default', 'public'], { ...HOW, name: 'net-policy', default: 'anywhere but link-local', commands: REACHING, help: 'where URIs and redirects may lead' }),

  choice('output', ['human', 'json'], { ...OUTPUT, name: 'output', help: 'the result, on standard output' }),
  choice('logFormat', ['auto', 'json', 'text'], { ...OUTPUT, name: 'log-format', help: 'standard error; auto: text on a terminal' }),
  choice('logLevel', ['error', 'warn', 'info', 'debug'], { ...OUTPUT, name: 'log-level', default: 'info', help: 'the least important messages shown' }),
  choice('progress', ['auto', 'none', 'json'], { ...OUTPUT, commands: FETCH, name: 'progress', help: 'auto: a bar on a terminal, else records' }),
  flag('progressIntervalMs', duration, { ...OUTPUT, commands: FETCH, name: 'progress-interval', value: 'duration', default: '10s', help: 'time between progress records' }),
  flag('terminationLog', pathOrNone, { ...OUTPUT, commands: ['fetch', 'verify'], name: 'termination-log', value: 'path|none', default: "Kubernetes's", completes: 'file', help: 'a file for one line about the end' }),
  flag('quiet', yesNo, { ...OUTPUT, name: 'quiet', short: 'q', help: 'only warnings and errors, and no progress' }),
  flag('noColor', yesNo, { ...OUTPUT, name: 'no-color', help: 'no colours (also NO_COLOR; FORCE_COLOR insists)' }),
];

/** The variable of a flag: `--stall-timeout` is `MODEL_FETCH_STALL_TIMEOUT`. */
export function variableOf(flag: Pick<Flag, 'name'>): string {
  return `MODEL_FETCH_${flag.name.toUpperCase().replaceAll('-', '_')}`;
}

/** The flags that `command` knows. */
export function flagsOf(command: CommandName): readonly Flag[] {
  return FLAGS.filter((flag) => flag.commands.includes(command));
}
