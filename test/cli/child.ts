/** Running the command from its sources, as a user's shell would. */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';

export const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));

export interface Ended {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Arguments for Node itself, before the program. */
  readonly node?: readonly string[];
  /** Sees the process as soon as it runs. */
  readonly started?: (child: ChildProcess) => void;
}

/** The only variables that a child gets, so that whoever runs the tests has no say in them. */
const CLEAN = { PATH: process.env['PATH'] ?? '', HOME: '/nonexistent' };

/** Runs the command to its end, at most 20 seconds. */
export async function cli(words: readonly string[], options: RunOptions = {}): Promise<Ended> {
  const child = spawn(process.execPath, [...(options.node ?? []), MAIN, ...words], {
    env: { ...CLEAN, ...options.env },
    ...(options.cwd !== undefined && { cwd: options.cwd }),
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 20_000,
    killSignal: 'SIGKILL',
  });
  options.started?.(child);
  const ended = new Promise<[number | null, NodeJS.Signals | null]>((resolve) => {
    child.on('close', (...how) => resolve(how));
  });
  const [stdout, stderr, [status, signal]] = await Promise.all([
    // A test may stop reading on purpose.
    text(child.stdout).catch(() => ''),
    text(child.stderr),
    ended,
  ]);
  return { status, signal, stdout, stderr };
}

/** The records on standard error. Throws when a line is not JSON. */
export function records(stderr: string): Record<string, unknown>[] {
  return stderr
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

/** The last line of a text that ends in a newline. */
export function lastLine(output: string): string {
  return output.trimEnd().split('\n').at(-1) ?? '';
}

/** A folder that is removed after the test. */
export async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'model-fetch-cli-'));
  t.after(() => rm(path, { recursive: true, force: true }));
  return path;
}
