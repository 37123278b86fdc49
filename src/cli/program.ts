/** The command line as commander sees it, built from the table of flags. Reads words, runs nothing. */
import { Command, CommanderError, Help, Option } from 'commander';
import { ModelFetchError } from '../errors.ts';
import { VERSION } from '../version.ts';
import { FLAGS, flagsOf, type CommandName, type Flag } from './flags.ts';
import { splitCommand } from './grammar.ts';
import { palette } from './format.ts';
import type { GivenFlags } from './settle.ts';

/** What was asked for: a command with its operands and flags, or a text for standard output. */
export type Invocation =
  | {
      readonly command: CommandName;
      readonly operands: readonly string[];
      readonly given: GivenFlags;
    }
  | { readonly text: string };

/** One line for every command: its operands and what it does. */
export const COMMAND_LINES: Readonly<
  Record<CommandName, readonly [operands: string, summary: string]>
> = {
  fetch: [
    '<uri> <dest> [<uri> <dest> ...]',
    'fetch models; also what happens when no command is named',
  ],
  ls: ['<uri>', 'list the files of a model'],
  explain: ['<uri>', 'say who answers for a URI, and with which credentials'],
  verify: ['<dest>', 'check published files against their manifest'],
  schemes: ['', 'list the URI schemes'],
  doctor: ['[uri] [dest]', 'check disk, limits, proxy, certificates, clock, credentials'],
  completion: ['bash|zsh|fish', 'print a completion script'],
  help: ['[command]', 'show this, or the help of a command'],
};

/** One line of usage for `command`; without one, of the program. */
export function usageLine(command: CommandName = 'fetch'): string {
  const name = command === 'fetch' ? 'model-fetch' : `model-fetch ${command}`;
  return `Usage: ${name} ${COMMAND_LINES[command][0]} [options]`.replace('  ', ' ');
}

/** What help needs to know about the terminal it is read on. */
export interface HelpStyle {
  readonly color: boolean;
  readonly columns: number;
}

/** Reads the words after the program's name. Throws `INVALID_OPTION` for a flag or an operand that makes no sense. */
export function parseWords(argv: readonly string[], style: HelpStyle): Invocation {
  const { command, rest } = splitCommand(argv);
  let invocation: Invocation | undefined;
  const texts: string[] = [];
  const words =
    command === undefined && rest.some(asksForHelp) ? ['--help'] : [command ?? 'fetch', ...rest];
  const program = buildProgram(texts, style, words[0]!, (found) => (invocation = found));
  try {
    program.parse(words, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode !== 0) throw usageError(error, command);
  }
  return invocation ?? { text: texts.join('') };
}

function asksForHelp(word: string): boolean {
  return word === '--help' || word === '-h';
}

function subcommandTerm(command: Command): string {
  return `${command.name()} ${COMMAND_LINES[command.name() as CommandName][0]}`.trimEnd();
}

/** commander lists options before commands; a reader looks for them the other way round. */
function commandsFirst(command: Command, helper: Help): string {
  const sections = Help.prototype.formatHelp.call(helper, command, helper).trimEnd().split('\n\n');
  const named = (name: string) =>
    sections.filter((section) => section.split('\n')[0]!.includes(name));
  const [commands, options] = [named('Commands:'), named('Options:')];
  const rest = sections.filter(
    (section) => !commands.includes(section) && !options.includes(section),
  );
  return `${[...rest.slice(0, 2), ...commands, ...rest.slice(2), ...options].join('\n\n')}\n`;
}

type Found = (invocation: Invocation) => void;

