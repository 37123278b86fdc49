import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { cutRanges, rangeSize } from '../../src/transfer/ranges.ts';

const MIB = 1024 * 1024;

/** Disjoint ranges within `size`, in any order. */
const doneIn = (size: number): fc.Arbitrary<{ start: number; end: number }[]> =>
  fc
    .uniqueArray(fc.integer({ min: 0, max: size }), { maxLength: 12 })
    .map((cuts) => cuts.sort((a, b) => a - b))
    .map((cuts) =>
      Array.from({ length: Math.floor(cuts.length / 2) }, (_, i) => ({
        start: cuts[2 * i]!,
        end: cuts[2 * i + 1]!,
      })),
    )
    .chain((ranges) => fc.shuffledSubarray(ranges, { minLength: ranges.length }));

describe('cutting a file into ranges', () => {
  test('covers exactly what is not done, without overlap, in order', () => {
    const sizes = fc.integer({ min: 0, max: 2 ** 40 });
    fc.assert(
      fc.property(
        sizes.chain((size) => fc.tuple(fc.constant(size), doneIn(size))),
        fc.integer({ min: 64, max: 1024 }),
        ([size, done], width) => {
          // Few enough pieces to look at, however large the file.
          fc.pre(size / rangeSize(size, width) < 20_000);
          const ranges = cutRanges(size, width, done);
          for (const [i, { start, end }] of ranges.entries()) {
            assert.ok(start < end && end <= size);
            if (i > 0) assert.ok(start >= ranges[i - 1]!.end);
          }
          const all = [...done, ...ranges].filter(({ start, end }) => end > start);
          all.sort((a, b) => a.start - b.start);
          let at = 0;
          for (const { start, end } of all) {
            assert.equal(start, at);
            at = end;
          }
          assert.equal(at, size);
        },
      ),
      { numRuns: 200 },
    );
  });

  test('a range has 8 to 64 MiB, and there is work for every connection', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 2 ** 45 }),
        fc.integer({ min: 1, max: 64 }),
        (size, width) => {
          const step = rangeSize(size, width);
          assert.ok(step >= 8 * MIB && step <= 64 * MIB);
          if (size >= 8 * MIB * 4 * width)
            assert.ok(size / step >= 4 * width - 1 || step > 8 * MIB);
        },
      ),
    );
    assert.equal(cutRanges(64 * MIB, 16).length, 8);
    assert.deepEqual(cutRanges(0, 16), []);
    assert.deepEqual(cutRanges(5, 16, [{ start: 0, end: 5 }]), []);
  });
});
