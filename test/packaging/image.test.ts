import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { hash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { bundle } from '../../scripts/packaging/bundle.ts';
import { FLAGS } from '../../scripts/packaging/flags.ts';
import { VERSION } from '../../src/version.ts';
import { folder } from '../cli/child.ts';
import { imageFacts } from '../deploy/manifests.ts';
import { startHttpServer } from '../servers/http.ts';
import { startS3 } from '../servers/s3.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const WARM_UP = join(ROOT, 'scripts/packaging/warm-up.ts');
const app = mkdtempSync(join(tmpdir(), 'model-fetch-image-'));

function run(words: readonly string[], env: Record<string, string> = {}) {
  return promisify(execFile)(process.execPath, [...FLAGS, join(app, 'main.js'), ...words], {
    env: { HOME: '/nonexistent', ...env },
    timeout: 30_000,
  });
}

suite('the bundle of the image', () => {
  before(async () => {
    await bundle(ROOT, app);
    await writeFile(join(app, 'package.json'), '{ "type": "commonjs" }');
    execFileSync(process.execPath, [WARM_UP, app], { stdio: 'inherit' });
  });
  after(() => {
    rmSync(app, { recursive: true, force: true });
  });

  test('is warmed up with the flags that it runs with', () => {
    const { entrypoint } = imageFacts();
    assert.deepEqual(entrypoint.slice(1, -1), FLAGS);
  });

  for (const cache of ['program.cache', 'program-s3.cache', 'program-http.cache'])
    test(`has a ${cache} that V8 takes`, () => {
      const program = `
        import { load } from ${JSON.stringify(join(ROOT, 'scripts/packaging/load.ts'))};
        const require = process.getBuiltinModule('module').createRequire(${JSON.stringify(app)});
        const { script } = load(${JSON.stringify(join(app, 'program.js'))}, ${JSON.stringify(join(app, cache))}, require);
        console.log(script.cachedDataRejected);`;
      const words = [...FLAGS, '--input-type=module', '--eval', program];
      assert.equal(execFileSync(process.execPath, words, { encoding: 'utf8' }), 'false\n');
    });

  test('says its version and helps', async () => {
    assert.equal((await run(['--version'])).stdout, `${VERSION}\n`);
    assert.match((await run(['--help'])).stdout, /^Usage: model-fetch/m);
  });

  test('fetches from a folder, and hashes on a thread', async (t) => {
    const cwd = await folder(t);
    await mkdir(join(cwd, 'model'));
    const body = Buffer.alloc(3_000_000, 'a');
    await writeFile(join(cwd, 'model/a.bin'), body);
    const digest = `sha256:${hash('sha256', body)}`;
    await run(['--checksum', digest, `file://${cwd}/model/a.bin`, join(cwd, 'out')]);
    assert.ok(body.equals(await readFile(join(cwd, 'out/a.bin'))));
    assert.match(await readFile(join(cwd, 'out/.model-fetch/manifest.jsonl'), 'utf8'), /sha256:/);
  });

  test('fetches from S3, small objects by threads too', async (t) => {
    const cwd = await folder(t);
    await using s3 = await startS3();
    for (let i = 0; i < 300; i++) s3.put('models', `m/${String(i)}.json`, `{"i":${String(i)}}`);
    const env = {
      AWS_ACCESS_KEY_ID: 'test',
      AWS_SECRET_ACCESS_KEY: 'secret',
      AWS_ENDPOINT_URL: s3.url,
    };
    await run(['s3://models/m', join(cwd, 'out')], env);
    assert.equal(await readFile(join(cwd, 'out/299.json'), 'utf8'), '{"i":299}');
  });

  test('fetches over HTTP, and says what is wrong in its own words and with its own status', async (t) => {
    const cwd = await folder(t);
    const server = await startHttpServer();
    t.after(() => server.close());
    server.put('/a.bin', 'abc');
    await run([server.url('/a.bin'), join(cwd, 'out')]);
    assert.equal(await readFile(join(cwd, 'out/a.bin'), 'utf8'), 'abc');
    await assert.rejects(run([server.url('/b.bin'), join(cwd, 'out')]), (error: Error) => {
      assert.match(error.message, /NOT_FOUND/);
      return (error as Error & { code: number }).code === 10;
    });
  });

  test('takes plugins, which are ES modules', async (t) => {
    const cwd = await folder(t);
    await writeFile(join(cwd, 'a.txt'), 'abc');
    const plugin = `
      const path = await Promise.resolve(${JSON.stringify(join(cwd, 'a.txt'))});
      export default { name: 'own', schemes: ['own'], form: 'own://', load: () => ({
        resolve: (ref, context) => context.resolve('file://' + path),
      }) };`;
    await writeFile(join(cwd, 'plugin.mjs'), plugin);
    await run(['--plugin', join(cwd, 'plugin.mjs'), 'own://x', join(cwd, 'out')]);
    assert.equal(await readFile(join(cwd, 'out/a.txt'), 'utf8'), 'abc');
  });

  test('runs without its caches, and with damaged ones', async (t) => {
    const cwd = await folder(t);
    await writeFile(join(cwd, 'a.txt'), 'abc');
    const cache = join(app, 'program.cache');
    const whole = await readFile(cache);
    t.after(() => writeFile(cache, whole));
    const damaged = Buffer.from(whole);
    for (let i = 1000; i < damaged.length; i += 1000) damaged[i]! ^= 0x55;
    await writeFile(cache, damaged);
    await run([`file://${cwd}/a.txt`, join(cwd, 'one')]);
    rmSync(cache);
    await run([`file://${cwd}/a.txt`, join(cwd, 'two')]);
  });
});
