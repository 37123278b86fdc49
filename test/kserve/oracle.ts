/** KServe's own downloader in a process that stays: one source after the other. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const PYTHON = join(import.meta.dirname, '../../.tools/py/bin/python');

/** Why nothing can be compared here; false when it can. `npm run test:real` installs what is needed. */
export const SKIP = existsSync(PYTHON) ? false : 'no interpreter with KServe’s package in .tools';

export interface Oracle {
  /** Why it failed; nothing when the model is in `dest`. `env` counts for this source alone. */
  ask(
    uri: string,
    dest: string,
    env: Readonly<Record<string, string>>,
  ): Promise<string | undefined>;
  end(): void;
}

/** Starts it. `env` is all that it gets to see, but for a PATH. */
export function startOracle(env: Readonly<Record<string, string>>): Oracle {
  const child = spawn(PYTHON, [join(import.meta.dirname, 'oracle.py')], {
    env: { PATH: '/usr/bin:/bin', ...env },
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    async ask(uri, dest, own) {
      await mkdir(dest, { recursive: true });
      child.stdin.write(`${JSON.stringify({ uri, dest, env: own })}\n`);
      const line = await lines.next();
      if (line.done === true) throw new Error('the oracle has gone');
      const { ok, error = '' } = JSON.parse(line.value) as { ok: boolean; error?: string };
      return ok ? undefined : error;
    },
    end: () => child.stdin.end(),
  };
}
