import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { pool } from '../../src/transfer/pool.ts';

describe('the pool', () => {
  test('does every item once, at most so many at a time, pulled in order', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: 40 }),
        fc.integer({ min: 1, max: 10 }),
        fc.array(fc.integer({ min: 0, max: 4 }), { minLength: 1, maxLength: 10 }),
        async (count, width, turns) => {
          let running = 0;
          let most = 0;
          const begun: number[] = [];
          await pool(
            from(count),
            width,
            async (item) => {
              begun.push(item);
              most = Math.max(most, ++running);
              for (let i = turns[item % turns.length]!; i > 0; i--) await turn();
              running--;
            },
            () => assert.fail('nothing fails'),
          );
          assert.deepEqual(
            begun,
            Array.from({ length: count }, (_, i) => i),
          );
          assert.ok(most <= width);
          assert.equal(running, 0);
        },
      ),
      { numRuns: 50 },
    );
  });

  test('stops at the first failure, waits for what is under way, and lets go of the source', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: 20 }),
        fc.integer({ min: 1, max: 8 }),
        async (bad, width) => {
          const failure = new Error('bad');
          let running = 0;
          let begun = 0;
          let closed = false;
          const told: unknown[] = [];
          async function* items(): AsyncGenerator<number> {
            try {
              yield* from(1000);
            } finally {
              closed = true;
            }
          }
          await assert.rejects(
            pool(
              items(),
              width,
              async (item) => {
                begun++;
                running++;
                await turn();
                running--;
                if (item === bad) throw failure;
              },
              (error) => told.push(error),
            ),
            failure,
          );
          assert.equal(running, 0);
          assert.ok(begun <= bad + 2 * width, `${String(begun)} were begun`);
          assert.deepEqual(told, [failure]);
          assert.ok(closed);
        },
      ),
      { numRuns: 30 },
    );
  });

  test('a source that fails is a failure like any other', async () => {
    const failure = new Error('no more');
    const done: number[] = [];
    async function* items(): AsyncGenerator<number> {
      yield* from(3);
      throw failure;
    }
    await assert.rejects(
      pool(
        items(),
        4,
        async (item) => void done.push(item),
        () => undefined,
      ),
      failure,
    );
    assert.deepEqual(done, [0, 1, 2]);
  });
});

async function* from(count: number): AsyncGenerator<number> {
  for (let i = 0; i < count; i++) yield i;
}
