import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { COMMANDS, FLAGS } from '../../src/cli/flags.ts';
import { nodeProblem, OLDEST_NODE } from '../../src/cli/node-version.ts';
import { VERSION } from '../../src/version.ts';
import { cli, folder, lastLine, MAIN, records } from './child.ts';

const TEXT = ['--log-format', 'text'] as const;
const PACKAGE = new URL('../../package.json', import.meta.url);

suite('the command alone', { concurrency: 2 }, () => {
  test('prints the bare version', async () => {
    for (const flag of ['--version', '-V'])
      assert.deepEqual(await cli([flag]), {
        status: 0,
        signal: null,
        stdout: `${VERSION}\n`,
        stderr: '',
      });
    assert.equal(
      (JSON.parse(await readFile(PACKAGE, 'utf8')) as { version: string }).version,
      VERSION,
    );
  });

  test('prints help with every command, every flag and the exit statuses', async () => {
    const { status, stdout, stderr } = await cli(['--help']);
    assert.deepEqual([status, stderr], [0, '']);
    for (const flag of FLAGS.filter(({ commands }) => commands.includes('fetch')))
      assert.match(stdout, new RegExp(`--${flag.name}\\b`));
    for (const command of COMMANDS) assert.match(stdout, new RegExp(`^  ${command}\\b`, 'm'));
    for (const text of ['MODEL_FETCH_FOO_BAR', '13 integrity', 'OUTPUT_PATH'])
      assert.ok(stdout.includes(text), text);
    assert.ok(Math.max(...stdout.split('\n').map((line) => line.length)) <= 100);
    assert.equal((await cli(['help'])).stdout, stdout);
  });

  test('prints the help of a command in two ways', async () => {
    const { status, stdout } = await cli(['help', 'verify']);
    assert.equal(status, 0);
    assert.match(stdout, /^Usage: model-fetch verify <dest> \[options\]\n/);
    assert.match(stdout, /--manifest/);
    assert.doesNotMatch(stdout, /--include/);
    assert.equal((await cli(['verify', '--help'])).stdout, stdout);
  });

  test('lists the schemes', async () => {
    const { status, stdout } = await cli(['schemes']);
    assert.equal(status, 0);
    for (const scheme of ['file', 'gs', 'http', 'https', 'pvc', 's3'])
      assert.match(stdout, new RegExp(`\\b${scheme}\\b`));
    const json = JSON.parse((await cli(['schemes', '--output', 'json'])).stdout) as {
      schemes: string[];
    }[];
    assert.ok(json.flatMap(({ schemes }) => schemes).includes('s3'));
  });

  test('refuses a Node that is too old, by name', async (t) => {
    const preload = join(await folder(t), 'old.mjs');
    await writeFile(
      preload,
      `Object.defineProperty(process.versions, 'node', { value: '20.20.2' });`,
    );
    const { status, stdout, stderr } = await cli(['s3://b/m', '/x'], {
      node: ['--import', pathToFileURL(preload).href],
    });
    assert.deepEqual([status, stdout], [2, '']);
    assert.match(
      stderr,
      /^error: UNSUPPORTED model-fetch needs Node 22\.15 or newer, and this is Node 20\.20\.2 .* hint: /,
    );
  });
});

test('Node versions are compared as numbers, and the oldest is the one of package.json', async () => {
  for (const version of ['22.15.0', '22.100.1', '24.0.0', '100.0.0'])
    assert.equal(nodeProblem(version), undefined);
  for (const version of ['22.14.9', '20.20.2', '9.99.0'])
    assert.match(nodeProblem(version) ?? '', /needs Node 22\.15/);
  const { engines } = JSON.parse(await readFile(PACKAGE, 'utf8')) as { engines: { node: string } };
  assert.equal(engines.node, `>=${OLDEST_NODE}`);
});

/** A plugin that does `body` while it is imported: what the command does about it needs no model. */
async function plugin(directory: string, body: string): Promise<string> {
  const path = join(directory, 'plugin.mjs');
  await writeFile(
    path,
    `${body}\nexport default { name: 'x', schemes: ['x'], form: 'x://', load: async () => ({}) };\n`,
  );
  return path;
}

