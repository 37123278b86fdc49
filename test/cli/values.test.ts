import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { ModelFetchError } from '../../src/errors.ts';
import {
  bytes,
  claim,
  duration,
  list,
  oneOf,
  pathOrNone,
  whole,
  yesNo,
  type Parser,
} from '../../src/cli/values.ts';

function accepts<T>(parse: Parser<T>, table: readonly (readonly [string, T])[]): void {
  for (const [text, value] of table) assert.deepEqual(parse(text, '--x'), value, text);
}

function refuses(parse: Parser<unknown>, texts: readonly string[], pattern: RegExp): void {
  for (const text of texts)
    assert.throws(
      () => parse(text, '--x'),
      (error) => {
        assert.ok(error instanceof ModelFetchError);
        assert.equal(error.code, 'INVALID_OPTION');
        assert.match(error.message, /^--x: /);
        assert.match(`${error.message} ${error.hint ?? ''}`, pattern);
        return true;
      },
      text,
    );
}

suite('durations', () => {
  test('carry a unit and come out in milliseconds', () => {
    accepts(duration, [
      ['500ms', 500],
      ['20s', 20_000],
      ['1.5s', 1500],
      ['5m', 300_000],
      ['2h', 7_200_000],
      ['1m30s', 90_000],
      [' 0s ', 0],
    ]);
  });
  test('without a unit are an error that says so', () => {
    refuses(duration, ['20', '0', '1.5'], /has no unit.*Write (20|0|1\.5)s/);
  });
  test('in other forms are refused', () => {
    refuses(duration, ['', 's', '20 s', '-1s', '1d', '1s2', 'soon', '1e3s'], /is not a duration/);
  });
});

suite('sizes', () => {
  test('are decimal, or binary with an i', () => {
    accepts(bytes, [
      ['1048576', 1_048_576],
      ['100M', 100_000_000],
      ['100MB', 100_000_000],
      ['1Gi', 2 ** 30],
      ['1GiB', 2 ** 30],
      ['1.5k', 1500],
      ['2 Ki', 2048],
      ['10M/s', 10_000_000],
      ['10MBps', 10_000_000],
    ]);
  });
  test('in other forms are refused', () => {
    refuses(
      bytes,
      ['', '-1', 'M', '10i', '1X', '1e9', '99999999P', '10M/h'],
      /not a number of bytes/,
    );
  });
});

test('whole numbers are decimal digits', () => {
  accepts(whole, [
    ['16', 16],
    [' 0 ', 0],
  ]);
  refuses(whole, ['', '1.5', '-1', '0x10', '1e3', '99999999999999999999'], /not a whole number/);
});

test('switches in variables are true or false in the usual words', () => {
  accepts(yesNo, [
    ['true', true],
    ['1', true],
    ['ON', true],
    ['false', false],
    ['0', false],
    ['no', false],
  ]);
  refuses(yesNo, ['', 'maybe', '2'], /neither true nor false/);
});

test('choices are exact and an error names them', () => {
  accepts(oneOf(['auto', 'never']), [['never', 'never']]);
  refuses(oneOf(['auto', 'never']), ['Auto', 'nev', ''], /auto, never/);
});

test('lists are JSON arrays or comma lists, and a glob may begin with a bracket', () => {
  accepts(list, [
    ['a,b', ['a', 'b']],
    [' a , ,b ', ['a', 'b']],
    ['["a,b","c"]', ['a,b', 'c']],
    ['[]', []],
    ['[ab]*.json,*.txt', ['[ab]*.json', '*.txt']],
  ]);
  refuses(list, ['[1,2]', '["a",null]'], /array of strings/);
});

test('claims are a name and an absolute path without a comma', () => {
  accepts(claim, [['models=/mnt/a=b', 'models=/mnt/a=b']]);
  refuses(claim, ['models', '=/x', 'models=x', 'models='], /claim=\/path/);
  refuses(claim, ['models=/a,b'], /comma/);
});

test('none is not a path', () => {
  accepts(pathOrNone, [
    ['none', false],
    ['./none', './none'],
  ]);
});
