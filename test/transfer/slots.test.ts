import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import { describe, test } from 'node:test';
import { Slots } from '../../src/transfer/slots.ts';

describe('slots', () => {
  test('run so many at a time, first come, first served, and failures give theirs back', async () => {
    const slots = new Slots(3);
    let running = 0;
    let most = 0;
    const begun: number[] = [];
    const results = await Promise.allSettled(
      Array.from({ length: 30 }, (_, i) =>
        slots.run(async () => {
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
    assert.equal(await slots.run(async () => 'still works'), 'still works');
  });
});
