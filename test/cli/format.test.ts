import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  columns,
  formatBytes,
  formatBytesLike,
  formatClock,
  formatRate,
  formatSeconds,
  oneLine,
  palette,
  wantsColor,
} from '../../src/cli/format.ts';

test('bytes are binary, with three digits at most before the point and never wider than eight', () => {
  const table: readonly (readonly [number, string])[] = [
    [0, '0 B'],
    [999, '999 B'],
    [1000, '1.0 KiB'],
    [1024, '1.0 KiB'],
    [1536, '1.5 KiB'],
    [102_300, '99.9 KiB'],
    [102_400, '100 KiB'],
    [1_048_575, '1.0 MiB'],
    [2 ** 30 * 7.4, '7.4 GiB'],
    [2 ** 40, '1.0 TiB'],
    [2 ** 53 - 1, '8.0 PiB'],
  ];
  for (const [value, text] of table) assert.equal(formatBytes(value), text);
  for (let power = 0; power < 53; power += 0.1)
    assert.ok(formatBytes(2 ** power).length <= 8, formatBytes(2 ** power));
});

test('rates are decimal', () => {
  assert.equal(formatRate(0), '0 B/s');
  assert.equal(formatRate(412_345_678), '412 MB/s');
  assert.equal(formatRate(1_500_000), '1.5 MB/s');
});

test('bytes like others share their unit', () => {
  assert.equal(formatBytesLike(0, 7.4 * 2 ** 30), '0.0');
  assert.equal(formatBytesLike(3.1 * 2 ** 30, 7.4 * 2 ** 30), '3.1');
  assert.equal(formatBytesLike(5 * 2 ** 20, 512 * 2 ** 20), '5');
  assert.equal(formatBytesLike(12, 999), '12');
});

test('times are words in a sentence and a clock in a bar', () => {
  assert.equal(formatSeconds(0.04), '0.0 s');
  assert.equal(formatSeconds(9.96), '10 s');
  assert.equal(formatSeconds(59.7), '1 min 0 s');
  assert.equal(formatSeconds(7500), '2 h 5 min');
  assert.equal(formatSeconds(7199), '2 h 0 min');
  assert.equal(formatClock(0), '0:00');
  assert.equal(formatClock(6.2), '0:07');
  assert.equal(formatClock(3723), '1:02:03');
});

test('a line holds nothing that moves a cursor or begins another line', () => {
  assert.equal(oneLine('a\nb\u001b[31mc\u009bd\u2028e'), 'a b [31mc d e');
});

test('columns are aligned and the last is not padded', () => {
  assert.deepEqual(
    columns([
      ['a', 'bb', 'c'],
      ['aaa', 'b', 'cc'],
    ]),
    ['a    bb  c', 'aaa  b   cc'],
  );
});

test('colours: a terminal has them, NO_COLOR and --no-color take them, FORCE_COLOR gives them', () => {
  assert.equal(wantsColor(true, {}, false), true);
  assert.equal(wantsColor(false, {}, false), false);
  assert.equal(wantsColor(true, { TERM: 'dumb' }, false), false);
  assert.equal(wantsColor(true, { NO_COLOR: '1' }, false), false);
  assert.equal(wantsColor(true, { NO_COLOR: '' }, false), true);
  assert.equal(wantsColor(false, { FORCE_COLOR: '1' }, false), true);
  assert.equal(wantsColor(true, { FORCE_COLOR: '0' }, false), false);
  assert.equal(wantsColor(true, { FORCE_COLOR: '1' }, true), false);
  assert.equal(palette(true).red('x'), '\u001b[31mx\u001b[39m');
  assert.equal(palette(false).red('x'), 'x');
});
