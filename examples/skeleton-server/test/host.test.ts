import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { loadClass } from '../src/host/load-class.ts';
import { constructorArgument, parseParameters } from '../src/host/parameters.ts';
import { readOptions } from '../src/options.ts';
import { post, startModel } from './start.ts';

const folder = mkdtempSync(join(tmpdir(), 'skeleton-host-'));
after(() => rmSync(folder, { recursive: true, force: true }));

suite('parameters', () => {
  const parse = (type: string, value: unknown) =>
    parseParameters(JSON.stringify([{ name: 'p', value, type }]))['p'];

  test('have their types', () => {
    assert.equal(parse('STRING', '1'), '1');
    assert.equal(parse('INT', '-12'), -12);
    assert.equal(parse('FLOAT', '1e-3'), 0.001);
    assert.equal(parse('DOUBLE', '.5'), 0.5);
    for (const yes of ['y', 'Yes', 't', 'TRUE', 'on', '1']) assert.equal(parse('BOOL', yes), true);
    for (const no of ['n', 'No', 'f', 'FALSE', 'off', '0']) assert.equal(parse('BOOL', no), false);
  });
  test('that are not of their types are refused', () => {
    for (const [type, value] of [
      ['INT', '1.5'],
      ['INT', ''],
      ['FLOAT', 'x'],
      ['BOOL', 'maybe'],
      ['LIST', '1'],
    ])
      assert.throws(
        () => parse(type!, value),
        { reason: 'MICROSERVICE_BAD_PARAMETER' },
        `${type} ${value}`,
      );
    assert.throws(() => parseParameters('nonsense'), { reason: 'MICROSERVICE_BAD_PARAMETER' });
  });
  test('reach the constructor by the name they have, and by the one JavaScript would give', () => {
    const { model_uri, modelUri } = constructorArgument({ model_uri: '/mnt/models' });
    assert.deepEqual([model_uri, modelUri], ['/mnt/models', '/mnt/models']);
    assert.deepEqual(Object.keys(constructorArgument({ model_uri: '' })), ['model_uri']);
  });
});

suite('the class', () => {
  const write = (name: string, text: string) => writeFileSync(join(folder, name), text);

  test('is found in TypeScript, in modules of both kinds, by its name or as the default', async () => {
    write('A.ts', 'export class A { readonly kind: string = "ts"; }');
    write('B.mjs', 'export default class { kind = "mjs" }');
    write('C.cjs', 'module.exports = class { kind = "cjs" }');
    write('D.cjs', 'exports.D = class { kind = "named cjs" }');
    write('E.mjs', 'export class Inner { kind = "inner" }');
    const kinds: unknown[] = [];
    for (const name of ['A', 'B', 'C', 'D', 'E.Inner']) {
      const found = new (await loadClass(name, folder))({});
      kinds.push((found as { kind: string }).kind);
    }
    assert.deepEqual(kinds, ['ts', 'mjs', 'cjs', 'named cjs', 'inner']);
  });
  test('that is not there is missed in words', async () => {
    await assert.rejects(loadClass('Nowhere', folder), /no Nowhere\.ts, \.js, \.mjs or \.cjs in/);
    write('Empty.mjs', 'export const other = 1;');
    await assert.rejects(loadClass('Empty', folder), /exports no class Empty/);
  });
});

suite('options', () => {
  test('a port is that of the flag, of the newer variable, of the older one, or 9000', () => {
    const older = { PREDICTIVE_UNIT_SERVICE_PORT: '3' };
    const both = { ...older, PREDICTIVE_UNIT_HTTP_SERVICE_PORT: '2' };
    assert.equal(readOptions(['M', '--http-port', '1'], both).httpPort, 1);
    assert.equal(readOptions(['M'], both).httpPort, 2);
    assert.equal(readOptions(['M'], older).httpPort, 3);
    const { httpPort, metricsPort } = readOptions(['M'], {});
    assert.deepEqual([httpPort, metricsPort], [9000, 6000]);
  });
  test('what the wrapper of Seldon takes is taken', () => {
    const args =
      'M --service-type TRANSFORMER --persistence 0 --access-log --workers 4 --threads 1 --grpc-port 5000';
    const options = readOptions([...args.split(' '), '--log-level', 'WARNING'], {
      SELDON_LOG_LEVEL: 'DEBUG',
    });
    assert.equal(options.accessLog, true);
    assert.equal(options.logLevel, 'debug');
    assert.equal(
      readOptions(['--persistence'], { MODEL_NAME: 'N', PERSISTENCE: '0' }).interfaceName,
      'N',
    );
  });
  test('what it does not know ends with 255, what is wrong with 2', () => {
    assert.throws(() => readOptions(['M', '--nonsense'], {}), { status: 255 });
    assert.throws(() => readOptions(['M', 'N'], {}), { status: 255 });
    assert.throws(() => readOptions(['M', '--service-type', 'X'], {}), { status: 2 });
    assert.throws(() => readOptions(['M'], { PREDICTIVE_UNIT_HTTP_SERVICE_PORT: 'x' }), {
      status: 2,
    });
    assert.throws(() => readOptions([], {}), { status: 2 });
  });
});

