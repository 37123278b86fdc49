import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { refuseUnknownCommand, splitCommand, toPairs } from '../../src/cli/grammar.ts';
import { ModelFetchError } from '../../src/errors.ts';
import { folder } from './child.ts';

function invalid(pattern: RegExp) {
  return (error: unknown) => {
    assert.ok(error instanceof ModelFetchError);
    assert.equal(error.exitStatus, 2);
    assert.match(`${error.message} ${error.hint ?? ''}`, pattern);
    return true;
  };
}

suite('the command', () => {
  const table: readonly (readonly [words: string, command: string | undefined, rest: string])[] = [
    ['ls s3://b', 'ls', 's3://b'],
    ['--output json ls s3://b', 'ls', '--output json s3://b'],
    ['--output=json ls s3://b', 'ls', '--output=json s3://b'],
    ['--quiet ls s3://b', 'ls', '--quiet s3://b'],
    ['-q verify /x', 'verify', '-q /x'],
    ['s3://b ls', undefined, 's3://b ls'],
    ['ls://host/x /y', undefined, 'ls://host/x /y'],
    ['./ls /y', undefined, './ls /y'],
    ['/ls /y', undefined, '/ls /y'],
    ['--include ls s3://b /y', undefined, '--include ls s3://b /y'],
    ['-- ls /y', undefined, '-- ls /y'],
    ['', undefined, ''],
    ['fetch s3://b /y', 'fetch', 's3://b /y'],
  ];
  for (const [words, command, rest] of table)
    test(`of "${words}" is ${command ?? 'none'}`, () => {
      const split = splitCommand(words.split(' ').filter(Boolean));
      assert.equal(split.command, command);
      assert.equal(split.rest.join(' '), rest);
    });

  test('misspelt is refused with the nearest one, unless such a path exists', async (t) => {
    const cwd = await folder(t);
    assert.throws(() => refuseUnknownCommand(['verfy', '/x'], cwd), invalid(/Did you mean verify/));
    assert.throws(
      () => refuseUnknownCommand(['banana'], cwd),
      invalid(/The commands are fetch, ls/),
    );
    await mkdir(join(cwd, 'verfy'));
    refuseUnknownCommand(['verfy', '/x'], cwd);
    for (const uri of ['s3://b/x', 'hf:org/model', './x', '/x', '../x', 'dir/x', 'model.tar.gz'])
      refuseUnknownCommand([uri], cwd);
  });
});

suite('pairs', () => {
  test('are URIs and destinations by turns', () => {
    assert.deepEqual(toPairs(['s3://a', '/x', 'gs://b', '/y'], {}), [
      { uri: 's3://a', dest: '/x' },
      { uri: 'gs://b', dest: '/y' },
    ]);
  });
  test('none, and an odd number, are usage errors that say what is missing', () => {
    assert.throws(
      () => toPairs([], {}),
      invalid(/nothing to fetch.*Usage: model-fetch <uri> <dest>/),
    );
    assert.throws(() => toPairs(['s3://a'], {}), invalid(/a URI without a destination: s3:\/\/a/));
    assert.throws(
      () => toPairs(['s3://a', '/x', 's3://b'], {}),
      invalid(/without a destination: s3:\/\/b/),
    );
  });
  test('of a URI alone go to OUTPUT_PATH, which has no say otherwise', () => {
    assert.deepEqual(toPairs(['s3://a'], { OUTPUT_PATH: '/out' }), [
      { uri: 's3://a', dest: '/out' },
    ]);
    assert.deepEqual(toPairs(['s3://a', '/x'], { OUTPUT_PATH: '/out' }), [
      { uri: 's3://a', dest: '/x' },
    ]);
    assert.throws(() => toPairs(['s3://a'], { OUTPUT_PATH: '' }), invalid(/without a destination/));
    assert.throws(
      () => toPairs(['s3://a', '/x', 's3://b'], { OUTPUT_PATH: '/out' }),
      invalid(/without a destination/),
    );
  });
  test('with a URI or nothing for a destination are usage errors', () => {
    assert.throws(
      () => toPairs(['s3://a', 's3://b'], {}),
      invalid(/a URI where a destination was expected: s3:\/\/b/),
    );
    assert.throws(() => toPairs(['s3://a', ''], {}), invalid(/destination is empty/));
  });
});
