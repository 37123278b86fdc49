/** Completion scripts for shells, made from the table of flags. They ask nothing of the program while they complete. */
import { COMMANDS, FLAGS, flagsOf, type CommandName, type Flag } from './flags.ts';

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

/** The words that follow `completion`, and everything else that takes one of a few words. */
const OPERANDS: Partial<Record<CommandName, readonly string[]>> = {
  completion: SHELLS,
  help: COMMANDS,
};

/** The script for `shell`; `schemes` are offered where a URI stands. */
export function completionScript(shell: Shell, schemes: readonly string[]): string {
  const uris = schemes.map((scheme) => `${scheme}://`);
  if (shell === 'bash') return bash(uris);
  return shell === 'zsh' ? zsh(uris) : fish(uris);
}

function dashed(flag: Flag): readonly string[] {
  return flag.short === undefined ? [`--${flag.name}`] : [`--${flag.name}`, `-${flag.short}`];
}

function words(command: CommandName): string {
  return [...flagsOf(command).map((flag) => `--${flag.name}`), '--help'].join(' ');
}

function bash(uris: readonly string[]): string {
  const values = FLAGS.filter((flag) => flag.value !== undefined).map((flag) => {
    if (flag.choices)
      return `    --${flag.name}) COMPREPLY=($(compgen -W '${flag.choices.join(' ')}' -- "$cur")); return ;;`;
    return `    --${flag.name}) ${flag.completes ? 'COMPREPLY=($(compgen -f -- "$cur")); compopt -o filenames 2>/dev/null; ' : ''}return ;;`;
  });
  const flags = COMMANDS.map((name) => `    ${name}) flags='${words(name)}' ;;`);
  const operands = Object.entries(OPERANDS).map(
    ([name, choices]) =>
      `    ${name}) COMPREPLY=($(compgen -W '${choices.join(' ')}' -- "$cur")); return ;;`,
  );
  return `# bash completion for model-fetch. To use it: source <(model-fetch completion bash)
_model_fetch() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]} command=fetch flags word at named=0
  COMPREPLY=()
  for ((at = 1; at < COMP_CWORD; at++)); do
    word=\${COMP_WORDS[at]}
    case $word in
    ${COMMANDS.join('|')}) command=$word; named=1; break ;;
    -*) ;;
    *) break ;;
    esac
  done
  case $prev in
${values.join('\n')}
  esac
  case $command in
${flags.join('\n')}
  esac
  if [[ $cur == -* ]]; then
    COMPREPLY=($(compgen -W "$flags" -- "$cur"))
    return
  fi
  case $command in
${operands.join('\n')}
    schemes) return ;;
  esac
  compopt -o filenames 2>/dev/null
  if ((COMP_CWORD == 1)); then
    COMPREPLY=($(compgen -W '${COMMANDS.join(' ')}' -- "$cur"))
  fi
  if [[ -n $cur || COMP_CWORD -gt 1 ]]; then
    COMPREPLY+=($(compgen -f -- "$cur"))
  fi
  # The colon ends a word in bash, so schemes are offered only before it is typed.
  if [[ -n $cur && $cur != *:* ]]; then
    local schemes=($(compgen -W '${uris.join(' ')}' -- "$cur"))
    if ((\${#schemes[@]})); then
      COMPREPLY+=("\${schemes[@]}")
      compopt -o nospace +o filenames 2>/dev/null
    fi
  fi
}
complete -F _model_fetch model-fetch
`;
}

/** Single quotes for zsh and fish; a colon and brackets have a meaning in zsh's specifications. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

function zshSpec(flag: Flag): string {
  const help = flag.help.replaceAll(/[[\]:\\]/g, '\\$&');
  const value =
    flag.value === undefined
      ? ''
      : `:${flag.name}:${flag.choices ? `(${flag.choices.join(' ')})` : flag.completes ? '_files' : ' '}`;
  return dashed(flag)
    .map((name) => quoted(`${flag.repeatable ? '*' : ''}${name}[${help}]${value}`))
    .join(' ');
}

function zsh(uris: readonly string[]): string {
  const specs = COMMANDS.map((name) => {
    const operands = OPERANDS[name];
    const rest = operands
      ? `'*:word:(${operands.join(' ')})'`
      : name === 'schemes'
        ? ''
        : `'*:uri or path:_model_fetch_places'`;
    return `    ${name}) _arguments ${[...flagsOf(name).map(zshSpec), rest].join(' ')} ;;`;
  });
  return `#compdef model-fetch
# zsh completion for model-fetch. To use it: model-fetch completion zsh > "\${fpath[1]}/_model-fetch"
_model_fetch_places() {
  compadd -S '' -- ${uris.join(' ')}
  _files
}
_model_fetch() {
  local command=fetch
  if (( CURRENT == 2 )) && [[ $words[2] != -* ]]; then
    compadd -- ${COMMANDS.join(' ')}
  fi
  if (( CURRENT > 2 )) && [[ ' ${COMMANDS.join(' ')} ' == *" $words[2] "* ]]; then
    command=$words[2]
    shift words
    (( CURRENT-- ))
  fi
  case $command in
${specs.join('\n')}
  esac
}
if [[ $funcstack[1] == _model-fetch ]]; then _model_fetch "$@"; else compdef _model_fetch model-fetch; fi
`;
}

function fish(uris: readonly string[]): string {
  const none = `not __fish_seen_subcommand_from ${COMMANDS.join(' ')}`;
  const commands = COMMANDS.map(
    (name) => `complete -c model-fetch -n '__fish_use_subcommand' -f -a ${name}`,
  );
  const places = uris.map((uri) => `complete -c model-fetch -n '${none}' -a ${quoted(uri)}`);
  const operands = Object.entries(OPERANDS).map(
    ([name, choices]) =>
      `complete -c model-fetch -n '__fish_seen_subcommand_from ${name}' -f -a ${quoted(choices.join(' '))}`,
  );
  const flags = FLAGS.map((flag) => {
    const others = flag.commands.filter((name) => name !== 'fetch');
    const seen = others.length > 0 ? `__fish_seen_subcommand_from ${others.join(' ')}; or ` : '';
    const when = flag.commands.includes('fetch')
      ? `${seen}__fish_seen_subcommand_from fetch; or ${none}`
      : seen.replace(/; or $/, '');
    const value =
      flag.value === undefined
        ? ''
        : flag.choices
          ? ` -x -a ${quoted(flag.choices.join(' '))}`
          : flag.completes
            ? ' -r -F'
            : ' -x';
    const short = flag.short === undefined ? '' : ` -s ${flag.short}`;
    return `complete -c model-fetch -n ${quoted(when)} -l ${flag.name}${short}${value} -d ${quoted(flag.help)}`;
  });
  return `# fish completion for model-fetch. To use it: model-fetch completion fish > ~/.config/fish/completions/model-fetch.fish
${[...commands, ...places, ...operands, ...flags].join('\n')}
`;
}
