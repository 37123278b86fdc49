/** Runs of the command, killed at random instants while another process watches the target. */
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startS3 } from '../servers/s3.ts';
import { model, type ModelName } from './models.ts';
import { look, manifestModel } from './watcher.ts';

export interface KillReport {
  kills: number;
  /** Runs that ended before their kill came. */
  finishedFirst: number;
  /** What stood in the target after each kill. */
  after: { wholeOld: number; wholeNew: number; mixtureWithoutManifest: number; nothing: number };
  watcher: { looks: number; whole: number; without: number; moved: number; violation?: string };
}

/** How long a run takes here, in milliseconds: kills are spread over it. */
const SPREAD = 1.15;

/** Kills `kills` runs of `command` (program and first arguments). Every second kill aims at the publishing itself. */
export async function killRuns(command: readonly string[], kills: number): Promise<KillReport> {
  const root = mkdtempSync(join(tmpdir(), 'model-fetch-kill-'));
  const target = join(root, 'models');
  const stop = join(root, 'stop');
  mkdirSync(target);
  const s3 = await startS3({ buckets: ['models'] });
  for (const name of ['old', 'new'] as const)
    for (const [path, bytes] of model(name)) s3.put('models', `${name}/${path}`, bytes);
  const env = {
    ...process.env,
    AWS_ENDPOINT_URL: s3.url,
    AWS_ACCESS_KEY_ID: 'test',
    AWS_SECRET_ACCESS_KEY: 'secret',
    AWS_REGION: 'us-east-1',
  };
  const start = (name: ModelName) => {
    const child = spawn(command[0]!, [...command.slice(1), `s3://models/${name}/`, target], {
      env,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let stderr = '';
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    const done = new Promise<number | null>((resolve) => child.on('close', resolve));
    return { child, done, stderr: () => stderr };
  };
  const mustEnd = async (name: ModelName): Promise<number> => {
    const began = performance.now();
    const run = start(name);
    const code = await run.done;
    if (code !== 0)
      throw new Error(`a run that nobody killed ended with ${String(code)}: ${run.stderr()}`);
    return performance.now() - began;
  };
  const watching = spawn(
    process.execPath,
    [new URL('watcher.ts', import.meta.url).pathname, target, stop],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  let watched = '';
  watching.stdout.on('data', (chunk: Buffer) => (watched += chunk.toString()));
  const watcherDone = new Promise((resolve) => watching.on('close', resolve));
  const report: KillReport = {
    kills: 0,
    finishedFirst: 0,
    after: { wholeOld: 0, wholeNew: 0, mixtureWithoutManifest: 0, nothing: 0 },
    watcher: { looks: 0, whole: 0, without: 0, moved: 0 },
  };
  try {
    await mustEnd('old');
    const usual = ((await mustEnd('new')) + (await mustEnd('old'))) / 2;
    let next: ModelName = 'new';
    while (report.kills < kills) {
      if (watching.exitCode !== null) break;
      const run = start(next);
      if (report.kills % 2 === 0) await sleep(Math.random() * usual * SPREAD);
      else await publishing(target, run.child);
      const killed = run.child.kill('SIGKILL');
      const code = await run.done;
      if (!killed || code !== null) {
        report.finishedFirst++;
        next = next === 'new' ? 'old' : 'new';
        continue;
      }
      report.kills++;
      const seen = look(target);
      const named = manifestModel(target);
      if (named !== undefined && seen !== named)
        throw new Error(`after a kill: a manifest of the ${named} model beside: ${seen}`);
      if (seen === 'old') report.after.wholeOld++;
      else if (seen === 'new') report.after.wholeNew++;
      else if (seen === 'none') report.after.nothing++;
      else report.after.mixtureWithoutManifest++;
      // Whatever was left behind, the next run makes a whole model of it.
      if (Math.random() < 0.3) {
        await mustEnd(next);
        if (look(target) !== next)
          throw new Error(`after a repair: ${look(target)} instead of ${next}`);
        next = next === 'new' ? 'old' : 'new';
      }
    }
    await mustEnd('new');
    if (look(target) !== 'new') throw new Error('the last run did not publish the new model whole');
  } finally {
    writeFileSync(stop, '');
    await watcherDone;
    await s3.close();
    rmSync(root, { recursive: true, force: true });
  }
  report.watcher = JSON.parse(watched) as KillReport['watcher'];
  return report;
}

/** Resolves some milliseconds after publishing has begun, or when the run is over. */
async function publishing(target: string, child: ChildProcess): Promise<void> {
  const intent = join(target, '.model-fetch', 'intent.json');
  while (!existsSync(intent) && child.exitCode === null) await sleep(0);
  const until = performance.now() + Math.random() * 8;
  while (performance.now() < until) await sleep(0);
}

if (import.meta.main) {
  const kills = Number(process.argv[2] ?? 200);
  const built = new URL('../../dist/cli/main.js', import.meta.url).pathname;
  const report = await killRuns([process.execPath, built], kills);
  process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
  const share = (100 * report.after.mixtureWithoutManifest) / report.kills;
  process.stdout.write(
    `${String(report.kills)} kills, ${share.toFixed(1)} % of them left a mixture, always without a manifest; the watcher looked ${String(report.watcher.looks)} times and saw ${report.watcher.violation ?? 'no torn file, and no manifest beside anything but a whole model'}.\n`,
  );
  process.stdout.write(
    `${report.watcher.violation === undefined ? '1 passed, 0 failed' : '0 passed, 1 failed'}\n`,
  );
  process.exitCode = report.watcher.violation === undefined ? 0 : 1;
}
