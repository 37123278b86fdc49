/** Flags and variables together: what the user asked for. A flag wins over its variable. Pure. */
import { closest } from '../closest.ts';
import { ModelFetchError } from '../errors.ts';
import type { FetchOptions } from '../options.ts';
import type { Env } from '../registry.ts';
import {
  FLAGS,
  flagsOf,
  variableOf,
  type CommandName,
  type Flag,
  type FlagValues,
} from './flags.ts';
import { list } from './values.ts';

/** The texts given on the command line, by flag name; a switch has the one text `true`. */
export type GivenFlags = Readonly<Record<string, readonly string[]>>;

/** `MODEL_FETCH_*` names that fetchers read and that are no flags. */
export const FETCHER_VARIABLES: readonly string[] = [
  'MODEL_FETCH_S3_ANONYMOUS',
  'MODEL_FETCH_S3_REQUEST_PAYER',
  'MODEL_FETCH_S3_SSE_C_KEY',
  'MODEL_FETCH_S3_SSE_C_KEY_FILE',
  'MODEL_FETCH_GCS_ANONYMOUS',
  'MODEL_FETCH_GCS_CREDENTIALS',
  'MODEL_FETCH_GCS_CREDENTIALS_FILE',
  'MODEL_FETCH_GCS_ENDPOINT',
  'MODEL_FETCH_GCS_USER_PROJECT',
  'MODEL_FETCH_NFS',
  'MODEL_FETCH_PHFS',
];

/** What Kubernetes puts into every pod of a namespace that has a Service called `model-fetch`. */
const SERVICE_LINK =
  /^MODEL_FETCH_(SERVICE_HOST|SERVICE_PORT(_.+)?|PORT|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$/;

/** The values of `command`'s flags. Throws `INVALID_OPTION`, naming the flag or the variable. */
export function settle(command: CommandName, given: GivenFlags, env: Env): FlagValues {
  const values: Record<string, unknown> = {};
  for (const flag of flagsOf(command)) {
    const value = valueOf(flag, given[flag.name], env);
    if (value !== undefined) values[flag.key] = value;
  }
  return values;
}

/** One flag's value; undefined when nobody said anything. */
export function valueOf(flag: Flag, given: readonly string[] | undefined, env: Env): unknown {
  if (given !== undefined && given.length > 0) return parseTexts(flag, given, `--${flag.name}`);
  const name = variableOf(flag);
  const text = env[name];
  if (text === undefined) return undefined;
  if (text.trim() === '') {
    // Empty is how manifests and shells say "not set", but a template that came out empty must not disarm a check.
    if (!flag.guard) return undefined;
    throw new ModelFetchError('INVALID_OPTION', `${name} is set but empty`, {
      hint: `Unset it to go without --${flag.name}.`,
    });
  }
  return parseTexts(flag, flag.repeatable ? list(text, name) : [text], name);
}

function parseTexts(flag: Flag, texts: readonly string[], name: string): unknown {
  const values = texts.map((text) => {
    if (flag.value !== undefined && text === '')
      throw new ModelFetchError('INVALID_OPTION', `${name} is empty`, {
        hint: `${name} wants ${flag.value}.`,
      });
    return flag.parse(text, name);
  });
  return flag.repeatable ? values : values.at(-1);
}

/** The part of the values that the library takes. */
export function libraryOptions(values: FlagValues): Partial<FetchOptions> {
  const keys = FLAGS.filter((flag) => flag.for === 'library').map((flag) => flag.key);
  return Object.fromEntries(keys.filter((key) => key in values).map((key) => [key, values[key]]));
}

/** The environment for the library: what was given, with `--pvc` and `--compat` in the form in which fetchers read them. */
export function libraryEnv(values: FlagValues, env: Env): Env {
  const { pvc, compat } = values;
  return {
    ...env,
    ...(pvc && { MODEL_FETCH_PVC: pvc.join(',') }),
    ...(compat && { MODEL_FETCH_COMPAT: compat }),
  };
}

/** One sentence for every `MODEL_FETCH_*` variable that nobody reads: a misspelt one is otherwise silent. */
export function unknownVariables(env: Env): string[] {
  const known = [...FLAGS.map(variableOf), ...FETCHER_VARIABLES];
  return Object.keys(env)
    .filter(
      (name) =>
        name.startsWith('MODEL_FETCH_') && !known.includes(name) && !SERVICE_LINK.test(name),
    )
    .sort()
    .map((name) => {
      const near = closest(name, known);
      return `${name} is not a variable that model-fetch knows${near ? `; did you mean ${near}?` : ''}`;
    });
}

/** A best guess at one flag before, or although, the command line could not be read as a whole. */
export function peek<K extends keyof FlagValues>(
  key: K,
  argv: readonly string[],
  env: Env,
): FlagValues[K] | undefined {
  const flag = FLAGS.find((candidate) => candidate.key === key)!;
  const dashed = `--${flag.name}`;
  const given = argv.flatMap((word, at) => {
    if (word.startsWith(`${dashed}=`)) return [word.slice(dashed.length + 1)];
    if (word !== dashed) return [];
    return [flag.value === undefined ? 'true' : (argv[at + 1] ?? '')];
  });
  try {
    return valueOf(flag, given, env) as FlagValues[K] | undefined;
  } catch {
    return undefined;
  }
}
