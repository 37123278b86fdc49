import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { suite, test, type TestContext } from 'node:test';
import { pathToFileURL } from 'node:url';
import { cli, folder } from './child.ts';

const HEAVY = /\/node_modules\/(@aws-sdk|@smithy|@google-cloud|got|tar|unzipper)\//;

/** Runs the command under a hook that writes down every module that was loaded. */
async function loaded(t: TestContext, words: readonly string[]): Promise<string[]> {
  const directory = await folder(t);
  const hook = join(directory, 'hook.mjs');
  const log = join(directory, 'modules');
  await writeFile(
    hook,
    `import { appendFileSync } from 'node:fs';
     import { registerHooks } from 'node:module';
     registerHooks({ load(url, context, next) { appendFileSync(${JSON.stringify(log)}, url + '\\n'); return next(url, context); } });`,
  );
  const { status, stderr } = await cli(words, { node: ['--import', pathToFileURL(hook).href] });
  assert.equal(status, 0, stderr);
  return (await readFile(log, 'utf8')).trimEnd().split('\n');
}

suite('what is loaded', () => {
  test('for --version is the entry and nothing else', async (t) => {
    const modules = await loaded(t, ['--version']);
    assert.deepEqual(modules.map((url) => url.replace(/.*\/src\//, '')).sort(), [
      'cli/main.ts',
      'cli/node-version.ts',
      'version.ts',
    ]);
  });
  for (const words of [['--help'], ['schemes'], ['completion', 'bash']])
    test(`for "${words.join(' ')}" is no SDK, no HTTP client and no unpacker`, async (t) => {
      const modules = await loaded(t, words);
      assert.ok(
        modules.some((url) => url.includes('/commander/')),
        'the hook sees packages',
      );
      assert.deepEqual(
        modules.filter((url) => HEAVY.test(url)),
        [],
      );
      assert.ok(!modules.some((url) => url.endsWith('/fetch-model.ts')));
    });
  test('for a local model is no SDK, no HTTP client and no unpacker either', async (t) => {
    const cwd = await folder(t);
    const source = join(cwd, 'model');
    await mkdir(source);
    await writeFile(join(source, 'a.bin'), 'abc');
    const modules = await loaded(t, [`file://${source}`, join(cwd, 'out')]);
    assert.ok(modules.some((url) => url.endsWith('/fetch-model.ts')));
    assert.deepEqual(
      modules.filter((url) => HEAVY.test(url)),
      [],
    );
  });
});
