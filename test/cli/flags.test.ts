import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { COMMANDS, FLAGS, flagsOf, variableOf, type Flag } from '../../src/cli/flags.ts';
import {
  libraryEnv,
  libraryOptions,
  peek,
  settle,
  unknownVariables,
} from '../../src/cli/settle.ts';
import { ModelFetchError } from '../../src/errors.ts';
import { normalize } from '../../src/options.ts';
import { ResolverRegistry } from '../../src/registry.ts';

const SHA = `sha256:${'ab'.repeat(32)}`;

/** A text that each flag takes, and the value it becomes. A flag without a line here fails the test below. */
const SAMPLES: Readonly<Record<string, readonly [text: string, value: unknown]>> = {
  include: ['*.json', ['*.json']],
  exclude: ['*.md', ['*.md']],
  checksum: [SHA, SHA],
  'expect-revision': ['abc', 'abc'],
  unpack: ['never', 'never'],
  link: ['hard', 'hard'],
  pvc: ['claim=/mnt', ['claim=/mnt']],
  plugin: ['./x.mjs', ['./x.mjs']],
  manifest: ['none', false],
  overwrite: ['true', true],
  compat: ['kserve', 'kserve'],
  'dry-run': ['true', true],
  concurrency: ['4', 4],
  'limit-rate': ['1Mi', 1_048_576],
  timeout: ['20s', 20_000],
  'stall-timeout': ['5s', 5000],
  attempts: ['3', 3],
  'connect-grace': ['0s', 0],
  'lock-timeout': ['1m', 60_000],
  fsync: ['always', 'always'],
  'net-policy': ['public', 'public'],
  output: ['json', 'json'],
  'log-format': ['text', 'text'],
  'log-level': ['debug', 'debug'],
  progress: ['none', 'none'],
  'progress-interval': ['1s', 1000],
  'termination-log': ['/tmp/x', '/tmp/x'],
  quiet: ['true', true],
  'no-color': ['true', true],
};

function invalid(pattern: RegExp) {
  return (error: unknown) => {
    assert.ok(error instanceof ModelFetchError);
    assert.equal(error.exitStatus, 2);
    assert.match(error.message, pattern);
    return true;
  };
}

suite('the table of flags', () => {
  test('has every flag once, in dashes and lower case, known to some command', () => {
    for (const pick of [(flag: Flag) => flag.name, (flag: Flag) => flag.key, variableOf])
      assert.equal(new Set(FLAGS.map(pick)).size, FLAGS.length);
    for (const flag of FLAGS) {
      assert.match(flag.name, /^[a-z]+(-[a-z]+)*$/);
      assert.ok(flag.commands.length > 0 && flag.commands.every((name) => COMMANDS.includes(name)));
    }
    assert.deepEqual(Object.keys(SAMPLES).sort(), FLAGS.map((flag) => flag.name).sort());
  });

  for (const flag of FLAGS) {
    const [text, value] = SAMPLES[flag.name]!;
    const [command] = flag.commands;
    test(`--${flag.name} and ${variableOf(flag)} mean the same`, () => {
      const byFlag = settle(command!, { [flag.name]: [text] }, {});
      const byVariable = settle(command!, {}, { [variableOf(flag)]: text });
      assert.deepEqual(byFlag, { [flag.key]: value });
      assert.deepEqual(byVariable, byFlag);
    });
  }

  test('sets only options that the library has', () => {
    const given = Object.fromEntries(FLAGS.map((flag) => [flag.name, [SAMPLES[flag.name]![0]]]));
    const options = libraryOptions(settle('fetch', given, {}));
    const settings = normalize(options, new ResolverRegistry([], {}));
    for (const [key, value] of Object.entries(options))
      assert.deepEqual(settings[key as keyof typeof settings], value, key);
    assert.equal(
      Object.keys(options).length,
      FLAGS.filter((flag) => flag.for === 'library').length,
    );
  });
});

