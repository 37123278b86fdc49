#!/usr/bin/env node
/** `microservice <ClassName>`: serves the class of that name in the working directory until it is told to stop. */
import { writeFileSync } from 'node:fs';
import { readOptions, UsageError } from './options.ts';
import { startServer } from './server.ts';

const stop = new AbortController();
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => stop.abort());

try {
  const options = readOptions(process.argv.slice(2), process.env);
  if (options.pidFile !== undefined) writeFileSync(options.pidFile, `${process.pid}\n`);
  const server = await startServer(options, process.env, process.cwd(), stop.signal);
  await stopped(stop.signal);
  await server.close();
  process.exit(0);
} catch (error) {
  if (error instanceof UsageError) {
    if (error.status !== 0) process.stderr.write(`microservice: ${error.message}\n`);
    process.exit(error.status);
  }
  process.stderr.write(`microservice: ${describe(error)}\n`);
  process.exit(1);
}

function stopped(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

/** A model's own errors with their stack; those of model-fetch say in one line what to do. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code, hint } = error as { code?: string; hint?: string };
  if (error.name === 'ModelFetchError')
    return `${code}: ${error.message}${hint === undefined ? '' : `. ${hint}`}`;
  return error.stack ?? error.message;
}
