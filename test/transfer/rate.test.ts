import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { RateLimit } from '../../src/transfer/rate.ts';
import { fails, large, s3Scene, treeFrom, treeOf } from '../publish/scene.ts';

describe('the rate limit', () => {
  test('keeps the average below the limit for whoever waits as long as it says', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 2 ** 30 }),
        fc.array(fc.integer({ min: 1, max: 2 ** 20 }), { minLength: 1, maxLength: 50 }),
        (limit, chunks) => {
          const rate = new RateLimit(limit);
          let now = 1000;
          let bytes = 0;
          for (const chunk of chunks) {
            now += rate.charge(chunk, now);
            bytes += chunk;
            assert.ok((bytes / limit) * 1000 <= now - 1000 + 0.01);
          }
        },
      ),
    );
  });

  test('time that went by unused is not saved up', () => {
    const rate = new RateLimit(1000);
    assert.equal(rate.charge(100, 0), 100);
    assert.equal(rate.charge(100, 60_000), 100);
    assert.equal(rate.charge(100, 60_000), 200);
  });

  test('holds over all connections of a run', async (t) => {
    const scene = await s3Scene(t);
    const files = { a: large(1_000_000, 1), b: large(1_000_000, 2), c: large(1_000_000, 3) };
    scene.model('m', files);
    const started = performance.now();
    await scene.fetch('m', { limitRate: 2_000_000 });
    const seconds = (performance.now() - started) / 1000;
    assert.ok(seconds > 1.2 && seconds < 5, `${String(seconds)} s for 1.5 s of bytes`);
    assert.deepEqual(treeOf(scene.dest), treeFrom(files));
  });

  test('does not hold up an interruption', async (t) => {
    const scene = await s3Scene(t);
    scene.model('m', { a: large(1_000_000) });
    const started = performance.now();
    const signal = AbortSignal.timeout(300);
    await fails(scene.fetch('m', { limitRate: 1000, signal }), 'ABORTED');
    assert.ok(performance.now() - started < 2000);
  });
});
