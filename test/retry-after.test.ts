import assert from 'node:assert/strict';
import { test } from 'node:test';
import { retryAfterMs } from '../src/retry-after.ts';

test('Retry-After is seconds or a date, or nothing', () => {
  const now = Date.parse('2026-01-01T00:00:00Z');
  const cases: [string | undefined, number | undefined][] = [
    ['0', 0],
    ['3', 3000],
    [' 120 ', 120_000],
    ['Thu, 01 Jan 2026 00:00:05 GMT', 5000],
    ['Wed, 31 Dec 2025 23:00:00 GMT', 0],
    [undefined, undefined],
    ['', undefined],
    ['-1', undefined],
    ['1.5', undefined],
    ['soon', undefined],
    ['1e9', undefined],
  ];
  for (const [value, ms] of cases) assert.equal(retryAfterMs(value, now), ms, String(value));
});
