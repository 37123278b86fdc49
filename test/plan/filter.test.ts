import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { makeFilter } from '../../src/plan/filter.ts';
import { fnmatch } from '../../src/plan/fnmatch.ts';

const NONE = { include: [], exclude: [] };

suite('globs', () => {
  test('without any, everything is wanted', () => {
    assert.equal(makeFilter(NONE)('.a/b'), true);
  });

  test('includes first, then excludes; without a slash the last segment counts', () => {
    const wanted = makeFilter({ include: ['*.bin', 'sub/*.json'], exclude: ['old-*'] });
    const paths = ['a.bin', 'x/b.bin', 'sub/c.json', 'c.json', 'x/sub/c.json', 'x/old-b.bin'];
    assert.deepEqual(paths.filter(wanted), ['a.bin', 'x/b.bin', 'sub/c.json']);
  });
});

suite("a platform's patterns", () => {
  const patterns = { allow: ['*.safetensors', 'tok*'], ignore: ['onnx/*'] };

  test('are matched against the whole path, and a star crosses slashes', () => {
    const wanted = makeFilter({ ...NONE, patterns });
    const paths = [
      'a.safetensors',
      'x/y/b.safetensors',
      'tokenizer/v.json',
      'x/tok',
      'onnx/c.safetensors',
    ];
    assert.deepEqual(paths.filter(wanted), [
      'a.safetensors',
      'x/y/b.safetensors',
      'tokenizer/v.json',
    ]);
  });

  test('allow alone and ignore alone', () => {
    const allow = makeFilter({ ...NONE, patterns: { allow: ['*.json'], ignore: [] } });
    assert.deepEqual([allow('a.json'), allow('a.bin')], [true, false]);
    const ignore = makeFilter({ ...NONE, patterns: { allow: [], ignore: ['*.md'] } });
    assert.deepEqual([ignore('sub/a.md'), ignore('a.bin')], [false, true]);
  });

  test('do not choose where the URI names one file', () => {
    assert.equal(makeFilter({ ...NONE, patterns }, { single: true })('model.joblib'), true);
    assert.equal(makeFilter({ ...NONE, patterns }, { single: false })('model.joblib'), false);
  });

  test('stand back, each on its side, where a user gave globs', () => {
    const wanted = makeFilter({ include: ['*.txt'], exclude: [], patterns });
    assert.deepEqual(['a.txt', 'a.safetensors', 'onnx/a.txt'].filter(wanted), ['a.txt']);
    const other = makeFilter({ include: [], exclude: ['tok*'], patterns });
    assert.deepEqual(['tokens', 'a.safetensors', 'onnx/a.safetensors'].filter(other), [
      'a.safetensors',
      'onnx/a.safetensors',
    ]);
  });
});

suite('fnmatch', () => {
  // Each line as Python's own fnmatch.fnmatch answers it.
  const table: readonly (readonly [pattern: string, path: string, matches: boolean])[] = [
    ['', '', true],
    ['', 'a', false],
    ['*', 'a/b/.c', true],
    ['*', '', true],
    ['?', '/', true],
    ['?', '', false],
    ['a?c', 'a/c', true],
    ['a*c', 'abbbcc', true],
    ['a*c*', 'ab', false],
    ['**', 'x', true],
    ['A*', 'abc', false],
    ['[abc].bin', 'b.bin', true],
    ['[!abc].bin', 'b.bin', false],
    ['[!abc].bin', 'd.bin', true],
    ['[^a]', '^', true],
    ['[a-c]x', 'bx', true],
    ['[c-a]x', 'bx', false],
    ['[a-]', '-', true],
    ['[]]', ']', true],
    ['[!]]', 'a', true],
    ['[]', '[]', true],
    ['[ab', '[ab', true],
    ['a[', 'a[', true],
    ['[!', '[!', true],
    ['a.b', 'axb', false],
    ['a+b(c)', 'a+b(c)', true],
    ['[\\]', '\\', true],
    ['?', '😀', true],
    ['[😀-😂]', '😁', true],
    ['*\n*', 'a\nb', true],
  ];
  for (const [pattern, path, matches] of table)
    test(`${JSON.stringify(pattern)} ${matches ? 'matches' : 'does not match'} ${JSON.stringify(path)}`, () => {
      assert.equal(fnmatch(pattern)(path), matches);
    });

  test('takes no longer for many stars', () => {
    const started = performance.now();
    assert.equal(fnmatch(`${'*a'.repeat(30)}b`)('a'.repeat(5000)), false);
    assert.ok(performance.now() - started < 1000);
  });
});