suite('signals and accidents', { concurrency: 2 }, () => {
  for (const [signal, status] of [
    ['SIGTERM', 143],
    ['SIGINT', 130],
  ] as const)
    test(`${signal} ends a run that hangs with ${status} within five seconds`, async (t) => {
      const path = await plugin(
        await folder(t),
        `process.stderr.write('ready\\n'); setInterval(() => {}, 1000); await new Promise(() => {});`,
      );
      let sent = 0;
      const ended = await cli(['x://m', '/y', '--plugin', path, ...TEXT], {
        started: (child) =>
          child.stderr!.once('data', () => {
            sent = Date.now();
            child.kill(signal);
          }),
      });
      assert.equal(ended.status, status);
      assert.ok(Date.now() - sent < 5000);
      assert.match(lastLine(ended.stderr), new RegExp(`^error: ABORTED stopped by ${signal}`));
    });

  test('a second signal ends it at once', async (t) => {
    const path = await plugin(
      await folder(t),
      `process.on('SIGTERM', () => process.stderr.write('again\\n')); process.stderr.write('ready\\n'); setInterval(() => {}, 1000); await new Promise(() => {});`,
    );
    let sent = 0;
    const ended = await cli(['x://m', '/y', '--plugin', path, ...TEXT], {
      started: (child) =>
        child.stderr!.on('data', () => {
          sent ||= Date.now();
          child.kill('SIGTERM');
        }),
    });
    assert.equal(ended.status, 143);
    assert.ok(Date.now() - sent < 2000);
  });

  test('a run that is forgotten is a failure, never a silent success', async (t) => {
    const path = await plugin(await folder(t), 'await new Promise(() => {});');
    const { status, stderr } = await cli(['x://m', '/y', '--plugin', path, ...TEXT]);
    assert.equal(status, 1);
    assert.match(stderr, /^error: INTERNAL nothing is left to wait for/);
  });

  test('it ends by itself, which does not wait for threads that compile; what is left open keeps it for moments only', async (t) => {
    const cwd = await folder(t);
    await writeFile(join(cwd, 'a.bin'), 'abc');
    const hooks = {
      exit: `const { exit } = process; process.exit = (code) => { console.error('asked to'); exit(code); };`,
      open: `setInterval(() => undefined, 1000);`,
    };
    for (const [name, text] of Object.entries(hooks)) {
      const hook = join(cwd, `${name}.mjs`);
      await writeFile(hook, text);
      const words = ['--quiet', `file://${cwd}/a.bin`, join(cwd, name)];
      const { status, stderr } = await cli(words, { node: ['--import', pathToFileURL(hook).href] });
      assert.equal(status, 0);
      assert.equal(stderr, '');
    }
  });
  test('an error that nobody caught is told in one line, with its stack at debug level only', async (t) => {
    const path = await plugin(
      await folder(t),
      `setImmediate(() => { throw new Error('oops') }); await new Promise((r) => setTimeout(r, 5000));`,
    );
    const ended = await cli(['x://m', '/y', '--plugin', path, ...TEXT]);
    assert.equal(ended.status, 1);
    assert.match(ended.stderr, /^error: INTERNAL oops hint: This is a bug of model-fetch[^\n]*\n$/);
    const debug = await cli(['x://m', '/y', '--plugin', path, ...TEXT, '--log-level', 'debug']);
    assert.match(debug.stderr, /plugin\.mjs/);
    assert.match(lastLine(debug.stderr), /^error: INTERNAL oops/);
  });

  test('warnings of the process are records of the log', async (t) => {
    const path = await plugin(
      await folder(t),
      `process.emitWarning('beware', 'OddWarning'); process.emitWarning('old', 'DeprecationWarning');`,
    );
    const { status, stderr } = await cli(['schemes', '--plugin', path, '--log-format', 'json']);
    assert.equal(status, 0);
    assert.deepEqual(
      records(stderr).map(({ level, msg }) => [level, msg]),
      [['warn', 'OddWarning: beware']],
    );
  });

  test('a reader who stops reading is no crash', async () => {
    const child = spawn(process.execPath, [MAIN, 'completion', 'bash'], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    child.stdout.destroy();
    let stderr = '';
    child.stderr.on('data', (chunk) => (stderr += String(chunk)));
    const status = await new Promise((resolve) => child.on('close', resolve));
    assert.deepEqual([status, stderr], [0, '']);
  });
});
