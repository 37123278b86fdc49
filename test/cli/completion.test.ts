import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { suite, test, type TestContext } from 'node:test';
import { promisify } from 'node:util';
import { completionScript, SHELLS } from '../../src/cli/completion.ts';
import { COMMANDS, FLAGS, flagsOf } from '../../src/cli/flags.ts';
import { folder } from './child.ts';

const SCHEMES = ['file', 'gs', 's3', 's3a'];
const run = promisify(execFile);

/** What bash would offer for the last of `words`. */
async function complete(cwd: string, ...words: readonly string[]): Promise<string[]> {
  const script = `${completionScript('bash', SCHEMES)}
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _model_fetch; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout } = await run('bash', ['--norc', '-c', script, 'bash', 'model-fetch', ...words], {
    cwd,
  });
  return stdout.split('\n').filter(Boolean).sort();
}

async function place(t: TestContext): Promise<string> {
  const cwd = await folder(t);
  await mkdir(join(cwd, 'models'));
  await writeFile(join(cwd, 'plugin.mjs'), '');
  return cwd;
}

suite('completion in bash', () => {
  test('registers itself for the command', async () => {
    const { stdout } = await run('bash', [
      '--norc',
      '-c',
      `${completionScript('bash', SCHEMES)}\ncomplete -p model-fetch`,
    ]);
    assert.match(stdout, /-F _model_fetch model-fetch/);
  });
  test('offers commands first', async (t) => {
    assert.deepEqual(await complete(await place(t), ''), [...COMMANDS].sort());
    assert.deepEqual(await complete(await place(t), 'ver'), ['verify']);
  });
  test('offers the flags of the command', async (t) => {
    const cwd = await place(t);
    assert.deepEqual(await complete(cwd, '--con'), ['--concurrency', '--connect-grace']);
    assert.deepEqual(await complete(cwd, 'ls', '--in'), ['--include']);
    assert.deepEqual(await complete(cwd, 'ls', '--dry'), []);
    for (const command of COMMANDS) {
      const offered = await complete(cwd, command, '--');
      assert.deepEqual(
        offered,
        [...flagsOf(command).map((flag) => `--${flag.name}`), '--help'].sort(),
      );
    }
  });
  test('offers the words that a flag or a command takes', async (t) => {
    const cwd = await place(t);
    assert.deepEqual(await complete(cwd, 's3://b', '--link', ''), [
      'auto',
      'copy',
      'hard',
      'symlink',
    ]);
    assert.deepEqual(await complete(cwd, 'completion', ''), [...SHELLS].sort());
    assert.deepEqual(await complete(cwd, '--timeout', ''), []);
  });
  test('offers files for paths, and schemes until the colon', async (t) => {
    const cwd = await place(t);
    assert.deepEqual(await complete(cwd, 's3://b', 'mo'), ['models']);
    assert.deepEqual(await complete(cwd, '--plugin', 'pl'), ['plugin.mjs']);
    assert.deepEqual(await complete(cwd, 's3'), ['s3://', 's3a://']);
    assert.deepEqual(await complete(cwd, 'ls', 'g'), ['gs://']);
  });
});

for (const shell of SHELLS)
  test(`the ${shell} script has every flag and every command`, () => {
    const script = completionScript(shell, SCHEMES);
    for (const { name } of FLAGS)
      assert.match(script, new RegExp(shell === 'fish' ? `-l ${name} ` : `--${name}\\b`));
    for (const name of COMMANDS) assert.match(script, new RegExp(`\\b${name}\\b`));
  });
