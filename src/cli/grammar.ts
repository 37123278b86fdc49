/** What the words of a command line are: a command, or pairs of a URI and a destination. Pure but for one look at the disk. */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { closest } from '../closest.ts';
import { ModelFetchError } from '../errors.ts';
import type { Pair } from '../fetch-model.ts';
import type { Env } from '../registry.ts';
import { COMMANDS, FLAGS, type CommandName } from './flags.ts';

const USAGE = 'Usage: model-fetch <uri> <dest> [<uri> <dest> ...] [options]';

/** The command, if the first operand is the name of one, and the other words in their order. */
export interface Split {
  readonly command: CommandName | undefined;
  readonly rest: readonly string[];
}

const TAKES_VALUE: ReadonlySet<string> = new Set(
  FLAGS.filter((flag) => flag.value !== undefined).map((flag) => `--${flag.name}`),
);

/** Finds the command, which may stand behind flags. No URI and no `./path` is the name of one; behind `--` there is none. */
export function splitCommand(argv: readonly string[]): Split {
  for (let at = 0; at < argv.length; at++) {
    const word = argv[at]!;
    if (word === '--') break;
    if (TAKES_VALUE.has(word)) at++;
    else if (!word.startsWith('-') || word === '-') {
      const command = COMMANDS.find((name) => name === word);
      return command
        ? { command, rest: [...argv.slice(0, at), ...argv.slice(at + 1)] }
        : { command: undefined, rest: argv };
    }
  }
  return { command: undefined, rest: argv };
}

/** Refuses a first operand that is a misspelt command rather than a URI or a path. */
export function refuseUnknownCommand(operands: readonly string[], cwd: string): void {
  const word = operands[0];
  if (word === undefined || !/^[A-Za-z][A-Za-z-]*$/.test(word) || existsSync(resolve(cwd, word)))
    return;
  const near = closest(word, COMMANDS);
  throw new ModelFetchError(
    'INVALID_OPTION',
    `"${word}" is neither a command nor a URI, and no such file exists`,
    {
      hint: near
        ? `Did you mean ${near}?`
        : `The commands are ${COMMANDS.join(', ')}; a path may be written ./${word}.`,
    },
  );
}

/** Operands two by two. One alone goes to `OUTPUT_PATH`, as PrimeHub calls it. */
export function toPairs(operands: readonly string[], env: Env): Pair[] {
  const outputPath = env['OUTPUT_PATH'];
  if (operands.length === 0)
    throw new ModelFetchError(
      'INVALID_OPTION',
      'nothing to fetch: a URI and a destination are needed',
      {
        hint: `${USAGE}, for example model-fetch s3://bucket/model /mnt/models`,
      },
    );
  if (operands.length === 1 && outputPath) return [{ uri: operands[0]!, dest: outputPath }];
  if (operands.length % 2 === 1)
    throw new ModelFetchError(
      'INVALID_OPTION',
      `a URI without a destination: ${operands.at(-1)!}`,
      {
        hint: USAGE,
      },
    );
  const pairs: Pair[] = [];
  for (let at = 0; at < operands.length; at += 2)
    pairs.push({ uri: operands[at]!, dest: destination(operands[at + 1]!, operands[at]!) });
  return pairs;
}

function destination(dest: string, uri: string): string {
  if (dest.trim() === '')
    throw new ModelFetchError('INVALID_OPTION', 'the destination is empty', {
      uri,
      hint: 'Name a directory, for example /mnt/models.',
    });
  if (dest.includes('://'))
    throw new ModelFetchError('INVALID_OPTION', `a URI where a destination was expected: ${dest}`, {
      hint: `Destinations are directories. ${USAGE}`,
    });
  return dest;
}
