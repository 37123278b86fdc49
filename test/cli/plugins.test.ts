import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { folder } from './child.ts';
import { inProcess } from './host.ts';

const GOOD = `{ name: 'demo', schemes: ['demo'], form: 'demo://x', load: async () => ({}) }`;

test('plugins add schemes, one or several, by path from where one stands', async (t) => {
  const cwd = await folder(t);
  await writeFile(join(cwd, 'one.mjs'), `export default ${GOOD};`);
  await writeFile(join(cwd, 'two.mjs'), `export default [${GOOD.replaceAll('demo', 'other')}];`);
  const words = ['schemes', '--plugin', './one.mjs', '--plugin', join(cwd, 'two.mjs')];
  const { status, stdout } = await inProcess(words, { cwd });
  assert.equal(status, 0);
  assert.match(stdout, /^demo {2,}demo:\/\/x$/m);
  assert.match(stdout, /^other {2,}other:\/\/x$/m);
});

test('plugins may be packages that are installed where one stands', async (t) => {
  const cwd = await folder(t);
  const home = join(cwd, 'node_modules', 'model-fetch-plugin-demo');
  await mkdir(home, { recursive: true });
  const description = {
    name: 'model-fetch-plugin-demo',
    type: 'module',
    exports: { import: './index.js' },
  };
  await writeFile(join(home, 'package.json'), JSON.stringify(description));
  await writeFile(join(home, 'index.js'), `export default ${GOOD};`);
  const { status, stdout } = await inProcess(['schemes'], {
    cwd,
    env: { MODEL_FETCH_PLUGIN: 'model-fetch-plugin-demo' },
  });
  assert.equal(status, 0);
  assert.match(stdout, /demo:\/\/x/);
});

test('plugins that are missing, broken or something else are usage errors', async (t) => {
  const cwd = await folder(t);
  await writeFile(join(cwd, 'throws.mjs'), `throw new Error('no luck');`);
  await writeFile(join(cwd, 'lacks.mjs'), `import 'not-installed-here';`);
  await writeFile(join(cwd, 'other.mjs'), `export default { name: 'x' };`);
  await writeFile(
    join(cwd, 'badly-named.mjs'),
    `export default ${GOOD.replace("['demo']", "['Demo!']")};`,
  );
  const table = [
    ['./nope.mjs', /there is no plugin \.\/nope\.mjs hint: Looked from/],
    ['not-installed-here', /there is no plugin not-installed-here/],
    ['./throws.mjs', /could not be loaded: no luck/],
    ['./lacks.mjs', /\.\/lacks\.mjs could not be loaded: Cannot find package 'not-installed-here'/],
    ['./other.mjs', /does not export a registration/],
    ['./badly-named.mjs', /"Demo!" is not a URI scheme/],
  ] as const;
  for (const [name, pattern] of table) {
    const { status, stderr } = await inProcess(
      ['schemes', '--plugin', name, '--log-format', 'text'],
      { cwd },
    );
    assert.equal(status, 2, name);
    assert.match(stderr, pattern);
  }
});
