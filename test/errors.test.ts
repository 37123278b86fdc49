import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { suite, test } from 'node:test';
import { asModelFetchError, EXIT_STATUS, ModelFetchError, type ErrorCode } from '../src/errors.ts';

const CODES = Object.keys(EXIT_STATUS) as ErrorCode[];
const CONTRACT = new URL('../docs/contract.md', import.meta.url);

suite('codes', () => {
  test('end the command with the statuses there are, and with no other', () => {
    const statuses = new Set(Object.values(EXIT_STATUS));
    assert.deepEqual(
      [...statuses].sort((a, b) => a - b),
      [1, 2, 10, 11, 12, 13, 14, 15, 16, 17, 18, 130],
    );
  });

  test('are in docs/contract.md, each on a line with its status', { skip: noContract() }, () => {
    const lines = readFileSync(CONTRACT, 'utf8').split('\n');
    for (const code of CODES) {
      const said = lines.some(
        (line) =>
          new RegExp(`\\b${code}\\b`).test(line) &&
          new RegExp(`\\b${String(EXIT_STATUS[code])}\\b`).test(line),
      );
      assert.ok(said, `${code} and ${String(EXIT_STATUS[code])}`);
    }
  });

  test('decide what is worth another try: what the network did, and nothing else', () => {
    const retryable = CODES.filter((code) => new ModelFetchError(code, 'x').retryable);
    assert.deepEqual(retryable.sort(), ['STALLED', 'TRUNCATED', 'UNAVAILABLE']);
  });
});

suite('ModelFetchError', () => {
  test('is one line, whatever the server said', () => {
    const hostile = 'first\r\nsecond\u001b[31mred\u2028third\u0085\u0000';
    const error = new ModelFetchError('UNAVAILABLE', hostile, {
      uri: hostile,
      path: hostile,
      hint: hostile,
    });
    for (const text of [error.message, error.uri, error.path, error.hint])
      assert.equal(text, 'first second [31mred third');
  });

  test('keeps its cause for debugging, out of sight', () => {
    const cause = Object.assign(new Error('inner'), { token: 'secret' });
    const error = new ModelFetchError('INTERNAL', 'outer', { cause });
    assert.equal(error.cause, cause);
    assert.ok(!JSON.stringify(error).includes('secret'));
    assert.ok(!Object.keys(error).includes('cause'));
  });

  test('has only the details that were given', () => {
    const error = new ModelFetchError('NOT_FOUND', 'x');
    for (const name of ['uri', 'path', 'hint', 'retryAfterMs'])
      assert.equal(Reflect.get(error, name), undefined, name);
    assert.equal(new ModelFetchError('UNAVAILABLE', 'x', { retryAfterMs: 0 }).retryAfterMs, 0);
  });

  test('knows the errors of another copy of the package, and no others', async () => {
    const copy = `../src/errors.ts?copy`;
    const other = (await import(copy)) as { ModelFetchError: typeof ModelFetchError };
    const foreign = new other.ModelFetchError('NOT_FOUND', 'x', { hint: 'y' });
    assert.notEqual(other.ModelFetchError, ModelFetchError);
    assert.ok(foreign instanceof ModelFetchError);
    assert.equal(asModelFetchError(foreign, 'INTERNAL').exitStatus, 10);
    for (const value of [new Error('x'), { code: 'NOT_FOUND' }, null, undefined, 'NOT_FOUND'])
      assert.ok(!(value instanceof ModelFetchError));
  });
});

suite('asModelFetchError', () => {
  test('leaves ours as they are, and adds a uri where there is none', () => {
    const ours = new ModelFetchError('NOT_FOUND', 'x', { uri: 's3://b/m', hint: 'h', cause: 1 });
    assert.equal(asModelFetchError(ours, 'INTERNAL', { uri: 's3://other' }), ours);
    const bare = new ModelFetchError('UNAVAILABLE', 'x', {
      hint: 'h',
      path: 'p',
      retryAfterMs: 5,
      cause: 1,
    });
    const told = asModelFetchError(bare, 'INTERNAL', { uri: 's3://b/m', hint: 'another' });
    assert.deepEqual(
      { ...details(told), cause: told.cause },
      {
        code: 'UNAVAILABLE',
        message: 'x',
        uri: 's3://b/m',
        hint: 'h',
        path: 'p',
        retryAfterMs: 5,
        cause: 1,
      },
    );
  });

  test('makes one of anything that can be thrown', () => {
    assert.equal(asModelFetchError(new Error('inner'), 'NOT_FOUND').message, 'inner');
    assert.equal(asModelFetchError('text', 'NOT_FOUND').message, 'text');
    assert.equal(asModelFetchError(new Error(''), 'NOT_FOUND').message, 'NOT_FOUND');
    assert.equal(asModelFetchError(undefined, 'NOT_FOUND').message, 'undefined');
  });
});

function details({ code, message, uri, hint, path, retryAfterMs }: ModelFetchError) {
  return { code, message, uri, hint, path, retryAfterMs };
}

function noContract(): string | false {
  return existsSync(CONTRACT) ? false : 'docs/contract.md is not there';
}
