/** In which order the ranges of a file are handed out. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { Stretches } from '../../src/transfer/stretches.ts';

const RANGES = Array.from({ length: 8 }, (_, i) => ({ start: i * 10, end: i * 10 + 10 }));
const busy = (): boolean => false;

suite('the ranges of a file', () => {
  test('are handed out in order, all of them, then none', async () => {
    const stretches = new Stretches(RANGES, busy);
    const given = await Promise.all(RANGES.map(() => stretches.next()));
    assert.deepEqual(
      given.map((one) => one?.start),
      RANGES.map(({ start }) => start),
    );
    for (const one of given) stretches.done(one!);
    assert.equal(await stretches.next(), undefined);
  });

  test('wait where the first that is still to come is too far behind, and go on when it has come', async () => {
    const stretches = new Stretches(RANGES, busy, () => 30);
    const [first, second, third] = await Promise.all([1, 2, 3].map(() => stretches.next()));
    const waiting = [stretches.next(), stretches.next()].map(async (next) => (await next)?.start);
    stretches.done(third!);
    stretches.done(second!);
    const early = await Promise.race([...waiting, turn('none', { ref: false })]);
    assert.equal(early, 'none');
    stretches.done(first!);
    assert.deepEqual((await Promise.all(waiting)).sort(), [30, 40]);
  });

  test('that wait for each other end with the transfer', async () => {
    const stretches = new Stretches(RANGES, busy, () => 10);
    await stretches.next();
    const waiting = stretches.next();
    stretches.close();
    assert.equal(await waiting, undefined);
  });
});