suite('flags and variables together', () => {
  test('a flag wins over its variable', () => {
    assert.deepEqual(settle('fetch', { attempts: ['2'] }, { MODEL_FETCH_ATTEMPTS: '9' }), {
      attempts: 2,
    });
  });
  test('a broken variable is not looked at when the flag is given', () => {
    assert.deepEqual(settle('fetch', { timeout: ['2s'] }, { MODEL_FETCH_TIMEOUT: '9' }), {
      timeoutMs: 2000,
    });
  });
  test('an error names the one that is wrong', () => {
    assert.throws(
      () => settle('fetch', { timeout: ['9'] }, {}),
      invalid(/^--timeout: "9" has no unit/),
    );
    assert.throws(
      () => settle('fetch', {}, { MODEL_FETCH_TIMEOUT: '9' }),
      invalid(/^MODEL_FETCH_TIMEOUT: /),
    );
  });
  test('a variable of another command is not looked at', () => {
    assert.deepEqual(settle('schemes', {}, { MODEL_FETCH_TIMEOUT: '9' }), {});
  });
  test('an empty variable is not set, but must not disarm a check', () => {
    assert.deepEqual(settle('fetch', {}, { MODEL_FETCH_TIMEOUT: '', MODEL_FETCH_QUIET: ' ' }), {});
    assert.throws(
      () => settle('fetch', {}, { MODEL_FETCH_CHECKSUM: '' }),
      invalid(/MODEL_FETCH_CHECKSUM is set but empty/),
    );
    assert.throws(
      () => settle('fetch', {}, { MODEL_FETCH_EXPECT_REVISION: '' }),
      invalid(/EXPECT_REVISION is set but empty/),
    );
  });
  test('an empty flag is an error', () => {
    assert.throws(() => settle('fetch', { manifest: [''] }, {}), invalid(/--manifest is empty/));
  });
  test('repeated flags add up, and so does a list in a variable', () => {
    assert.deepEqual(settle('ls', { include: ['a', 'b,c'] }, {}), { include: ['a', 'b,c'] });
    assert.deepEqual(settle('ls', {}, { MODEL_FETCH_INCLUDE: '["a","b,c"]' }), {
      include: ['a', 'b,c'],
    });
    assert.deepEqual(settle('ls', {}, { MODEL_FETCH_INCLUDE: 'a,b' }), { include: ['a', 'b'] });
  });
  test('a switch may be turned off by its variable', () => {
    assert.deepEqual(settle('fetch', {}, { MODEL_FETCH_DRY_RUN: 'false' }), { dryRun: false });
  });
  test('claims reach their fetcher as a comma list', () => {
    const values = settle('fetch', {}, { MODEL_FETCH_PVC: '["a=/x","b=/y"]' });
    assert.equal(libraryEnv(values, { HOME: '/h' })['MODEL_FETCH_PVC'], 'a=/x,b=/y');
    assert.deepEqual(libraryEnv({}, { HOME: '/h' }), { HOME: '/h' });
  });
  test('peeking finds a flag in words that make no sense as a whole, and never throws', () => {
    assert.equal(peek('output', ['--nope', '--output', 'json', '--what'], {}), 'json');
    assert.equal(peek('output', ['--output=json'], {}), 'json');
    assert.equal(peek('output', [], { MODEL_FETCH_OUTPUT: 'json' }), 'json');
    assert.equal(peek('output', ['--output', 'yaml'], {}), undefined);
    assert.equal(peek('output', ['--output'], {}), undefined);
  });
});

suite('unknown variables', () => {
  test('are told with the nearest known one', () => {
    const [told, ...more] = unknownVariables({
      MODEL_FETCH_CONCURENCY: '8',
      PATH: '/bin',
      MODEL_FETCH_TIMEOUT: '1s',
    });
    assert.equal(
      told,
      'MODEL_FETCH_CONCURENCY is not a variable that model-fetch knows; did you mean MODEL_FETCH_CONCURRENCY?',
    );
    assert.deepEqual(more, []);
  });
  test('are not those that fetchers read', () => {
    assert.deepEqual(
      unknownVariables({ MODEL_FETCH_S3_ANONYMOUS: 'true', MODEL_FETCH_PVC: 'a=/b' }),
      [],
    );
  });
  test('are not those of a Kubernetes Service that is called model-fetch', () => {
    const injected = [
      'SERVICE_HOST',
      'SERVICE_PORT',
      'SERVICE_PORT_HTTP',
      'PORT',
      'PORT_80_TCP',
      'PORT_80_TCP_ADDR',
      'PORT_80_TCP_PROTO',
    ];
    assert.deepEqual(
      unknownVariables(Object.fromEntries(injected.map((name) => [`MODEL_FETCH_${name}`, 'x']))),
      [],
    );
  });
});

test('each command knows the flags about output', () => {
  for (const command of COMMANDS)
    for (const name of ['output', 'log-format', 'log-level', 'quiet', 'no-color'])
      assert.ok(
        flagsOf(command).some((flag) => flag.name === name),
        `${command} --${name}`,
      );
});
