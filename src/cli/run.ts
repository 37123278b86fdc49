/** One run of the command, from words to exit status. Never ends the process. */
import type { ResolverRegistry } from '../registry.ts';
import type { CommandRun, Context, Host } from './context.ts';
import { compatFailure, compatOptions } from './compat.ts';
import { describeFailure, failureJson, failureLine, failureRecord } from './failure.ts';
import { REACHING, type CommandName } from './flags.ts';
import { wantsColor } from './format.ts';
import { splitCommand } from './grammar.ts';
import { fromPlatform, type Platform } from './kserve.ts';
import { parseWords } from './program.ts';
import { guess, openSession, type Session } from './session.ts';
import { libraryEnv, libraryOptions, peek, settle, unknownVariables } from './settle.ts';
import { summaryRecord } from './summary.ts';
import {
  MOST_LINE_BYTES,
  terminationLine,
  terminationLogPath,
  writeTerminationLog,
} from './termination-log.ts';

const RUNS: Readonly<Record<Exclude<CommandName, 'help'>, () => Promise<{ run: CommandRun }>>> = {
  fetch: () => import('./commands/fetch.ts'),
  ls: () => import('./commands/ls.ts'),
  explain: () => import('./commands/explain.ts'),
  verify: () => import('./commands/verify.ts'),
  schemes: () => import('./commands/schemes.ts'),
  doctor: () => import('./commands/doctor.ts'),
  completion: () => import('./commands/completion.ts'),
};

/** Milliseconds that the work gets to wind up after a signal, before the run is reported as stopped regardless. */
const WIND_UP_MS = 4000;

/** Runs `host.argv` and answers the exit status. */
export async function run(host: Host): Promise<number> {
  // Until the words are understood, how to say so is a guess from the same words.
  let session = openSession(host, guess(host));
  try {
    const invocation = parseWords(host.argv, helpStyle(host));
    if ('text' in invocation) {
      host.stdout.write(invocation.text);
      return 0;
    }
    const { command, operands, given } = invocation;
    session = openSession(host, settle(command, given, host.env));
    for (const warning of unknownVariables(host.env))
      session.log('warn', warning, { event: 'warning' });
    const context = contextOf(host, session, command, operands);
    const { run: work } = await RUNS[command as keyof typeof RUNS]();
    await Promise.race([stoppable(work(context), host.signal), host.crash]);
    return 0;
  } catch (error) {
    return fail(host, session, error);
  }
}

function helpStyle(host: Host): { color: boolean; columns: number } {
  const color = wantsColor(
    host.stdout.isTTY === true,
    host.env,
    peek('noColor', host.argv, host.env) ?? false,
  );
  return { color, columns: Math.min(host.stdout.columns ?? 100, 120) };
}

function contextOf(
  host: Host,
  session: Session,
  command: CommandName,
  operands: readonly string[],
): Context {
  const { cwd, signal } = host;
  const { values } = session;
  const platform = platformOf(command, session, host.env);
  const env = libraryEnv(values, platform.env);
  const registry = once(() => registryWith(values.plugin ?? [], env, cwd));
  return {
    ...session,
    command,
    operands,
    env,
    cwd,
    signal,
    registry,
    options: async () => ({
      ...platform.options,
      ...compatOptions(values.compat),
      ...libraryOptions(values),
      registry: await registry(),
      env,
      signal,
    }),
    summarize: (msg, fields) => {
      const now = Date.now();
      const { line, shown } = summaryRecord(msg, fields, now, MOST_LINE_BYTES);
      noteTermination(host, session, line);
      session.log('info', msg, shown, now);
    },
  };
}

/** What the environment says in the words of KServe, Seldon and PrimeHub; for commands that go to a source. */
function platformOf(
  command: CommandName,
  { log }: Session,
  env: Host['env'],
): Pick<Platform, 'env' | 'options'> {
  if (!REACHING.some((name) => name === command)) return { env, options: {} };
  const platform = fromPlatform(env);
  for (const warning of platform.warnings) log('warn', warning, { event: 'warning' });
  for (const note of platform.notes) log('debug', note);
  return platform;
}

async function registryWith(
  plugins: readonly string[],
  env: Host['env'],
  cwd: string,
): Promise<ResolverRegistry> {
  const { createRegistry } = await import('../create-registry.ts');
  const registry = createRegistry({ env });
  const { remoteRegistrations } = await import('./seldon.ts');
  for (const remote of remoteRegistrations(env)) registry.register(remote);
  if (plugins.length === 0) return registry;
  const { loadPlugin } = await import('./plugins.ts');
  for (const plugin of plugins)
    for (const registration of await loadPlugin(plugin, cwd)) registry.register(registration);
  return registry;
}

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => (made ??= make());
}

/** `work`, or a rejection some time after `signal` when it does not heed it. */
function stoppable(work: Promise<void>, signal: AbortSignal): Promise<void> {
  const { promise, reject } = Promise.withResolvers<never>();
  const onAbort = (): void => {
    timer = setTimeout(() => {
      reject(signal.reason as Error);
    }, WIND_UP_MS);
  };
  let timer: NodeJS.Timeout | undefined;
  if (signal.aborted) onAbort();
  else signal.addEventListener('abort', onAbort, { once: true });
  return Promise.race([work, promise]).finally(() => {
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
  });
}

/** Tells the failure everywhere it has to be told, the error line last, and answers its status. */
function fail(host: Host, session: Session, error: unknown): number {
  const { log, screen, out, style } = session;
  const isFetch = [undefined, 'fetch'].includes(splitCommand(host.argv).command);
  const failure = compatFailure(
    describeFailure(error, host.stoppedBy()),
    isFetch ? peek('compat', host.argv, host.env) : undefined,
  );
  screen.status('');
  if (out.json && !out.started) out.document(failureJson(failure));
  for (const line of failure.trace) log('debug', line);
  const json = style.logFormat === 'json';
  const line = json
    ? failureRecord(failure, Date.now(), MOST_LINE_BYTES)
    : terminationLine(failureLine(failure));
  noteTermination(host, session, line);
  screen.line(json || !style.color ? line : failureLine(failure, true));
  return failure.exit;
}

function noteTermination(host: Host, { values, log }: Session, line: string): void {
  const { command } = splitCommand(host.argv);
  // A listing that someone runs by `kubectl exec` must not speak for the container.
  if (command !== undefined && command !== 'fetch' && command !== 'verify') return;
  const path = terminationLogPath(values.terminationLog, host.env);
  if (path === undefined) return;
  try {
    writeTerminationLog(path, line);
  } catch (error) {
    log('warn', `the termination log could not be written: ${(error as Error).message}`, {
      event: 'warning',
      file: path,
    });
  }
}
