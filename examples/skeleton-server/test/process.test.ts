import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, suite, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { post } from './start.ts';

const MAIN = fileURLToPath(new URL('../src/main.ts', import.meta.url));
const MODELS = fileURLToPath(new URL('../models', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'skeleton-process-'));
after(() => rmSync(folder, { recursive: true, force: true }));

interface Running {
  readonly child: ChildProcess;
  readonly output: () => string;
  readonly url: Promise<string>;
  readonly status: Promise<number | null>;
}

function microservice(args: readonly string[], cwd: string, env: NodeJS.ProcessEnv = {}): Running {
  const ports = ['--host', '127.0.0.1', '--http-port', '0', '--metrics-port', '0'];
  const child = spawn(process.execPath, [MAIN, ...args, ...ports], {
    cwd,
    env: { PATH: process.env['PATH'], ...env },
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const status = once(child, 'exit').then(([code]) => code as number | null);
  const url = new Promise<string>((resolve, reject) => {
    child.stdout.on('data', () => {
      const found = /listening at (http:\/\/127\.0\.0\.1:\d+)/.exec(output)?.[1];
      if (found) resolve(found);
    });
    void status.then(() => reject(new Error(output)));
  });
  url.catch(() => undefined);
  return { child, output: () => output, url, status };
}

suite('the command microservice', { timeout: 30_000 }, () => {
  test('serves the skeleton, and ends with 0 when it is told to', async () => {
    const args = ['Model', '--service-type', 'MODEL', '--persistence', '0', '--access-log'];
    const { child, url, status, output } = microservice(args, MODELS);
    const { body } = await post(`${await url}/predict`, { data: { ndarray: [[1]] } });
    assert.deepEqual(body, { meta: {}, strData: 'Hello Model' });
    child.kill('SIGTERM');
    assert.equal(await status, 0);
    assert.match(output(), /"method":"POST","url":"\/predict","status":200/);
  });

  test('listens only when load() is done, and answers what it was asked before it ends', async () => {
    writeFileSync(
      join(folder, 'Slow.ts'),
      `const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
       export class Slow {
         ready = false;
         async load(): Promise<void> { await pause(300); console.log('load is done'); this.ready = true; }
         async predict(): Promise<string> { console.log('asked'); await pause(500); return String(this.ready); }
       }`,
    );
    const { child, url, status, output } = microservice(['Slow'], folder);
    const base = await url;
    assert.ok(output().indexOf('load is done') < output().indexOf('listening at'));
    assert.ok(output().includes('load is done'));
    const asked = post(`${base}/predict`, { strData: '' });
    while (!output().includes('asked')) await once(child.stdout!, 'data');
    child.kill('SIGTERM');
    while (!(await refuses(Number(new URL(base).port)))) continue;
    assert.deepEqual((await asked).body, { meta: {}, strData: 'true' });
    assert.equal(await status, 0);
    assert.doesNotMatch(output(), /are cut/);
  });

  test('cuts off what takes too long to end', async () => {
    writeFileSync(
      join(folder, 'Endless.mjs'),
      `export class Endless { predict() { console.log('asked'); return new Promise(() => {}); } }`,
    );
    const { child, url, status, output } = microservice(['Endless'], folder, {
      DRAIN_TIMEOUT_MS: '200',
    });
    const asked = post(`${await url}/predict`, { strData: '' });
    while (!output().includes('asked')) await once(child.stdout!, 'data');
    child.kill('SIGTERM');
    await assert.rejects(asked);
    assert.equal(await status, 0);
  });

  test('a model that does not load ends it, with the reason', async () => {
    writeFileSync(
      join(folder, 'Broken.mjs'),
      `export class Broken { load() { throw new Error('no such weights'); } }`,
    );
    const { status, output } = microservice(['Broken'], folder);
    assert.equal(await status, 1);
    assert.match(output(), /no such weights/);
    assert.doesNotMatch(output(), /listening/);
  });

  test("what it does not understand ends it with the status of Seldon's wrapper", async () => {
    assert.equal(await microservice(['Model', '--nonsense'], MODELS).status, 255);
    const bad = microservice(
      ['Model', '--parameters', '[{"name":"a","value":"x","type":"INT"}]'],
      MODELS,
    );
    assert.equal(await bad.status, 1);
    assert.match(bad.output(), /parameter a is not of type INT/);
  });
});

async function refuses(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  return new Promise((resolve) => {
    socket.on('connect', () => resolve(false)).on('error', () => resolve(true));
  }).finally(() => socket.destroy()) as Promise<boolean>;
}
