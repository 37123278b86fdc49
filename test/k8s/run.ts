/**
 * Every file of `deploy/` against a real API server: `npm run test:k8s`. `node test/k8s/run.ts WORDS` runs the cases whose
 * names have them, after those that install something. Builds the server into `.tools/k8s` where it is missing (minutes,
 * once), starts it on free ports of the loopback with its data in a temporary folder, and leaves neither behind.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AGREEMENT_CASES } from './cases-agreement.ts';
import { KSERVE_CASES } from './cases-kserve.ts';
import { CASES } from './cases.ts';
import type { Case, Scene } from './scene.ts';
import { SECURITY_CASES } from './cases-security.ts';
import { startCluster } from './cluster.ts';
import { installTools, type ToolName } from './tools.ts';

const say = (line: string): void => {
  process.stdout.write(`${line}\n`);
};
const words = process.argv.slice(2).join(' ');
const cases = [...CASES, ...KSERVE_CASES, ...AGREEMENT_CASES, ...SECURITY_CASES].filter(
  ({ name }) => name.includes(words) || /^(crd-|KServe's definition|a namespace)/.test(name),
);
const counts = { passed: 0, failed: 0, skipped: 0 };

const tools = await installTools(say);
const missing = [...tools].find(([, tool]) => 'missing' in tool);
if (missing) {
  const [name, tool] = missing;
  for (const one of cases) skip(one.name, `no ${name}: ${'missing' in tool ? tool.missing : ''}`);
} else {
  const paths = Object.fromEntries(
    [...tools].map(([name, tool]) => [name, 'path' in tool ? tool.path : '']),
  );
  await testAll(paths as Record<ToolName, string>);
}
say(
  `${String(counts.passed)} passed, ${String(counts.failed)} failed, ${String(counts.skipped)} skipped`,
);
process.exitCode = counts.failed ? 1 : 0;

async function testAll(paths: Readonly<Record<ToolName, string>>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'model-fetch-k8s-'));
  // From here on there is something to end: an interrupt stops between two cases, and the rest is as ever.
  const interrupt = new AbortController();
  const onSignal = (name: NodeJS.Signals): void => interrupt.abort(new Error(`stopped by ${name}`));
  process.once('SIGINT', onSignal).once('SIGTERM', onSignal);
  try {
    const cluster = await startCluster(paths, folder, interrupt.signal);
    try {
      for (const one of cases) {
        interrupt.signal.throwIfAborted();
        await test(one, { cluster, folder });
      }
    } finally {
      await cluster.stop();
    }
  } catch (error) {
    fail('the API server starts, and all cases run', error);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function test({ name, skip: why, run }: Case, scene: Scene): Promise<void> {
  if (why !== undefined) {
    skip(name, why);
    return;
  }
  try {
    await run(scene);
    counts.passed += 1;
    say(`ok ${name}`);
  } catch (error) {
    fail(name, error);
  }
}

function skip(name: string, why: string): void {
  counts.skipped += 1;
  say(`skipped ${name}: ${why}`);
}

function fail(name: string, error: unknown): void {
  counts.failed += 1;
  say(`not ok ${name}\n    ${(error as Error).message.replaceAll('\n', '\n    ')}`);
}
