/** Starts a server in this process, on ports of the system's choice. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readOptions, type Env } from '../src/options.ts';
import { startServer } from '../src/server.ts';

export interface Started {
  readonly url: string;
  readonly metricsUrl: string;
  close(): Promise<void>;
}

/** Where `globalThis` keeps classes for the file below to export: a test then has its model in its own text. */
const classes = new Map<string, unknown>();
(globalThis as Record<string, unknown>)['testClasses'] = classes;
let number = 0;

/** Serves `modelClass` as `Model`. `env` is all of the environment. */
export async function startModel(
  modelClass: unknown,
  env: Env = {},
  args: readonly string[] = [],
): Promise<Started> {
  const key = `class-${number++}`;
  classes.set(key, modelClass);
  const folder = mkdtempSync(join(tmpdir(), 'skeleton-test-'));
  try {
    writeFileSync(
      join(folder, 'Model.mjs'),
      `export default globalThis.testClasses.get(${JSON.stringify(key)});\n`,
    );
    const fixed = ['Model', '--host', '127.0.0.1', '--http-port', '0', '--metrics-port', '0'];
    const options = readOptions([...fixed, ...args], { SELDON_LOG_LEVEL: 'ERROR', ...env });
    const quiet = { ...options, logLevel: 'silent' };
    const server = await startServer(quiet, env, folder);
    return {
      url: `http://127.0.0.1:${server.httpPort}`,
      metricsUrl: `http://127.0.0.1:${server.metricsPort}/metrics`,
      close: () => server.close(),
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Posts JSON and gives the status and the parsed answer. */
export async function post(
  url: string,
  body: unknown,
): Promise<{ status: number; body: Record<string, any> }> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
  return { status: response.status, body: (await response.json()) as Record<string, any> };
}
