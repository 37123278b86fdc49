/**
 * The built command against real object stores, held against KServe's own downloader: `npm run test:real`.
 * `node test/real/run.ts [server or suite…] [--only WORDS] [--seed WORD…]` runs part of it. Installs what is missing into `.tools`, and says
 * what it skips and why.
 */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Bench, type Suite } from './bench.ts';
import { CONDUCT_CASES } from './cases-conduct.ts';
import { randomTreeCase, TREE_CASES } from './cases-trees.ts';
import { shown } from './compare.ts';
import { currentDocument, renderedDocument } from './compat-doc.ts';
import { EXPLANATIONS } from './differences.ts';
import { plainCases } from './plain.ts';
import { randomCases } from './random.ts';
import { Scene, type Case, type Programs } from './scene.ts';
import { SERVERS, startServer, type ServerKind } from './servers.ts';
import { openStore } from './store.ts';
import { IDENTITY_SUITE } from './suite-identity.ts';
import { PODS_HTTPS_SUITE, PODS_SUITE } from './suite-pods.ts';
import { PROXY_SUITE } from './suite-proxy.ts';
import { REQUESTS_SUITE } from './suite-requests.ts';
import { TLS_SUITE } from './suite-tls.ts';
import { installTools, type ToolName } from './tools.ts';

const at = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const say = (line: string): void => {
  process.stdout.write(`${line}\n`);
};
const { values, positionals } = parseArgs({
  options: { only: { type: 'string', default: '' }, seed: { type: 'string', multiple: true } },
  allowPositionals: true,
});
// Two trees that stay, and a new one each time; its seed is in the name of the case.
const seeds = values.seed ?? ['one', 'two', randomBytes(4).toString('hex')];
const cases = [...seeds.map(randomTreeCase), ...TREE_CASES, ...CONDUCT_CASES];
const SUITES: readonly Suite[] = [
  TLS_SUITE,
  PROXY_SUITE,
  IDENTITY_SUITE,
  REQUESTS_SUITE,
  PODS_SUITE,
  PODS_HTTPS_SUITE,
];
const counts = { passed: 0, failed: 0, skipped: 0 };

const tools = await installTools(say);
const python = pathOf('python');
const programs: Programs = {
  main: at('dist/cli/main.js'),
  bundle: at('build/image/main.js'),
  python: python.path,
};
const partial = positionals.length > 0 || values.only !== '';
let complete = !partial;

for (const kind of SERVERS) {
  if (positionals.length && !positionals.includes(kind.name)) continue;
  const command = pathOf(kind.tool);
  if (command.missing ?? python.missing) skip(kind, command.missing ?? python.missing ?? '');
  else await testServer(kind, command.path);
}
if (!positionals.length && !python.missing) {
  await testPlainSources();
  await testRandomSources();
}
for (const suite of SUITES)
  if (!positionals.length || positionals.includes(suite.name)) await testSuite(suite);
if (complete) {
  await check('every row of the table of differences is still shown by something', () => {
    const stale = EXPLANATIONS.filter(({ name }) => !shown.has(name)).map(({ name }) => name);
    if (stale.length) throw new Error(stale.join(', '));
  });
}
await check('docs/compat.md has the table of differences', () => {
  if (currentDocument() !== renderedDocument())
    throw new Error('run `node test/real/compat-doc.ts`');
});
say(
  `${String(counts.passed)} passed, ${String(counts.failed)} failed, ${String(counts.skipped)} skipped`,
);
process.exitCode = counts.failed ? 1 : 0;

function pathOf(name: ToolName): { path: string; missing?: string } {
  const tool = tools.get(name) ?? { missing: 'unknown tool' };
  return 'path' in tool ? tool : { path: '', missing: tool.missing };
}

function skip({ name }: { readonly name: string }, why: string): void {
  say(`skipped ${name}: ${why}`);
  counts.skipped += 1;
  complete = false;
}

async function testServer(kind: ServerKind, command: string): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'model-fetch-real-'));
  try {
    const server = await startServer(kind, command, folder);
    const store = openStore(server, programs.python);
    try {
      const scene = new Scene(server, store, programs);
      for (const one of cases.filter(({ name }) => name.includes(values.only)))
        await testCase(one, scene);
    } finally {
      await store.close();
      await server.stop();
    }
  } catch (error) {
    await check(`${kind.name} starts and stops`, () => {
      throw error;
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function testPlainSources(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'model-fetch-real-'));
  try {
    for (const [name, body] of Object.entries(plainCases(programs, folder)))
      if (name.includes(values.only)) await check(name, body);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function testSuite(suite: Suite): Promise<void> {
  const missing = [...suite.needs, 'python' as const].map((name) => pathOf(name).missing);
  const why = suite.skip || missing.find((one) => one !== undefined);
  if (why !== undefined) {
    skip(suite, why);
    return;
  }
  const folder = mkdtempSync(join(tmpdir(), 'model-fetch-real-'));
  const bench = new Bench(programs, (name) => pathOf(name).path, folder);
  try {
    for (const [name, body] of Object.entries(await suite.open(bench)))
      if (name.includes(values.only)) await check(`${suite.name}: ${name}`, body);
    await bench.end();
  } catch (error) {
    await bench.end().catch(() => undefined);
    await check(`${suite.name} starts and ends`, () => {
      throw error;
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function testRandomSources(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'model-fetch-real-'));
  const kind = SERVERS.find(({ scheme }) => scheme === 'gs')!;
  const { missing, path: command } = pathOf(kind.tool);
  try {
    const gcs = missing === undefined ? { kind, command, folder } : undefined;
    for (const [name, body] of Object.entries(randomCases(seeds.at(-1)!, gcs)))
      if (name.includes(values.only)) await check(name, body);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function testCase({ name, needs, run }: Case, scene: Scene): Promise<void> {
  const { kind } = scene.server;
  if (needs && !needs(kind)) return;
  await check(`${kind.name}: ${name}`, () => run(scene));
}

async function check(name: string, body: () => void | Promise<void>): Promise<void> {
  const begun = performance.now();
  try {
    await body();
    counts.passed += 1;
    say(`ok ${name} (${((performance.now() - begun) / 1000).toFixed(1)} s)`);
  } catch (error) {
    counts.failed += 1;
    say(`not ok ${name}\n    ${(error as Error).message.replaceAll('\n', '\n    ')}`);
  }
}
