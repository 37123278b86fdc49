import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, test } from 'node:test';
import { Silence } from '../../src/transfer/silence.ts';

describe('silence', () => {
  test('is told once it has lasted, counted from what was heard last, and again when it is allowed again', async () => {
    const told: number[] = [];
    const silence = new Silence(() => told.push(performance.now()));
    const began = performance.now();
    silence.allow(100);
    for (let i = 0; i < 4; i++) {
      await sleep(50);
      silence.broken();
    }
    const heard = performance.now();
    assert.ok(heard - began > 190);
    await sleep(300);
    assert.equal(told.length, 1);
    assert.ok(told[0]! - heard > 95, `${String(told[0]! - heard)} ms after the last word`);
    await sleep(150);
    assert.equal(told.length, 1, 'nothing is waited for any more');
    silence.allow(20);
    await sleep(150);
    assert.equal(told.length, 2);
    silence.allow(20);
    silence.end();
    await sleep(100);
    assert.equal(told.length, 2);
  });
});