suite('MODEL_RELOAD=watch', () => {
  const BOOT = '/proc/sys/kernel/random/boot_id';

  /** Publishes as model-fetch does: the manifest goes first and comes last. */
  function publish(directory: string, version: string, boot?: string): void {
    const own = join(directory, '.model-fetch');
    mkdirSync(own, { recursive: true });
    rmSync(join(own, 'manifest.jsonl'), { force: true });
    for (const name of ['one', 'two']) {
      writeFileSync(join(own, name), version);
      renameSync(join(own, name), join(directory, name));
    }
    const header = JSON.stringify({ manifest: 1, ...(boot !== undefined && { boot }), files: 2 });
    writeFileSync(join(own, 'next'), `${header}\n{"end":{"files":2}}\n`);
    renameSync(join(own, 'next'), join(own, 'manifest.jsonl'));
  }

  /** Called between the first file and the second, with what was in the first. */
  let inTheMiddle: (one: string) => void = () => undefined;

  class TwoFiles {
    readonly #directory: string;
    #text = '';
    constructor({ modelUri }: { modelUri: string }) {
      this.#directory = modelUri;
    }
    /** Slow enough that a version may be published in the middle. */
    async load(): Promise<void> {
      const one = readFileSync(join(this.#directory, 'one'), 'utf8');
      inTheMiddle(one);
      await sleep(30);
      this.#text = `${one} ${readFileSync(join(this.#directory, 'two'), 'utf8')}`;
      if (one === 'bad') throw new Error('a version that does not load');
    }
    async predict(): Promise<string> {
      const text = this.#text;
      await sleep(5);
      if (text !== this.#text) throw new Error('unloaded while it answered');
      return text;
    }
    unload(): void {
      this.#text = 'unloaded';
    }
  }

  async function serve(name: string, watch: boolean) {
    const directory = join(folder, name);
    mkdirSync(directory);
    publish(directory, 'v1');
    const server = await startModel(TwoFiles, {
      PREDICTIVE_UNIT_PARAMETERS: JSON.stringify([
        { name: 'model_uri', value: directory, type: 'STRING' },
      ]),
      MODEL_RELOAD_INTERVAL_MS: '10',
      ...(watch && { MODEL_RELOAD: 'watch' }),
    });
    const ask = async (): Promise<string> => {
      const { status, body } = await post(`${server.url}/predict`, { strData: '' });
      assert.equal(status, 200, JSON.stringify(body));
      return body['strData'] as string;
    };
    const until = async (answer: string): Promise<void> => {
      while ((await ask()) !== answer) await sleep(5);
    };
    return { directory, server, ask, until };
  }

  test(
    'a new version answers, and no request fails or sees a mixture',
    { timeout: 20_000 },
    async () => {
      const { directory, server, ask, until } = await serve('reload', true);
      try {
        let asking = true;
        const seen = new Set<string>();
        const clients = Array.from({ length: 8 }, async () => {
          while (asking) seen.add(await ask());
        });
        await until('v1 v1');
        // Each version but the last is replaced while it is being loaded.
        inTheMiddle = (one) => {
          if (one === 'v2') publish(directory, 'v3');
          if (one === 'v3') publish(directory, 'v4');
        };
        publish(directory, 'v2');
        await until('v4 v4');
        asking = false;
        inTheMiddle = () => undefined;
        await Promise.all(clients);
        assert.deepEqual([...seen].sort(), ['v1 v1', 'v4 v4']);
        assert.match(
          await (await fetch(server.metricsUrl)).text(),
          /microservice_reloads_total\{result="done"\} 1\b/,
        );
      } finally {
        await server.close();
      }
    },
  );

  test('a version that does not load is passed over', { timeout: 20_000 }, async () => {
    const { directory, server, ask, until } = await serve('bad', true);
    try {
      publish(directory, 'bad');
      const failed = async () =>
        /reloads_total\{result="failed"\} 1/.test(await (await fetch(server.metricsUrl)).text());
      while (!(await failed())) await sleep(10);
      assert.equal(await ask(), 'v1 v1');
      publish(directory, 'v3');
      await until('v3 v3');
    } finally {
      await server.close();
    }
  });

  test('while there is no whole manifest nothing is reloaded', async () => {
    const { directory, server, ask } = await serve('half', true);
    try {
      const manifest = join(directory, '.model-fetch', 'manifest.jsonl');
      writeFileSync(join(directory, 'one'), 'half');
      writeFileSync(manifest, '{"manifest":1,"files":2}\n');
      await sleep(100);
      assert.equal(await ask(), 'v1 v1');
    } finally {
      await server.close();
    }
  });

  test(
    'what was left by an earlier boot waits until model-fetch has looked after it',
    { skip: !existsSync(BOOT) && 'no Linux /proc here', timeout: 20_000 },
    async () => {
      const { directory, server, ask, until } = await serve('boot', true);
      try {
        publish(directory, 'v2', '00000000-0000-4000-8000-000000000000');
        await sleep(100);
        assert.equal(await ask(), 'v1 v1');
        publish(directory, 'v3', readFileSync(BOOT, 'utf8').trim());
        await until('v3 v3');
        publish(directory, 'v4', 'unknown');
        await until('v4 v4');
      } finally {
        await server.close();
      }
    },
  );

  test('is off unless it is asked for', async () => {
    const { directory, server, ask } = await serve('off', false);
    try {
      publish(directory, 'v2');
      await sleep(100);
      assert.equal(await ask(), 'v1 v1');
    } finally {
      await server.close();
    }
  });
});
