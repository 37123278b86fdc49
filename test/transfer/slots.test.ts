import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import { describe, test } from 'node:test';
import { Slots } from '../../src/transfer/slots.ts';

async function run<T>(slots: Slots, work: () => Promise<T>, short = false): Promise<T> {
  await slots.enter(short);
  try {
    return await work();
  } finally {
    slots.leave(short);
  }
}

describe('slots', () => {
  test('run so many at a time, first come, first served, and failures give theirs back', async () => {
    const slots = new Slots(3);
    let running = 0;
    let most = 0;
    const begun: number[] = [];
    const results = await Promise.allSettled(
      Array.from({ length: 30 }, (_, i) =>
        run(slots, async () => {
          begun.push(i);
          most = Math.max(most, ++running);
          await turn();
          running--;
          if (i % 5 === 0) throw new Error('bad');
          return i;
        }),
      ),
    );
    assert.equal(most, 3);
    assert.deepEqual(
      begun,
      Array.from({ length: 30 }, (_, i) => i),
    );
    assert.equal(results.filter(({ status }) => status === 'rejected').length, 6);
    assert.equal(await run(slots, async () => 'still works'), 'still works');
  });

  test('let short requests go first up to a quarter of the width, and never starve the long ones', async () => {
    const slots = new Slots(8);
    const busy = { short: 0, long: 0 };
    let mostShort = 0;
    const begun: string[] = [];
    const one = (kind: 'short' | 'long') => () =>
      run(
        slots,
        async () => {
          begun.push(kind);
          mostShort = Math.max(mostShort, ++busy[kind] * (kind === 'short' ? 1 : 0));
          for (let i = 0; i < 3; i++) await turn();
          busy[kind]--;
        },
        kind === 'short',
      );
    const all = [
      ...Array.from({ length: 40 }, () => one('long')()),
      ...Array.from({ length: 20 }, () => one('short')()),
    ];
    await Promise.all(all);
    assert.equal(mostShort, 8, 'all of it once nothing long waits');
    // The first eight were begun before any short one came.
    const contended = begun.slice(8, 8 + 24);
    const shorts = contended.filter((kind) => kind === 'short').length;
    assert.ok(shorts >= 5 && shorts <= 8, `${String(shorts)} of 24 while both waited`);
  });

  test('hold long requests to their part of the width, which short ones may fill', async () => {
    const slots = new Slots(8, (width) => width / 4);
    assert.equal(slots.longWidth, 2);
    assert.equal(slots.enter(false), undefined);
    assert.equal(slots.enter(false), undefined);
    let third = false;
    const waiting = slots.enter(false)!.then(() => {
      third = true;
    });
    assert.ok(slots.saturated);
    for (let i = 0; i < 6; i++) assert.equal(slots.enter(true), undefined);
    const short = slots.enter(true)!;
    slots.leave(true);
    await short;
    await turn();
    assert.equal(third, false);
    slots.leave(true);
    slots.leave(false);
    await waiting;
    slots.width = 4;
    assert.equal(slots.longWidth, 1);
  });

  test('give the first few files with long requests turns, and each file its own in order', async () => {
    const slots = new Slots(1);
    const files = ['a', 'b', 'c', 'd', 'e'].map((name) => ({ name }));
    assert.equal(slots.enter(false, files[0]), undefined);
    const begun: string[] = [];
    const all = files.flatMap((file) =>
      [1, 2].map(async (i) => {
        await slots.enter(false, file);
        begun.push(`${file.name}${i}`);
        slots.leave(false);
      }),
    );
    slots.leave(false);
    await Promise.all(all);
    assert.equal(begun.slice(0, 4).join(' '), 'a1 b1 c1 d1');
    for (const { name } of files) assert.ok(begun.indexOf(`${name}1`) < begun.indexOf(`${name}2`));
    assert.equal(begun.length, 10);
    assert.ok(!slots.saturated && !slots.busy);
  });
});
