import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { longOf, widths, type Widths } from '../src/widths.ts';

const MIB = 2 ** 20;

suite('the widths of a run', () => {
  const table: readonly (readonly [cores: number, memory: number | undefined, Widths])[] = [
    [8, undefined, { first: 16, most: 128, threads: 4, ahead: 8 }],
    [3, undefined, { first: 16, most: 128, threads: 3, ahead: 8 }],
    [2, undefined, { first: 16, most: 128, threads: 2, ahead: 8 }],
    [1.9, undefined, { first: 16, most: 128, threads: 0, ahead: 8 }],
    [1, undefined, { first: 16, most: 128, threads: 0, ahead: 8 }],
    [0.1, undefined, { first: 16, most: 128, threads: 0, ahead: 8 }],
    [8, 1024 * MIB, { first: 16, most: 128, threads: 4, ahead: 8 }],
    [8, 256 * MIB, { first: 16, most: 98, threads: 4, ahead: 8 }],
    [8, 128 * MIB, { first: 16, most: 34, threads: 1, ahead: 4 }],
    [8, 100 * MIB, { first: 16, most: 20, threads: 0, ahead: 2 }],
    [1, 80 * MIB, { first: 10, most: 10, threads: 0, ahead: 2 }],
    [8, 64 * MIB, { first: 4, most: 4, threads: 0, ahead: 2 }],
    [8, 32 * MIB, { first: 4, most: 4, threads: 0, ahead: 2 }],
  ];
  for (const [cores, memory, expected] of table) {
    const limit = memory === undefined ? 'no limit' : `${memory / MIB} MiB`;
    test(`of ${cores} cores and ${limit}`, () => {
      assert.deepEqual(widths({ cores, ...(memory !== undefined && { memory }) }), expected);
    });
  }

  test('let few of the requests be long ones to begin with, and all of them in the end', () => {
    assert.deepEqual([1, 3, 4, 16, 24, 32, 64, 128].map(longOf), [1, 3, 4, 4, 9, 16, 64, 128]);
  });
});
