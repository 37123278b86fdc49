/** `npm run bench`: origins up, workloads in interleaved rounds, tables out, origins down. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Clients } from './clients.ts';
import { CHECKED, makeFixtures } from './fixtures.ts';
import { readOptions, USAGE, type Options } from './options.ts';
import { startFar } from './origin/far.ts';
import { startMinio } from './origin/minio.ts';
import { startNginx } from './origin/nginx.ts';
import type { Origin } from './origin/origin.ts';
import { chartOf } from './report/chart.ts';
import { commitOf, describeMachine, type Machine } from './report/machine.ts';
import { markdownOf, tableOf, targetsOf } from './report/markdown.ts';
import { rowsOf, verdictsOf } from './report/statistics.ts';
import { removeRetired } from './retire.ts';
import { runRounds } from './rounds.ts';
import { findTools, ROOT, type Tools } from './tools.ts';
import type { Mode, Sheet, Workload } from './workload.ts';
import { allWorkloads } from './workloads/all.ts';
import type { Stage } from './workloads/stage.ts';

const say = (line: string): void => void process.stderr.write(`${line}\n`);

if (process.argv.includes('--help')) process.stdout.write(USAGE);
else await main(readOptions(process.argv.slice(2)));

async function main(options: Options & { readonly list: boolean }): Promise<void> {
  const tools = await findTools(say);
  for (const [name, reason] of tools.missing) say(`missing: ${name}, ${reason}`);
  const origins: Origin[] = [];
  const stop = async (): Promise<void> => {
    await Promise.all(origins.splice(0).map((origin) => origin.stop()));
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => void stop().finally(() => process.exit(130)));
  try {
    const stage = await setUp(options, tools, origins);
    const workloads = allWorkloads(stage)
      .filter(({ id }) => begins(id, options.only))
      .map((workload) => withClients(workload, options.clients))
      .map((workload) => (options.quick ? unjudged(workload) : workload));
    if (options.list) for (const { id, title } of workloads) say(`${id}: ${title}`);
    else await measureAll(workloads, options, tools);
  } finally {
    await stop();
    removeRetired(options.work);
  }
}

function begins(name: string, starts: readonly string[]): boolean {
  return starts.length === 0 || starts.some((start) => name.startsWith(start));
}

function withClients(workload: Workload, names: readonly string[]): Workload {
  const [ours, ...others] = workload.contestants;
  return { ...workload, contestants: [ours!, ...others.filter(({ name }) => begins(name, names))] };
}

/** Tiny sizes are all start-up time: to hold them to the targets would mislead. */
function unjudged(workload: Workload): Workload {
  return { ...workload, targets: [] };
}

async function setUp(options: Options, tools: Tools, origins: Origin[]): Promise<Stage> {
  const { work, scale } = options;
  const program = tools.paths.get('nginx');
  if (program === undefined) throw new Error('nginx is missing, and nothing here goes without it');
  const fixtures = makeFixtures(work, scale, tools, say);
  const { root, crc64 } = fixtures;
  const checksums: Record<string, string> = crc64 === undefined ? {} : { [CHECKED]: crc64 };
  const nginx = await startNginx(program, { root, work: join(work, 'nginx'), checksums });
  origins.push(nginx);
  const far = await startFar(nginx);
  origins.push(far);
  const stage = { clients: new Clients(tools), fixtures, scale, nginx, far, work };
  const [minio, s5cmd] = [tools.paths.get('minio'), tools.paths.get('s5cmd')];
  const ids = ['a-minio', 'b-minio', 'c-minio'].filter((id) => begins(id, options.only));
  if (minio === undefined || s5cmd === undefined || ids.length === 0) return stage;
  say('starting MinIO, and filling it (once)');
  const buckets = ['one', 'small', 'llm'];
  const server = await startMinio({ minio, s5cmd }, { root, work: join(work, 'minio'), buckets });
  origins.push(server);
  return { ...stage, minio: server };
}

async function measureAll(workloads: Workload[], options: Options, tools: Tools): Promise<void> {
  const size = options.quick ? 'tiny (--quick): these figures measure nothing' : 'full';
  const facts = { folder: options.work, size, rounds: options.rounds, commit: commitOf(ROOT) };
  const machine = describeMachine(tools, facts);
  const turns = workloads.flatMap((workload) =>
    options.modes
      .filter((mode) => workload.modes.includes(mode))
      .map((mode) => ({ workload, mode })),
  );
  const deadline = performance.now() + options.minutes * 60_000;
  const sheets: Sheet[] = [];
  let weight = turns.reduce((total, { workload }) => total + workload.seconds, 0);
  for (const { workload, mode } of turns) {
    const now = performance.now();
    if (now > deadline) {
      say(`${workload.id}, ${mode}: not run, the time was up`);
      continue;
    }
    const until = now + ((deadline - now) * workload.seconds) / weight;
    weight -= workload.seconds;
    sheets.push(await measureOne(workload, mode, { options, tools, until }));
    writeResults(sheets, machine, options.results);
  }
  if (!options.quick) process.stdout.write(`${targetsOf(sheets)}\n`);
  say(`tables, figures and chart are in ${options.results}`);
}

async function measureOne(
  asked: Workload,
  mode: Mode,
  { options, tools, until }: { options: Options; tools: Tools; until: number },
): Promise<Sheet> {
  const { rounds, work, quick } = options;
  // What a quick run is for, two clients on one core show as well as seven.
  const few = quick && mode === 'pinned';
  const workload = few ? { ...asked, contestants: asked.contestants.slice(0, 2) } : asked;
  say(`${workload.id}, ${mode}: ${workload.title}`);
  const timeoutSeconds = quick ? 15 : 240;
  const sheet = await runRounds(workload, {
    mode,
    rounds,
    work,
    tools,
    until,
    timeoutSeconds,
    say,
  });
  process.stdout.write(
    `\n## ${workload.id}, ${mode}\n\n${workload.title}.\n\n${tableOf(sheet)}\n\n`,
  );
  return sheet;
}

/** Written after every workload, so that a run cut short leaves what it has. */
function writeResults(sheets: readonly Sheet[], machine: Machine, folder: string): void {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const plain = sheets.map((sheet) => ({
    id: sheet.workload.id,
    mode: sheet.mode,
    title: sheet.workload.title,
    bytes: sheet.workload.bytes,
    objects: sheet.workload.objects,
    rows: rowsOf(sheet),
    targets: verdictsOf(sheet),
    runs: sheet.runs,
    skipped: sheet.skipped,
  }));
  writeFileSync(
    join(folder, 'results.json'),
    `${JSON.stringify({ machine, sheets: plain }, null, 1)}\n`,
  );
  writeFileSync(join(folder, 'results.md'), markdownOf(sheets, machine));
  writeFileSync(join(folder, 'chart.svg'), chartOf(sheets));
}
