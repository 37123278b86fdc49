import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fetchModel } from '../../src/index.ts';

const EXAMPLE = join(import.meta.dirname, '../../examples/skeleton-server');
const MODELS = join(import.meta.dirname, '../../fixtures/models/iris-onnx');
const CLIENTS = 8;

const skip = existsSync(join(EXAMPLE, 'node_modules/fastify'))
  ? false
  : 'the example is not installed: npm ci in examples/skeleton-server';

interface Reference {
  readonly x: readonly (readonly number[])[];
  readonly probabilities: readonly (readonly number[])[];
  readonly tolerance: number;
}

suite('a server that watches what model-fetch publishes', { skip, timeout: 60_000 }, () => {
  test('loads the second version while requests run, and not one answer fails', async () => {
    const mount = mkdtempSync(join(tmpdir(), 'model-fetch-skeleton-'));
    try {
      await fetchModel(`file://${MODELS}/1`, mount);
      await using server = await startServer(mount);
      const answers = { 1: 0, 2: 0 };
      let asking = true;
      const clients = Array.from({ length: CLIENTS }, async () => {
        while (asking) answers[await versionThatAnswers(server.url)] += 1;
      });
      const orFailure = (ms: number) => Promise.race([sleep(ms), ...clients]);
      await orFailure(200);
      await fetchModel(`file://${MODELS}/2`, mount);
      for (let waited = 0; answers[2] < CLIENTS && waited < 20_000; waited += 20)
        await orFailure(20);
      asking = false;
      await Promise.all(clients);
      assert.ok(answers[1] > 0 && answers[2] >= CLIENTS, JSON.stringify(answers));
    } finally {
      rmSync(mount, { recursive: true });
    }
  });
});

/** The example's server on a free port; disposing it sends SIGTERM and wants a clean end. */
async function startServer(mount: string): Promise<AsyncDisposable & { readonly url: string }> {
  const ports = ['--host', '127.0.0.1', '--http-port', '0', '--metrics-port', '0'];
  const child = spawn(process.execPath, ['../src/main.ts', 'Iris', ...ports], {
    cwd: join(EXAMPLE, 'models'),
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {
      PREDICTIVE_UNIT_PARAMETERS: JSON.stringify([{ name: 'model_uri', value: mount }]),
      MODEL_RELOAD: 'watch',
      MODEL_RELOAD_INTERVAL_MS: '20',
    },
  });
  const ended = once(child, 'exit');
  let output = '';
  const url = await new Promise<string>((resolve, reject) => {
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      const found = /listening at (http:\/\/[\d.:]+)/.exec(output)?.[1];
      if (found) resolve(found);
    });
    child.once('exit', () => {
      reject(new Error(output));
    });
  });
  return {
    url,
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGTERM');
      assert.deepEqual(await ended, [0, null], output);
    },
  };
}

/** Throws where an answer failed, or is that of neither version. */
async function versionThatAnswers(url: string): Promise<1 | 2> {
  const response = await fetch(`${url}/predict`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ data: { ndarray: referenceOf(1).x } }),
  });
  const text = await response.text();
  assert.equal(response.status, 200, text);
  const { data } = JSON.parse(text) as { data: { ndarray: number[][] } };
  const got = data.ndarray.flat();
  for (const version of [1, 2] as const) {
    const { probabilities, tolerance } = referenceOf(version);
    const expected = probabilities.flat();
    if (got.every((one, i) => Math.abs(one - expected[i]!) <= tolerance)) return version;
  }
  return assert.fail(`an answer of neither version: ${text}`);
}

function referenceOf(version: 1 | 2): Reference {
  return JSON.parse(
    readFileSync(join(MODELS, String(version), 'reference.json'), 'utf8'),
  ) as Reference;
}
