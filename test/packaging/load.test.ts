import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { suite, test, type TestContext } from 'node:test';
import { cacheFile, load } from '../../scripts/packaging/load.ts';
import { folder } from '../cli/child.ts';

const LOAD = new URL('../../scripts/packaging/load.ts', import.meta.url).href;
const SCRIPT = `(function (require, filename) { return { answer: () => 42, filename, type: typeof require }; })`;

/** A script, and a cache of it after it has run. */
async function prepared(t: TestContext): Promise<{ file: string; cache: string }> {
  const cwd = await folder(t);
  const file = join(cwd, 'program.js');
  const cache = join(cwd, 'program.cache');
  await writeFile(file, SCRIPT);
  const { script, exports } = answered(file, '');
  assert.equal(exports.answer(), 42);
  await writeFile(cache, cacheFile(await readFile(file), script.createCachedData()));
  return { file, cache };
}

function answered(file: string, cache: string) {
  return load<{ answer: () => number; filename: string; type: string }>(
    file,
    cache,
    createRequire(file),
  );
}

suite('a script with its code cache', () => {
  test('is run with it', async (t) => {
    const { file, cache } = await prepared(t);
    const { script, exports } = answered(file, cache);
    assert.equal(script.cachedDataRejected, false);
    assert.deepEqual([exports.answer(), exports.filename, exports.type], [42, file, 'function']);
  });

  test('is run without it where it is missing, damaged, short, or of another source', async (t) => {
    const { file, cache } = await prepared(t);
    const whole = await readFile(cache);
    const damaged = Buffer.from(whole);
    damaged[whole.length - 10]! ^= 1;
    for (const bytes of [damaged, whole.subarray(0, -1), whole.subarray(0, 4), Buffer.alloc(0)]) {
      await writeFile(cache, bytes);
      const { script, exports } = answered(file, cache);
      assert.equal(script.cachedDataRejected, undefined, 'V8 never sees it');
      assert.equal(exports.answer(), 42);
    }
    await writeFile(cache, whole);
    // V8 itself compares no more than the length.
    await writeFile(file, SCRIPT.replace('42', '43'));
    assert.equal(answered(file, cache).exports.answer(), 43);
  });

  test('is run without it where V8 has other flags than when it was made', async (t) => {
    const { file, cache } = await prepared(t);
    const program = `
      import { createRequire } from 'node:module';
      import { load } from ${JSON.stringify(LOAD)};
      const [file, cache] = ${JSON.stringify([file, cache])};
      const { script, exports } = load(file, cache, createRequire(file));
      console.log(script.cachedDataRejected, exports.answer());`;
    const words = ['--heap-growing-percent=33', '--input-type=module', '--eval', program];
    assert.equal(execFileSync(process.execPath, words, { encoding: 'utf8' }), 'true 42\n');
  });
});
