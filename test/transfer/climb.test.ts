/** The controller against simulated networks. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Climb } from '../../src/transfer/climb.ts';

const MB = 1_000_000;

/** Widths over `ticks` half seconds on a network that gives `rate(width)` bytes a second. */
function widths(
  climb: Climb,
  ticks: number,
  rate: (width: number) => number,
  saturated = true,
): number[] {
  return Array.from({ length: ticks }, () =>
    climb.tick({ bytes: rate(climb.width) / 2, requests: 0, ms: 500, saturated }),
  );
}

describe('the climb', () => {
  test('goes up while every connection brings its share, within two seconds to four times as many', () => {
    const climb = new Climb({ start: 16, least: 1, most: 64 });
    const steps = widths(climb, 4, (width) => width * 80 * MB);
    assert.deepEqual(steps, [24, 36, 54, 64]);
    assert.equal(widths(climb, 20, (width) => width * 80 * MB).at(-1), 64);
  });

  test('goes back to where more connections stopped helping', () => {
    const climb = new Climb({ start: 8, least: 1, most: 64 });
    const capped = (width: number): number => Math.min(width * 100 * MB, 1000 * MB);
    const last = widths(climb, 12, capped).slice(-6);
    assert.ok(
      last.every((width) => width >= 10 && width <= 18),
      last.join(' '),
    );
  });

  test('tries again after a rest, for links change', () => {
    const climb = new Climb({ start: 8, least: 1, most: 64 });
    widths(climb, 5, () => 100 * MB);
    assert.equal(climb.width, 8);
    assert.ok(widths(climb, 15, (width) => width * 50 * MB).at(-1)! > 8);
  });

  test('falls when the server pushes back, and rests before it climbs again', () => {
    const climb = new Climb({ start: 20, least: 2, most: 64 });
    climb.pushBack();
    const linear = (width: number): number => width * MB;
    const steps = widths(climb, 12, linear);
    assert.equal(steps[0], 12);
    assert.deepEqual(new Set(steps.slice(0, 11)), new Set([12]));
    assert.equal(steps[11], 18);
    for (let i = 0; i < 20; i++) {
      climb.pushBack();
      widths(climb, 1, linear);
    }
    assert.equal(climb.width, 2);
  });

  test('leaps once when even the quickest of many short requests mostly waited, and never while it rests', () => {
    const answer = (climb: Climb, count: number, ms: (i: number) => number): number => {
      for (let i = 0; i < count; i++) climb.answered(ms(i));
      return climb.width;
    };
    const far = new Climb({ start: 16, least: 1, most: 256 });
    assert.equal(
      answer(far, 63, () => 30),
      16,
    );
    assert.equal(
      answer(far, 1, () => 30),
      128,
    );
    assert.equal(
      answer(far, 1000, () => 30),
      128,
    );
    const near = new Climb({ start: 16, least: 1, most: 128 });
    assert.equal(
      answer(near, 1000, (i) => (i === 40 ? 2 : 50)),
      16,
    );
    const refused = new Climb({ start: 16, least: 1, most: 128 });
    refused.pushBack();
    widths(refused, 1, () => MB);
    assert.equal(
      answer(refused, 1000, () => 30),
      9,
    );
  });

  test('leaps once when the first long requests all show slow connections', () => {
    const after = (...rates: number[]): number => {
      const climb = new Climb({ start: 16, least: 1, most: 128 });
      for (const rate of rates) climb.answeredLong(8 * MB, (8 * MB) / rate);
      return climb.width;
    };
    const [slow, quick] = [100_000, 400_000];
    assert.equal(after(slow, slow, slow), 16);
    assert.equal(after(slow, slow, slow, slow), 32);
    assert.equal(after(...Array<number>(20).fill(slow)), 32);
    assert.equal(after(slow, quick, slow, slow, slow, slow, slow), 16);
  });

  test('takes cut connections for push-back, but not a single one among many', () => {
    const tick = (width: number, cuts: number): number => {
      const climb = new Climb({ start: width, least: 1, most: width });
      return climb.tick({ bytes: width * MB, requests: 0, ms: 500, saturated: true, cuts });
    };
    assert.equal(tick(16, 1), 9);
    assert.equal(tick(2, 1), 1);
    assert.equal(tick(64, 3), 64);
    assert.equal(tick(64, 4), 38);
  });

  test('stays as wide as it must be where connections are cut whatever their number', () => {
    const climb = new Climb({ start: 16, least: 1, most: 64 });
    const seen = Array.from({ length: 60 }, () =>
      climb.tick({
        bytes: Math.min(400 * MB, climb.width * 100 * MB),
        requests: 0,
        ms: 500,
        saturated: true,
        cuts: 3,
      }),
    );
    assert.ok(seen.filter((width) => width < 4).length <= 4, seen.join(' '));
    assert.ok(
      seen.slice(-40).every((width) => width >= 4),
      seen.join(' '),
    );
  });

  test('falls, and stays down, where connections beyond a number are cut', () => {
    const climb = new Climb({ start: 16, least: 1, most: 64 });
    const seen = Array.from({ length: 40 }, () =>
      climb.tick({
        bytes: Math.min(climb.width, 8) * MB,
        requests: 0,
        ms: 500,
        saturated: true,
        cuts: Math.max(0, climb.width - 8),
      }),
    );
    assert.ok(
      seen.slice(4, 14).every((width) => width <= 9),
      seen.join(' '),
    );
    assert.ok(seen.filter((width) => width > 12).length <= 3, seen.join(' '));
  });

  test('does not grow while the CPU or the disk has all it can do, and goes on once it has not', () => {
    const climb = new Climb({ start: 16, least: 1, most: 64 });
    const tick = (bytes: number, pressed: boolean): number =>
      climb.tick({ bytes, requests: 0, ms: 500, saturated: true, pressed });
    assert.deepEqual(
      [tick(100 * MB, true), tick(100 * MB, true), tick(100 * MB, true)],
      [16, 16, 16],
    );
    assert.equal(tick(100 * MB, false), 24);
    assert.equal(tick(200 * MB, true), 24, 'what helped is kept');
    assert.equal(tick(200 * MB, false), 36);
    assert.equal(tick(200 * MB, true), 24, 'what did not help is taken back');
  });

  test('stays where nobody waits for a slot', () => {
    const climb = new Climb({ start: 16, least: 1, most: 64 });
    assert.ok(widths(climb, 10, (width) => width * MB, false).every((width) => width === 16));
  });

  test('counts small files by their number', () => {
    const climb = new Climb({ start: 16, least: 1, most: 64 });
    const small = (): number =>
      climb.tick({ bytes: 0, requests: climb.width * 10, ms: 500, saturated: true });
    assert.deepEqual([small(), small(), small()], [24, 36, 54]);
  });
});