/** `first`: the first of the words. A command has its flags when it is the one, or when help may show any. */
function buildProgram(texts: string[], style: HelpStyle, first: string, found: Found): Command {
  const program = new Command('model-fetch').exitOverride().configureOutput({
    writeOut: (text) => texts.push(text),
    writeErr: () => undefined,
    getOutHelpWidth: () => style.columns,
    getOutHasColors: () => style.color,
  });
  const paint = palette(style.color);
  program
    .usage(`${COMMAND_LINES.fetch[0]} [options]\n       model-fetch <command> [options]`)
    .description('Gets a model from any URI onto disk, whole and right, before its server starts.')
    .version(VERSION, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'show this')
    .configureHelp({ styleTitle: paint.bold, subcommandTerm, formatHelp: commandsFirst })
    // The flags of `fetch` stand here for the help alone: behind a command's name they are the command's.
    .enablePositionalOptions()
    .helpCommand(false)
    .commandsGroup('Commands:')
    .addHelpText('after', epilogue(paint.bold));
  const forHelp = first === '--help' || first === 'help';
  if (forHelp) for (const flag of flagsOf('fetch')) program.addOption(optionOf(flag));
  for (const name of Object.keys(COMMAND_LINES) as CommandName[]) {
    const command = addCommand(program, name, found);
    // commander compares each with all before it: the flags of all commands take longer than the rest of a short run's words.
    if (forHelp || name === first)
      for (const flag of flagsOf(name)) command.addOption(optionOf(flag));
  }
  return program;
}

function addCommand(program: Command, name: CommandName, found: Found): Command {
  const [operands, summary] = COMMAND_LINES[name];
  const command = program
    .command(name)
    .summary(summary)
    .description(sentence(summary))
    .usage(operands);
  command.helpOption('-h, --help', 'show this').argument('[operands...]');
  command.configureHelp({
    visibleArguments: () => [],
    commandUsage: () => usageLine(name).slice('Usage: '.length),
  });
  command.action((words: string[]) => {
    if (name === 'help') showHelp(program, words[0]);
    else found({ command: name, operands: words, given: givenFlags(command) });
  });
  return command;
}

function showHelp(program: Command, name: string | undefined): void {
  const command =
    name === undefined ? program : program.commands.find((candidate) => candidate.name() === name);
  if (command === undefined)
    throw new ModelFetchError('INVALID_OPTION', `"${name!}" is not a command`, {
      hint: `The commands are ${Object.keys(COMMAND_LINES).join(', ')}.`,
    });
  command.outputHelp();
}

/** commander's form of a row. Values stay texts: parsing them, and the environment, is `settle`'s business. */
function optionOf(flag: Flag): Option {
  const long = flag.value === undefined ? `--${flag.name}` : `--${flag.name} <${flag.value}>`;
  const terms = flag.short === undefined ? long : `-${flag.short}, ${long}`;
  const help = flag.default === undefined ? flag.help : `${flag.help} (default ${flag.default})`;
  const option = new Option(terms, help).helpGroup(`${flag.group}:`);
  if (flag.value !== undefined)
    option.argParser((text: string, before: string[] | undefined) => [...(before ?? []), text]);
  return option;
}

function givenFlags(command: Command): GivenFlags {
  const given: Record<string, readonly string[]> = {};
  for (const option of command.options) {
    const flag = FLAGS.find((candidate) => `--${candidate.name}` === option.long);
    if (flag === undefined || command.getOptionValueSource(option.attributeName()) !== 'cli')
      continue;
    given[flag.name] =
      flag.value === undefined
        ? ['true']
        : (command.getOptionValue(option.attributeName()) as string[]);
  }
  return given;
}

function usageError(error: CommanderError, command: CommandName | undefined): ModelFetchError {
  const [message = '', suggestion] = error.message.replace(/^error: /, '').split('\n');
  const help = `model-fetch ${command && command !== 'fetch' ? `${command} ` : ''}--help shows what there is.`;
  const near = suggestion?.replace(/^\(|\)$/g, '');
  return new ModelFetchError('INVALID_OPTION', message, {
    hint: near ? `${near} ${help}` : help,
    cause: error,
  });
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}

function epilogue(bold: (text: string) => string): string {
  return `
${bold('Examples:')}
  model-fetch s3://models/iris /mnt/models
  model-fetch https://host/model.tar.gz /mnt/models --checksum sha256:9f86d0…
  model-fetch ls gs://bucket/model --output json

Every flag --foo-bar may also be given as MODEL_FETCH_FOO_BAR; a flag wins. A list in a variable is
["a","b"] or a,b. With one URI alone, OUTPUT_PATH names the destination.

${bold('Exit status:')}
  0 done   2 usage   10 not found or empty   11 not authorised   12 network   13 integrity
  14 refused by policy   15 disk or permission   16 bad archive   17 not supported   18 deadline
  130, 143 interrupted   1 a bug of model-fetch`;
}
