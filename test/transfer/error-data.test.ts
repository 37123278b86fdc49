/** What fails on a thread is judged on the main one: everything that judgement rests on must come across. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ModelFetchError } from '../../src/errors.ts';
import { fromData, toData } from '../../src/transfer/error-data.ts';
import { NotForFastLane, RangeIgnored, Refusal } from '../../src/transfer/lane.ts';
import { connectionRefused } from '../../src/transfer/retry.ts';

const across = (error: unknown): Error => fromData(structuredClone(toData(error)));

describe('an error that crosses to another thread', () => {
  test('of ours keeps its code, place, hint, patience and cause', () => {
    const error = across(
      new ModelFetchError('UNAVAILABLE', 'no answer', {
        uri: 's3://b/k',
        path: 'k',
        hint: 'Wait.',
        retryAfterMs: 1500,
        cause: Object.assign(new Error('connect'), { code: 'ECONNREFUSED' }),
      }),
    );
    assert.ok(error instanceof ModelFetchError);
    const { code, message, uri, path, hint, retryAfterMs } = error;
    assert.deepEqual(
      [code, message, uri, path, hint, retryAfterMs],
      ['UNAVAILABLE', 'no answer', 's3://b/k', 'k', 'Wait.', 1500],
    );
    assert.ok(error.retryable);
    assert.ok(connectionRefused(error));
  });

  test('of several addresses that all refused still says so', () => {
    const refused = (): Error => Object.assign(new Error('refused'), { code: 'ECONNREFUSED' });
    const cause = new AggregateError([refused(), refused()], 'all');
    assert.ok(connectionRefused(across(new ModelFetchError('UNAVAILABLE', 'x', { cause }))));
  });

  test('of the lanes keeps its kind, status, headers and body', () => {
    const head = { status: 403, headers: { 'x-amz-request-id': '1' } };
    const refusal = across(new Refusal(head, '<Error/>'));
    assert.ok(refusal instanceof Refusal);
    assert.deepEqual([refusal.head, refusal.body], [head, '<Error/>']);
    assert.ok(across(new RangeIgnored('all')) instanceof RangeIgnored);
    assert.ok(across(new NotForFastLane('chunked')) instanceof NotForFastLane);
  });

  test('of anybody keeps name, message, stack and code', () => {
    const original = Object.assign(new TypeError('bad'), { code: 'EBAD' });
    const { name, message, stack, code } = across(original) as NodeJS.ErrnoException;
    assert.deepEqual([name, message, stack, code], ['TypeError', 'bad', original.stack, 'EBAD']);
    assert.equal(across('just text').message, 'just text');
  });
});
