import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { folder, records } from './child.ts';
import { inProcess } from './host.ts';

const TEXT = ['--log-format', 'text'] as const;

suite('what cannot be understood', () => {
  const table: readonly (readonly [words: string, status: number, line: RegExp])[] = [
    ['', 2, /^error: INVALID_OPTION nothing to fetch.* hint: Usage: model-fetch <uri> <dest>/],
    ['s3://a', 2, /a URI without a destination: s3:\/\/a/],
    ['s3://a /x gs://b', 2, /a URI without a destination: gs:\/\/b/],
    ['s3://a s3://b', 2, /a URI where a destination was expected/],
    ['lss s3://b', 2, /"lss" is neither a command nor a URI.*Did you mean ls\?/],
    ['s3://a /x --timout 20s', 2, /unknown option '--timout'.*Did you mean --timeout\?/],
    ['s3://a /x --timeout 20', 2, /--timeout: "20" has no unit hint: Write 20s/],
    ['s3://a /x --checksum sha256:12', 2, /is not a checksum/],
    ['s3://a /x --concurrency 0', 2, /concurrency must be/],
    ['s3://a /x --unpack', 2, /'--unpack <auto\|never>' argument missing/],
    ['ls', 2, /ls needs <uri> hint: Usage: model-fetch ls <uri>/],
    ['ls s3://a s3://b', 2, /ls takes one <uri>, not also s3:\/\/b/],
    ['ls s3://a --manifest x', 2, /unknown option '--manifest'.*model-fetch ls --help/],
    ['verify /x --manifest none', 2, /verify needs a manifest/],
    ['doctor a b c', 2, /not also c/],
    ['help banana', 2, /"banana" is not a command/],
    ['completion tcsh', 2, /no completion for "tcsh"/],
    ['://x /y', 2, /INVALID_URI/],
    ['s3a3://x /y', 17, /UNSUPPORTED_SCHEME no resolver for s3a3:\/\/.*There are .*https/],
    ['s3://ok /y ftp://x /z', 17, /no resolver for ftp/],
    ['explain ftp://x', 17, /no resolver for ftp/],
    ['ls ftp://x', 17, /no resolver for ftp/],
  ];
  for (const [words, status, line] of table)
    test(`"model-fetch ${words}" ends with ${status} and says why in one line`, async () => {
      const ended = await inProcess(words.split(' ').filter(Boolean), {
        env: { MODEL_FETCH_LOG_FORMAT: 'text' },
      });
      assert.deepEqual([ended.status, ended.stdout], [status, '']);
      assert.match(ended.stderr, line);
      assert.match(ended.stderr, /^error: [^\n]*\n$/);
    });

  test('is told in JSON where the log is, which is so without a terminal', async () => {
    const { status, stdout, stderr } = await inProcess(['s3://a']);
    assert.deepEqual([status, stdout], [2, '']);
    const { time, ...record } = records(stderr)[0]!;
    assert.match(time as string, /^\d{4}-\d\d-\d\dT/);
    assert.deepEqual(record, {
      level: 'error',
      msg: 'a URI without a destination: s3://a',
      event: 'error',
      code: 'INVALID_OPTION',
      hint: 'Usage: model-fetch <uri> <dest> [<uri> <dest> ...] [options]',
      exit: 2,
    });
  });

  test('is text in colours on a terminal, unless they are not wanted', async () => {
    const { stderr } = await inProcess(['s3://a'], { columns: 80 });
    assert.match(
      stderr,
      /^\u001b\[31m\u001b\[1merror:\u001b\[22m\u001b\[39m \u001b\[1mINVALID_OPTION/,
    );
    for (const [words, env] of [
      [['--no-color'], {}],
      [[], { NO_COLOR: '1' }],
      [[], { TERM: 'dumb' }],
    ] as const)
      assert.match(
        (await inProcess(['s3://a', ...words], { columns: 80, env })).stderr,
        /^error: INVALID_OPTION/,
      );
  });

  test('is one JSON document on standard output with --output json, even when the flags are wrong', async () => {
    for (const words of [['s3://a'], ['s3://a', '/x', '--nope'], ['ftp://a', '/x']]) {
      const { status, stdout } = await inProcess([...words, '--output', 'json']);
      const { error } = JSON.parse(stdout) as { error: { code: string; exit: number } };
      assert.equal(error.exit, status);
      assert.match(error.code, /^(INVALID_OPTION|UNSUPPORTED_SCHEME)$/);
    }
  });

  test('keeps secrets to itself, in every channel', async (t) => {
    const log = join(await folder(t), 'log');
    for (const format of ['text', 'json']) {
      const words = ['ftp://user:hunter2@host/m?token=hunter2', '/x', '--log-format', format];
      const { stdout, stderr } = await inProcess([
        ...words,
        '--output',
        'json',
        '--log-level',
        'debug',
        '--termination-log',
        log,
      ]);
      const everything = stdout + stderr + (await readFile(log, 'utf8'));
      assert.match(everything, /REDACTED/);
      assert.doesNotMatch(everything, /hunter2/);
    }
  });

  test('is a warning where a variable is misspelt', async () => {
    const { status, stderr } = await inProcess(['schemes', ...TEXT], {
      env: { MODEL_FETCH_TIMEOT: '20s' },
    });
    assert.equal(status, 0);
    assert.equal(
      stderr,
      'warning: MODEL_FETCH_TIMEOT is not a variable that model-fetch knows; did you mean MODEL_FETCH_TIMEOUT?\n',
    );
    const quiet = await inProcess(['schemes'], {
      env: { MODEL_FETCH_TIMEOT: '20s', MODEL_FETCH_LOG_LEVEL: 'error' },
    });
    assert.equal(quiet.stderr, '');
  });

  test('reaches the termination log, but for commands that do not speak for a container', async (t) => {
    const path = join(await folder(t), 'log');
    await inProcess(['ls'], { env: { MODEL_FETCH_TERMINATION_LOG: path } });
    await assert.rejects(readFile(path), { code: 'ENOENT' });
    const { status } = await inProcess(['s3://a', '--termination-log', path]);
    assert.equal(status, 2);
    assert.match(await readFile(path, 'utf8'), /"code":"INVALID_OPTION"/);
  });

  for (const [format, line] of [
    ['text', /^error: INVALID_OPTION a URI without a destination: s3:\/\/a hint: Usage: [^\n]*\n$/],
    [
      'json',
      /^\{"level":"error","code":"INVALID_OPTION","msg":"a URI [^\n]*"hint":"Usage: [^\n]*\}\n$/,
    ],
  ] as const)
    test(`is the same line there and at the end of standard error: ${format}`, async (t) => {
      const path = join(await folder(t), 'log');
      const words = ['s3://a', '--log-format', format, '--log-level', 'debug'];
      const { stderr } = await inProcess([...words, '--termination-log', path]);
      const message = await readFile(path, 'utf8');
      assert.match(message, line);
      assert.equal(`${stderr.trimEnd().split('\n').at(-1)}\n`, message);
    });

  test('a termination log that cannot be written is a warning, and the error line is still the last', async () => {
    const { status, stderr } = await inProcess([
      's3://a',
      '--termination-log',
      '/nonexistent/log',
      ...TEXT,
    ]);
    assert.equal(status, 2);
    assert.match(
      stderr,
      /^warning: the termination log could not be written: .*\nerror: INVALID_OPTION [^\n]*\n$/,
    );
  });
});

test('schemes are listed for people and for machines', async () => {
  const { status, stdout } = await inProcess(['schemes']);
  assert.equal(status, 0);
  assert.match(stdout, /^http, https {2}https:\/\/host\/path\/file$/m);
  const json = JSON.parse((await inProcess(['schemes', '--output', 'json'])).stdout) as {
    schemes: string[];
  }[];
  assert.deepEqual(json.flatMap(({ schemes }) => schemes).sort(), [
    'file',
    'gs',
    'http',
    'https',
    'nfs',
    'phfs',
    'pvc',
    's3',
    's3a',
  ]);
});

test('a stopped run is told as such', async () => {
  const signal = AbortSignal.abort(new Error('stopped by SIGTERM'));
  const { status, stderr } = await inProcess(['file:///nonexistent', '/x', ...TEXT], {
    signal,
    stoppedBy: 'SIGTERM',
  });
  assert.equal(status, 143);
  assert.match(stderr, /error: ABORTED stopped by SIGTERM[^\n]*\n$/);
});
