/** Child processes of this test: their output in memory, their failure with the last lines they said. */
import { spawn, type ChildProcess, type SpawnOptions } from 'node:child_process';

export interface Ran {
  /** Exit status; a signal's number plus 128. */
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly seconds: number;
}

/** Starts `command`; `done` resolves when it ended, whatever its status. */
export function start(
  command: string,
  args: readonly string[],
  options: SpawnOptions = {},
): { child: ChildProcess; done: Promise<Ran> } {
  const begun = performance.now();
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options });
  const texts = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const)
    child[name]?.setEncoding('utf8').on('data', (text: string) => (texts[name] += text));
  const done = new Promise<Ran>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => {
      const status = code ?? (signal === 'SIGTERM' ? 143 : signal === 'SIGINT' ? 130 : 137);
      resolve({ status, ...texts, seconds: (performance.now() - begun) / 1000 });
    });
  });
  return { child, done };
}

/** Runs `command` to its end; throws unless it ended with 0. Answers what it printed, trimmed. */
export async function run(
  command: string,
  args: readonly string[],
  options: SpawnOptions = {},
): Promise<string> {
  const { status, stdout, stderr } = await start(command, args, options).done;
  if (status === 0) return stdout.trim();
  const said = `${stdout}\n${stderr}`.trim().split('\n').slice(-12).join('\n');
  throw new Error(
    `${command} ${args.slice(0, 4).join(' ')} ended with ${String(status)}:\n${said}`,
  );
}
