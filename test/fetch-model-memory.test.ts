/** Memory does not grow with the model. Slow: only with MODEL_FETCH_SLOW_TESTS=1. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { KEEP, noise, s3Scene } from './publish/scene.ts';

const GIB = 2 ** 30;
const MOST = 256 * 2 ** 20;
const CHILD = new URL('publish/fetch-child.ts', import.meta.url).pathname;
const slow =
  process.env['MODEL_FETCH_SLOW_TESTS'] === '1' ? false : 'set MODEL_FETCH_SLOW_TESTS=1 to run it';

/** Bytes made when they are read: every MiB the same. */
function virtual(size: number): { size: number; slice(start: number, end: number): Buffer } {
  const block = noise(2 ** 20);
  return {
    size,
    slice: (start, end) => {
      const bytes = Buffer.allocUnsafe(end - start);
      for (let at = start; at < end;) {
        const from = at % block.length;
        at += block.copy(bytes, at - start, from, from + end - at);
      }
      return bytes;
    },
  };
}

async function peak(t: TestContext, uri: string, dest: string, options: object): Promise<number> {
  const child = spawn(process.execPath, [CHILD, uri, dest, JSON.stringify(options)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => child.kill('SIGKILL'));
  let out = '';
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
  const code = await new Promise((resolve) => child.on('close', resolve));
  assert.equal(code, 0);
  return (JSON.parse(out) as { maxRss: number }).maxRss;
}

describe('the peak of memory', { skip: slow }, () => {
  test('stays under 256 MiB for an object of 2 GiB by ranges', async (t) => {
    const scene = await s3Scene(t);
    scene.s3.put('models', 'm/big', virtual(2 * GIB));
    const { env } = scene.options;
    const rss = await peak(t, 's3://models/m/', scene.dest, { ...KEEP, env });
    t.diagnostic(`${String(Math.round(rss / 2 ** 20))} MiB`);
    assert.ok(rss < MOST, `${String(rss)} bytes`);
    assert.equal(statSync(join(scene.dest, 'big')).size, 2 * GIB);
    rmSync(scene.dest, { recursive: true });
  });

  test('stays under 256 MiB for twenty thousand files', async (t) => {
    const scene = await s3Scene(t);
    for (let i = 0; i < 20_000; i++)
      scene.s3.put('models', `m/${String(i % 50)}/${String(i)}`, 'x');
    const { env } = scene.options;
    const rss = await peak(t, 's3://models/m/', scene.dest, { ...KEEP, env });
    t.diagnostic(`${String(Math.round(rss / 2 ** 20))} MiB`);
    assert.ok(rss < MOST, `${String(rss)} bytes`);
  });
});
