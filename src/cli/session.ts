/** How one run talks: what goes to which stream, in which form. Made from the flags, or from a guess at them. */
import type { Context, Host } from './context.ts';
import type { FlagValues } from './flags.ts';
import { wantsColor } from './format.ts';
import { createLogger, type Logger } from './log.ts';
import { Out } from './out.ts';
import { Screen } from './screen.ts';
import { peek } from './settle.ts';

/** Warnings of Node's that a user of the command can do nothing about. */
const FOR_DEVELOPERS = new Set(['ExperimentalWarning', 'DeprecationWarning']);

/** The flags that are in force, and the channels as they ask for them. */
export interface Session {
  readonly values: FlagValues;
  readonly screen: Screen;
  readonly out: Out;
  readonly log: Logger;
  readonly style: Context['style'];
}

/** Opens the channels. Called again once the words are understood: nothing is written by opening. */
export function openSession(host: Host, values: FlagValues): Session {
  const { stdout, stderr, env } = host;
  const noColor = values.noColor ?? false;
  const terminal = stderr.isTTY === true && env['TERM'] !== 'dumb';
  const asked = values.logFormat ?? 'auto';
  const logFormat = asked === 'auto' ? (stderr.isTTY ? 'text' : 'json') : asked;
  const color = logFormat === 'text' && wantsColor(stderr.isTTY === true, env, noColor);
  const screen = new Screen(stderr);
  const log = createLogger({
    format: logFormat,
    level: levelOf(values),
    color,
    write: screen.line,
  });
  host.onWarning((warning) => {
    const level = FOR_DEVELOPERS.has(warning.name) ? 'debug' : 'warn';
    log(level, `${warning.name}: ${warning.message}`, { event: 'warning' });
  });
  const out = new Out(
    stdout,
    values.output ?? 'human',
    wantsColor(stdout.isTTY === true, env, noColor),
  );
  return {
    values,
    screen,
    out,
    log,
    style: { logFormat, terminal, color, unicode: speaksUnicode(host) },
  };
}

function levelOf({ quiet, logLevel }: FlagValues): 'error' | 'warn' | 'info' | 'debug' {
  if (logLevel === 'error' || !quiet) return logLevel ?? 'info';
  return 'warn';
}

/** POSIX: the first of these that is set decides the character set. */
function speaksUnicode({ env }: Host): boolean {
  return /utf-?8/i.test(env['LC_ALL'] || env['LC_CTYPE'] || env['LANG'] || '');
}

/** The flags about output, as far as they can be told before the words are understood, or when they cannot be. */
export function guess({ argv, env }: Host): FlagValues {
  const guessed: Record<string, unknown> = {};
  for (const key of [
    'output',
    'logFormat',
    'logLevel',
    'quiet',
    'noColor',
    'terminationLog',
  ] as const)
    guessed[key] = peek(key, argv, env);
  return guessed;
}
