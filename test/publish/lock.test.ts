/** One run at a time in a target; a dead holder loses it at once. */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import type { ModelFetchError } from '../../src/errors.ts';
import { fetchModel } from '../../src/index.ts';
import { acquireLock } from '../../src/publish/lock.ts';
import { fails, folder, s3Scene, treeFrom, treeOf, write } from './scene.ts';

const never = new AbortController().signal;

/** A process that holds the lock until it is killed. */
async function holder(t: TestContext, path: string): Promise<ChildProcess> {
  const module = new URL('../../src/publish/lock.ts', import.meta.url).href;
  const code = `const { acquireLock } = await import(${JSON.stringify(module)});
    await acquireLock(${JSON.stringify(path)}, 5000, new AbortController().signal);
    process.stdout.write('held'); setInterval(() => undefined, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', code], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => child.kill('SIGKILL'));
  await once(child.stdout, 'data');
  return child;
}

describe('the lock', () => {
  test('is given to one at a time, in this process too, and leaves nothing', async (t) => {
    const dir = folder(t);
    const path = join(dir, 'lock');
    let inside = 0;
    await Promise.all(
      Array.from({ length: 4 }, async () => {
        const release = await acquireLock(path, 10_000, never);
        assert.equal(++inside, 1);
        await new Promise((resolve) => setTimeout(resolve, 20));
        inside--;
        release();
      }),
    );
    assert.deepEqual(readdirSync(dir), []);
  });

  test('is BUSY after the timeout, and names who holds it', async (t) => {
    const path = join(folder(t), 'lock');
    const child = await holder(t, path);
    const started = Date.now();
    const error = await fails(acquireLock(path, 300, never), 'BUSY');
    assert.match(error.message, new RegExp(`process ${String(child.pid)} on`));
    assert.ok(Date.now() - started < 2000);
    assert.equal(readdirSync(join(path, '..')).length, 2);
  });

  test('of a killed holder is taken over at once, and what it left goes', async (t) => {
    const dir = folder(t);
    const path = join(dir, 'lock');
    const child = await holder(t, path);
    child.kill('SIGKILL');
    await once(child, 'close');
    assert.equal(readdirSync(dir).length, 2);
    const started = Date.now();
    const release = await acquireLock(path, 5000, never);
    assert.ok(Date.now() - started < 1000);
    release();
    assert.deepEqual(readdirSync(dir), []);
  });

  test('of another machine is judged by its heartbeat', async (t) => {
    const dir = folder(t);
    const path = join(dir, 'lock');
    const other = { id: 'x', host: 'elsewhere', realm: 'another boot', pid: 1, start: '1' };
    writeFileSync(path, JSON.stringify(other));
    writeFileSync(`${path}.x`, JSON.stringify(other));
    await fails(acquireLock(path, 250, never), 'BUSY', /elsewhere/);
    const before = (Date.now() - 60_000) / 1000;
    for (const file of [path, `${path}.x`]) utimesSync(file, before, before);
    (await acquireLock(path, 1000, never))();
    assert.deepEqual(readdirSync(dir), []);
  });

  test('is not waited for once the run is interrupted', async (t) => {
    const dir = folder(t);
    const path = join(dir, 'lock');
    const release = await acquireLock(path, 0, never);
    const reason = new Error('stop');
    await assert.rejects(acquireLock(path, 60_000, AbortSignal.timeout(100)));
    await assert.rejects(acquireLock(path, 60_000, AbortSignal.abort(reason)), reason);
    release();
    assert.deepEqual(readdirSync(dir), []);
  });

  test('is given back quietly when its folder is gone', async (t) => {
    const dir = join(folder(t), 'gone');
    mkdirSync(dir);
    const release = await acquireLock(join(dir, 'lock'), 0, never);
    const { rmSync } = await import('node:fs');
    rmSync(dir, { recursive: true });
    release();
    assert.equal(existsSync(dir), false);
  });
});

describe('runs in one target', () => {
  test('the second waits for the first, and finds nothing to do', async (t) => {
    const scene = await s3Scene(t);
    scene.model('m', { a: 'a', b: 'b' });
    scene.trouble = ({ key }) => (key === 'm/a' ? { delayMs: 300 } : undefined);
    const results = await Promise.all([scene.fetch('m'), scene.fetch('m')]);
    assert.deepEqual(results.map(({ unchanged }) => unchanged).sort(), [false, true]);
    assert.equal(scene.gets().length, 2);
    assert.deepEqual(treeOf(scene.dest), { a: 'a', b: 'b' });
  });

  test('the second gives up after its lock timeout, and the first is not disturbed', async (t) => {
    const scene = await s3Scene(t);
    scene.model('m', { a: 'a' });
    scene.trouble = ({ key }) => (key === 'm/a' ? { delayMs: 700 } : undefined);
    const first = scene.fetch('m');
    await new Promise((resolve) => setTimeout(resolve, 250));
    await fails(scene.fetch('m', { lockTimeoutMs: 100 }), 'BUSY');
    await first;
    assert.deepEqual(treeOf(scene.dest), { a: 'a' });
    assert.match(readFileSync(join(scene.dest, '.model-fetch', 'manifest.jsonl'), 'utf8'), /"end"/);
  });
});

describe('a lease that nobody can read', () => {
  test('is in the way while it is young, and goes when it is old', async (t) => {
    const path = join(folder(t), 'lock');
    writeFileSync(path, 'not a lease');
    await assert.rejects(
      acquireLock(path, 50, new AbortController().signal),
      (error: ModelFetchError) => error.code === 'BUSY',
    );
    const longAgo = new Date(Date.now() - 60_000);
    utimesSync(path, longAgo, longAgo);
    const release = await acquireLock(path, 2_000, new AbortController().signal);
    release();
    assert.equal(existsSync(path), false);
  });
});

test('runs that end and begin at once do not trip over the folder they share', async (t) => {
  const root = folder(t);
  const source = join(root, 'model');
  write(source, { a: 'a' });
  const dest = join(root, 'mnt');
  const runs = Array.from({ length: 12 }, () => fetchModel(source, dest, { manifest: false }));
  for (const { files } of await Promise.all(runs)) assert.equal(files, 1);
  assert.deepEqual(treeOf(dest, true), { a: treeFrom({ a: 'a' })['a'] });
});
