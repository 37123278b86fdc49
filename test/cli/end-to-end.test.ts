import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { appendFile, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { suite, test, type TestContext } from 'node:test';
import { startHttpServer, type HttpServer } from '../servers/http.ts';
import { cli, folder, lastLine, records } from './child.ts';
import { inProcess } from './host.ts';

const TEXT = ['--log-format', 'text'] as const;

/** A model of two files, and a place beside it. */
async function model(t: TestContext): Promise<{ cwd: string; source: string; dest: string }> {
  const cwd = await folder(t);
  const source = join(cwd, 'model');
  await mkdir(source);
  await writeFile(join(source, 'config.json'), '{}');
  await writeFile(join(source, 'weights.bin'), randomBytes(300_000));
  return { cwd, source, dest: join(cwd, 'out') };
}

async function server(t: TestContext): Promise<HttpServer> {
  const started = await startHttpServer();
  t.after(() => started.close());
  return started;
}

suite('a local model', () => {
  test('is fetched, found unchanged, verified, and missed when it was touched', async (t) => {
    const { cwd, source, dest } = await model(t);
    const first = await inProcess([`file://${source}`, dest, ...TEXT], { cwd });
    assert.deepEqual([first.status, first.stdout], [0, `${dest}\n`], first.stderr);
    assert.match(lastLine(first.stderr), /^done: 2 files, 293 KiB; /);
    assert.deepEqual(
      await readFile(join(dest, 'weights.bin')),
      await readFile(join(source, 'weights.bin')),
    );

    const again = await inProcess([`file://${source}`, dest, '--output', 'json'], { cwd });
    const [result] = JSON.parse(again.stdout) as [
      { target: string; unchanged: boolean; kept: number },
    ];
    assert.deepEqual([result.target, result.unchanged, result.kept], [dest, true, 2]);

    assert.equal((await inProcess(['verify', dest], { cwd })).stdout, `${dest}\n`);
    await appendFile(join(dest, 'config.json'), ' ');
    const touched = await inProcess(['verify', dest, ...TEXT], { cwd });
    assert.equal(touched.status, 13);
    assert.match(touched.stderr, /^error: TARGET_CHANGED .*config\.json.*\n$/);
  });

  test('is planned without a trace', async (t) => {
    const { cwd, source, dest } = await model(t);
    const { status, stdout, stderr } = await inProcess([source, dest, '--dry-run', ...TEXT], {
      cwd,
    });
    assert.equal(status, 0, stderr);
    assert.match(stdout, /^fetch {6}2 B {2}config\.json\nfetch {2}293 KiB {2}weights\.bin\n$/);
    assert.match(stderr, /would fetch 2 of 2 files, 293 KiB, into /);
    assert.deepEqual(await readdir(cwd), ['model']);
    const json = JSON.parse(
      (await inProcess([source, dest, '-n', '--output', 'json'], { cwd })).stdout,
    ) as { items: unknown[] }[];
    assert.equal(json[0]!.items.length, 2);
  });

  test('is listed for people and for machines', async (t) => {
    const { cwd, source } = await model(t);
    const human = await inProcess(['ls', source, ...TEXT], { cwd });
    assert.equal(human.stdout, '     2 B  config.json\n 293 KiB  weights.bin\n');
    assert.equal(human.stderr, '2 files, 293 KiB\n');
    const { uri, entries, files, bytes } = JSON.parse(
      (await inProcess(['ls', source, '--output', 'json', '--include', '*.bin'], { cwd })).stdout,
    ) as Record<string, unknown>;
    assert.deepEqual([uri, (entries as unknown[]).length, files, bytes], [source, 1, 1, 300_000]);
  });

  test('goes to OUTPUT_PATH when the URI stands alone', async (t) => {
    const { cwd, source, dest } = await model(t);
    const { status, stdout } = await inProcess([source], { cwd, env: { OUTPUT_PATH: dest } });
    assert.deepEqual([status, stdout], [0, `${dest}\n`]);
  });

  test('is reached through a claim, by flag and by variable', async (t) => {
    const { cwd, source, dest } = await model(t);
    const byFlag = await inProcess(['pvc://models/', dest, '--pvc', `models=${source}`], { cwd });
    assert.equal(byFlag.status, 0, byFlag.stderr);
    const byVariable = await inProcess(['ls', 'pvc://models/'], {
      cwd,
      env: { MODEL_FETCH_PVC: `models=${source}` },
    });
    assert.match(byVariable.stdout, /weights\.bin/);
  });

  test('merged with another into one destination is one line of output', async (t) => {
    const { cwd, source, dest } = await model(t);
    await mkdir(join(cwd, 'more'));
    await writeFile(join(cwd, 'more', 'labels.txt'), 'a');
    const { status, stdout, stderr } = await inProcess([source, dest, join(cwd, 'more'), dest], {
      cwd,
    });
    assert.deepEqual([status, stdout], [0, `${dest}\n`], stderr);
    assert.deepEqual((await readdir(dest)).filter((name) => !name.startsWith('.')).sort(), [
      'config.json',
      'labels.txt',
      'weights.bin',
    ]);
  });

  test('that is not there is 10, in both forms', async (t) => {
    const { cwd, dest } = await model(t);
    const { status, stdout, stderr } = await inProcess(
      [join(cwd, 'nope'), dest, '--output', 'json'],
      { cwd },
    );
    assert.equal(status, 10);
    const { error } = JSON.parse(stdout) as { error: Record<string, unknown> };
    assert.deepEqual([error['code'], error['exit']], ['NOT_FOUND', 10]);
    assert.equal(records(stderr).at(-1)!['code'], 'NOT_FOUND');
  });

  test('leaves a summary in the termination log, which is the last line of the log too', async (t) => {
    const { cwd, source, dest } = await model(t);
    const log = join(cwd, 'termination-log');
    const { stderr } = await inProcess([source, dest, '--termination-log', log], { cwd });
    const line = await readFile(log, 'utf8');
    const { status, targets, files } = JSON.parse(line) as Record<string, unknown>;
    assert.deepEqual([status, targets, files], ['done', [dest], 2]);
    assert.equal(`${stderr.split('\n').at(-2)!}\n`, line);
    await inProcess([source, dest, '--termination-log', log, ...TEXT], { cwd });
    assert.equal((JSON.parse(await readFile(log, 'utf8')) as { status: unknown }).status, 'done');
  });

  test('leaves a summary that is JSON however many targets there are', async (t) => {
    const { cwd, source, dest } = await model(t);
    const log = join(cwd, 'termination-log');
    const words = Array.from({ length: 60 }, (_, at) => [source, join(dest, String(at))]).flat();
    const { status, stderr } = await inProcess([...words, '--termination-log', log], { cwd });
    assert.equal(status, 0, stderr);
    const line = await readFile(log, 'utf8');
    assert.ok(Buffer.byteLength(line) <= 4096 && line.length > 1000, String(line.length));
    const summary = JSON.parse(line) as Record<string, unknown>;
    assert.deepEqual([summary['status'], summary['files'], summary['cut']], ['done', 120, true]);
    assert.equal(`${stderr.split('\n').at(-2)!}\n`, line);
  });
});

suite('a model over HTTP', () => {
  test('is fetched with a record for every step and a summary', async (t) => {
    const { cwd, dest } = await model(t);
    const body = randomBytes(200_000);
    const url = (await server(t)).put('/models/weights.bin', body);
    const sha256 = createHash('sha256').update(body).digest('hex');
    const { status, stderr } = await inProcess([url, dest, '--checksum', `sha256:${sha256}`], {
      cwd,
    });
    assert.equal(status, 0, stderr);
    const told = records(stderr);
    assert.deepEqual(
      told.map(({ event }) => event),
      ['resolved', 'listed', 'published', 'done'],
    );
    const { files, bytes, fetchedBytes, retries, verified } = told.at(-1)!;
    assert.deepEqual(
      { files, bytes, fetchedBytes, retries, verified },
      { files: 1, bytes: 200_000, fetchedBytes: 200_000, retries: 0, verified: { sha256: 1 } },
    );
    assert.deepEqual(await readFile(join(dest, 'weights.bin')), body);
  });

  test('with another checksum is refused with 13', async (t) => {
    const { cwd, dest } = await model(t);
    const url = (await server(t)).put('/m.bin', 'abc');
    const { status, stderr } = await inProcess(
      [url, dest, '--checksum', `sha256:${'0'.repeat(64)}`, ...TEXT],
      { cwd },
    );
    assert.equal(status, 13);
    assert.match(lastLine(stderr), /^error: DIGEST_MISMATCH /);
  });

  test('is drawn as a bar on a terminal, of which nothing stays', async (t) => {
    const { cwd, dest } = await model(t);
    const url = (await server(t)).put('/m.bin', randomBytes(600_000));
    const { status, stderr } = await inProcess([url, dest, '--limit-rate', '600k'], {
      cwd,
      columns: 80,
      env: { LANG: 'C.UTF-8', NO_COLOR: '1' },
    });
    assert.equal(status, 0, stderr);
    assert.match(stderr, /\r(▕█.*▏ +\d+% +\d+ of|⠙ +\d+) .*KiB/);
    assert.match(stderr, /\r\u001b\[K[^\r\u001b]*done: [^\r\u001b]*\n$/);
    const ci = await inProcess([url, join(cwd, 'ci'), '--overwrite'], {
      cwd,
      columns: 80,
      env: { CI: 'true', NO_COLOR: '1' },
    });
    assert.doesNotMatch(ci.stderr, /[\r\u001b]/);
  });

  test('that does not come in time is 18', async (t) => {
    const { cwd, dest } = await model(t);
    const it = await server(t);
    const url = it.put('/m.bin', randomBytes(100_000));
    it.faults.push({ kind: 'stall', after: 10 });
    const { status, stderr } = await inProcess([url, dest, '--timeout', '600ms', ...TEXT], { cwd });
    assert.equal(status, 18);
    assert.match(lastLine(stderr), /^error: DEADLINE /);
  });

  test('whose run is stopped by SIGTERM is 143 at once, and nothing is visible', async (t) => {
    const { cwd, dest } = await model(t);
    const it = await server(t);
    const url = it.put('/m.bin', randomBytes(3_000_000));
    it.faults.push({ kind: 'stall', after: 100_000 });
    const log = join(cwd, 'log');
    let sent = 0;
    const stopSoon = async (child: ChildProcess) => {
      while (it.requests.length === 0 && child.exitCode === null) await sleep(10);
      await sleep(200);
      sent = Date.now();
      child.kill('SIGTERM');
    };
    const ended = await cli([url, dest, ...TEXT, '--termination-log', log], {
      cwd,
      started: (child) => {
        void stopSoon(child);
      },
    });
    assert.equal(ended.status, 143, ended.stderr);
    assert.ok(Date.now() - sent < 3000);
    assert.match(lastLine(ended.stderr), /^error: ABORTED stopped by SIGTERM/);
    assert.match(await readFile(log, 'utf8'), /^error: ABORTED stopped by SIGTERM/);
    const visible = await readdir(dest).catch(() => []);
    assert.deepEqual(
      visible.filter((name) => name !== '.model-fetch'),
      [],
    );
  });
});

/** A scheme of one's own: what the built-in ones would need a broken server for. */
async function plugin(directory: string, list: string): Promise<string> {
  const path = join(directory, 'plugin.mjs');
  await writeFile(
    path,
    `export default { name: 'odd', schemes: ['odd'], form: 'odd://x', load: async () => ({
       resolve: async () => ({ uri: 'odd://x', ${list}, locate: async () => { throw new Error('no'); } }),
     }) };`,
  );
  return path;
}

suite('a listing', () => {
  test('that breaks off is still one JSON document, and a failure', async (t) => {
    const cwd = await folder(t);
    const path = await plugin(
      cwd,
      `async *list() { yield { path: 'a', size: 1 }; throw new Error('broken'); }`,
    );
    const { status, stdout } = await inProcess(
      ['ls', 'odd://x', '--plugin', path, '--output', 'json'],
      { cwd },
    );
    const { entries, error } = JSON.parse(stdout) as {
      entries: unknown[];
      error: { exit: number };
    };
    assert.deepEqual([status, entries.length, error.exit], [1, 1, 1]);
  });

  test('ends when nobody reads it any more', async (t) => {
    const cwd = await folder(t);
    const path = await plugin(
      cwd,
      `async *list() { for (let i = 0; ; i++) { yield { path: 'file-' + i, size: i }; if (i % 100 === 0) await new Promise((r) => setImmediate(r)); } }`,
    );
    const { status, stderr } = await cli(['ls', 'odd://x', '--plugin', path, ...TEXT], {
      started: (child) => child.stdout!.once('data', () => child.stdout!.destroy()),
    });
    assert.deepEqual([status, stderr], [0, '']);
  });
});
