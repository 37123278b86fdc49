/** What the two images promise together, each case on a fresh volume. */
import assert from 'node:assert/strict';
import { chmodSync, existsSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { runSandboxed } from '../../../test/image/sandbox.ts';
import type { Origin } from './origin.ts';

/** An image, unpacked, and how it says it is run. */
export interface Image {
  readonly rootfs: string;
  readonly uid: number;
  readonly gid: number;
  /** `NAME=value`. */
  readonly env: readonly string[];
  readonly command: readonly string[];
  readonly workdir: string;
}

export interface Images {
  readonly initializer: Image;
  readonly server: Image;
}

interface Scene {
  readonly images: Images;
  readonly origin: Origin;
  /** An empty folder of the host, to be mounted at /mnt/models. */
  readonly volume: string;
}

const START_MS = 20_000;
const CLIENTS = 8;

export const cases: Readonly<Record<string, (scene: Scene) => Promise<void>>> = {
  'initializer, volume, server: the model answers as it was trained': async (scene) => {
    await initialize(scene, '1');
    await using server = await serve(scene, { MODEL_NAME: 'Iris', ...mounted('/mnt/models') });
    await assertVersion(scene, server.url, '1');
  },

  'a second version is published while clients ask: the server reloads, and not one answer fails':
    async (scene) => {
      await initialize(scene, '1');
      await using server = await serve(scene, {
        MODEL_NAME: 'Iris',
        MODEL_RELOAD: 'watch',
        MODEL_RELOAD_INTERVAL_MS: '50',
        ...mounted('/mnt/models'),
      });
      const answers = { '1': 0, '2': 0 };
      let asking = true;
      const clients = Array.from({ length: CLIENTS }, async () => {
        while (asking) answers[await versionOf(scene, server.url)] += 1;
      });
      await Promise.race([sleep(1000), ...clients]);
      await initialize(scene, '2');
      const deadline = Date.now() + START_MS;
      while (answers['2'] < 100 && Date.now() < deadline)
        await Promise.race([sleep(50), ...clients]);
      asking = false;
      await Promise.all(clients);
      assert.ok(answers['1'] > 0 && answers['2'] >= 100, JSON.stringify(answers));
      console.log(
        `    ${answers['1']} answers of version 1, ${answers['2']} of version 2, none failed`,
      );
    },

  'a URI given to the server itself is fetched before it listens': async (scene) => {
    await using server = await serve(scene, {
      MODEL_NAME: 'Iris',
      ...mounted(scene.origin.uri('2')),
    });
    assert.ok(existsSync(join(scene.volume, '.model-fetch/manifest.jsonl')));
    await assertVersion(scene, server.url, '2');
  },

  'the skeleton needs nothing': async (scene) => {
    await using server = await serve(scene, {});
    assert.deepEqual(await ask(server.url, { data: { ndarray: [[1]] } }), {
      meta: {},
      strData: 'Hello Model',
    });
  },

  "the shell and sleep of the operator's preStop hook are there": async ({
    images: { server },
  }) => {
    for (const program of ['bin/sh', 'bin/sleep'])
      assert.ok(existsSync(join(server.rootfs, program)), program);
  },
};

async function initialize({ images, origin, volume }: Scene, version: string): Promise<void> {
  const { rootfs, uid, gid, command } = images.initializer;
  chmodSync(volume, 0o777);
  const args = [origin.uri(version), '/mnt/models'];
  const { status, stderr } = await runSandboxed({
    rootfs,
    uid,
    gid,
    volume,
    env: {},
    command: [...command, ...args],
  }).done;
  assert.equal(status, 0, stderr);
}

/** Runs the image as it says, and waits until its port is open. Disposing it sends SIGTERM and wants exit status 0. */
async function serve(
  { images, volume }: Scene,
  env: Readonly<Record<string, string>>,
): Promise<AsyncDisposable & { readonly url: string }> {
  const { rootfs, uid, gid, command, workdir, env: own } = images.server;
  const [http, metrics] = [await freePort(), await freePort()];
  chmodSync(volume, 0o777);
  const sandbox = runSandboxed({
    ...{ rootfs, uid, gid, volume },
    env: {
      ...Object.fromEntries(own.map((one) => one.split(/=(.*)/s).slice(0, 2) as [string, string])),
      PREDICTIVE_UNIT_HTTP_SERVICE_PORT: String(http),
      PREDICTIVE_UNIT_METRICS_SERVICE_PORT: String(metrics),
      ...env,
    },
    command: ['/bin/sh', '-c', 'cd "$1"; shift; exec "$@"', 'sh', workdir, ...command],
  });
  const url = `http://127.0.0.1:${http}`;
  const ended = sandbox.done.then(({ stdout, stderr }) =>
    assert.fail(`it ended:\n${stdout}\n${stderr}`),
  );
  await Promise.race([ended, answers(url)]);
  ended.catch(() => undefined);
  return {
    url,
    [Symbol.asyncDispose]: async () => {
      await sandbox.terminate();
      const { status, stdout, stderr } = await sandbox.done;
      assert.equal(status, 0, `${stdout}\n${stderr}`);
    },
  };
}

async function answers(url: string): Promise<void> {
  for (const deadline = Date.now() + START_MS; ; await sleep(50))
    try {
      return void (await fetch(`${url}/health/ping`));
    } catch (error) {
      if (Date.now() > deadline) throw error;
    }
}

async function ask(url: string, message: object): Promise<Record<string, any>> {
  const response = await fetch(`${url}/api/v1.0/predictions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(message),
  });
  const text = await response.text();
  assert.equal(response.status, 200, text);
  return JSON.parse(text) as Record<string, any>;
}

async function assertVersion(scene: Scene, url: string, version: string): Promise<void> {
  assert.equal(await versionOf(scene, url), version);
}

/** Which version gave the answer: throws where it is that of neither. */
async function versionOf({ origin }: Scene, url: string): Promise<'1' | '2'> {
  const { x } = origin.reference('1');
  const got = ((await ask(url, { data: { ndarray: x } }))['data'].ndarray as number[][]).flat();
  for (const version of ['1', '2'] as const) {
    const { probabilities, tolerance } = origin.reference(version);
    const expected = probabilities.flat();
    if (got.every((one, i) => Math.abs(one - expected[i]!) <= tolerance)) return version;
  }
  throw new Error(`an answer of neither version: ${got.join(' ')}`);
}

function mounted(uri: string): Record<string, string> {
  const parameters = [{ name: 'model_uri', value: uri, type: 'STRING' }];
  return { PREDICTIVE_UNIT_PARAMETERS: JSON.stringify(parameters) };
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
