#!/usr/bin/env node
/**
 * The command. Only this file knows the process: its words, streams, signals and its end. Everything else is imported
 * when it is needed, so that `--version` costs no more than Node itself and an old Node gets a sentence, not a stack.
 */
import { VERSION } from '../version.ts';
import type { Host } from './context.ts';
import { nodeProblem } from './node-version.ts';

const SIGNAL_STATUS = { SIGINT: 130, SIGTERM: 143 } as const;
type StopSignal = keyof typeof SIGNAL_STATUS;

/** Milliseconds after the first signal when the process ends whatever still hangs. `run` itself gives up before. */
const HARD_STOP_MS = 4800;

/** Milliseconds for Node to end by itself. */
const LINGER_MS = 200;

const words = process.argv.slice(2);
const problem = nodeProblem(process.versions.node);
if (problem !== undefined) {
  process.stderr.write(
    `error: UNSUPPORTED ${problem} (${process.execPath}) hint: Install a newer Node, or use the image.\n`,
  );
  process.exitCode = 2;
} else if (words.length === 1 && (words[0] === '--version' || words[0] === '-V')) {
  process.stdout.write(`${VERSION}\n`);
} else {
  // Whatever ends this process other than our own exit below is a failure: silence must not look like success.
  process.exitCode = 1;
  void start();
}

async function start(): Promise<void> {
  const ending = new Promise<never>((_resolve, reject) => {
    process.on('uncaughtException', reject);
    process.on('unhandledRejection', reject);
    process.on('beforeExit', () => {
      reject(new Error('nothing is left to wait for, and the run has not ended'));
    });
  });
  ending.catch(() => undefined);
  surviveClosedPipes();
  const { signal, stoppedBy } = listenForSignals();
  const host: Host = {
    argv: words,
    env: environment(),
    cwd: process.cwd(),
    stdout: process.stdout,
    stderr: process.stderr,
    signal,
    stoppedBy,
    crash: ending,
    onWarning: collectWarnings(),
  };
  let status: number;
  try {
    const { run } = await import('./run.ts');
    status = await run(host);
  } catch (error) {
    process.stderr.write(
      `error: INTERNAL ${error instanceof Error ? error.message : String(error)}\n`,
    );
    status = 1;
  }
  await Promise.all([flushed(process.stdout), flushed(process.stderr)]);
  end(status);
}

/**
 * Left to Node as long as it does it. `process.exit` waits for V8's threads, one of which may be compiling and wait for this one to
 * collect garbage: then the process stays for ever, as 4 of 100 short runs did (nodejs/node#54918). What may be open still, an
 * idle connection or a worker, must not keep the container from ending.
 */
function end(status: number): void {
  process.exitCode = status;
  setTimeout(() => process.exit(status), LINGER_MS).unref();
}

/** The first signal asks everything to stop; the second, or time, ends the process. Being PID 1 makes no difference. */
function listenForSignals(): Pick<Host, 'signal' | 'stoppedBy'> {
  const controller = new AbortController();
  let stopped: StopSignal | undefined;
  const stop = (name: StopSignal) => {
    if (stopped !== undefined) process.exit(SIGNAL_STATUS[name]);
    stopped = name;
    process.exitCode = SIGNAL_STATUS[name];
    setTimeout(() => process.exit(SIGNAL_STATUS[name]), HARD_STOP_MS).unref();
    controller.abort(new Error(`stopped by ${name}`));
  };
  for (const name of Object.keys(SIGNAL_STATUS) as StopSignal[])
    process.on(name, () => {
      stop(name);
    });
  return { signal: controller.signal, stoppedBy: () => stopped };
}

/** `| head` closes our standard output: that is not an error of ours. Anything else about it cannot be told anywhere. */
function surviveClosedPipes(): void {
  process.stdout.on('error', () => undefined);
  process.stderr.on('error', () => undefined);
}

/** Node's and the SDKs' warnings become records of our log; those that come before there is one wait for it. */
function collectWarnings(): Host['onWarning'] {
  const waiting: Error[] = [];
  let listener = (warning: Error): void => {
    waiting.push(warning);
  };
  process.removeAllListeners('warning');
  process.on('warning', (warning) => {
    listener(warning);
  });
  return (next) => {
    listener = next;
    waiting.splice(0).forEach(next);
  };
}

/**
 * The environment as SDKs need it: without their notices, and with a home, which a user id that is not in /etc/passwd has none
 * of. AWS's looks for its files there and fails where it cannot even ask.
 */
function environment(): NodeJS.ProcessEnv {
  process.env['HOME'] ??= '/';
  process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] ??= 'true';
  return process.env;
}

/** Resolves when what was written has left the process, or after a second when nobody takes it. */
function flushed(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, 1000).unref();
    stream.write('', () => {
      resolve();
    });
  });
}
