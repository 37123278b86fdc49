import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { EXIT_STATUS } from '../../src/errors.ts';
import {
  errorCodeOf,
  failureOf,
  parseErrorBody,
  toModelFetchError,
} from '../../src/fetchers/s3-errors.ts';
import { retryAfterMs as retryAfter } from '../../src/retry-after.ts';

describe('s3 errors', () => {
  it('have one meaning for each status and code', () => {
    const table: [number | undefined, string | undefined, string][] = [
      [undefined, undefined, 'UNAVAILABLE'],
      [301, 'PermanentRedirect', 'BAD_RESPONSE'],
      [304, undefined, 'BAD_RESPONSE'],
      [400, undefined, 'BAD_RESPONSE'],
      [400, 'AuthorizationHeaderMalformed', 'BAD_RESPONSE'],
      [400, 'ExpiredToken', 'UNAUTHENTICATED'],
      [400, 'InvalidToken', 'UNAUTHENTICATED'],
      [400, 'RequestTimeout', 'UNAVAILABLE'],
      [400, 'InvalidBucketName', 'INVALID_URI'],
      [401, undefined, 'UNAUTHENTICATED'],
      [403, undefined, 'PERMISSION_DENIED'],
      [403, 'AccessDenied', 'PERMISSION_DENIED'],
      [403, 'InvalidAccessKeyId', 'UNAUTHENTICATED'],
      [403, 'SignatureDoesNotMatch', 'UNAUTHENTICATED'],
      [403, 'RequestTimeTooSkewed', 'UNAUTHENTICATED'],
      [403, 'InvalidObjectState', 'UNSUPPORTED'],
      [404, undefined, 'NOT_FOUND'],
      [404, 'NoSuchKey', 'NOT_FOUND'],
      [404, 'NoSuchBucket', 'NOT_FOUND'],
      [404, 'NoSuchVersion', 'NOT_FOUND'],
      [405, 'MethodNotAllowed', 'NOT_FOUND'],
      [408, undefined, 'UNAVAILABLE'],
      [412, undefined, 'SOURCE_CHANGED'],
      [412, 'PreconditionFailed', 'SOURCE_CHANGED'],
      [416, 'InvalidRange', 'SOURCE_CHANGED'],
      [418, 'Other', 'BAD_RESPONSE'],
      [429, undefined, 'UNAVAILABLE'],
      [500, 'InternalError', 'UNAVAILABLE'],
      [501, 'NotImplemented', 'UNSUPPORTED'],
      [503, 'SlowDown', 'UNAVAILABLE'],
      [504, undefined, 'UNAVAILABLE'],
      [200, 'SlowDown', 'UNAVAILABLE'],
    ];
    for (const [status, code, expected] of table) {
      assert.equal(errorCodeOf(status, code), expected, `${status} ${code}`);
      assert.ok(expected in EXIT_STATUS);
    }
  });

  it('name what was tried and what would help', () => {
    const attempt = { uri: 's3://b/k', action: 's3:GetObject', bucket: 'b', key: 'k' } as const;
    const denied = toModelFetchError(
      { status: 403, code: 'AccessDenied', message: 'Access Denied', headers: {} },
      attempt,
    );
    assert.equal(denied.message, 'cannot read s3://b/k: 403 AccessDenied (Access Denied)');
    assert.match(denied.hint!, /s3:GetObject on arn:aws:s3:::b\/k/);
    const archived = toModelFetchError(
      { status: 403, code: 'InvalidObjectState', headers: {} },
      attempt,
    );
    assert.match(archived.hint!, /restore/);
  });

  it('are read from XML, and from nothing else', () => {
    assert.deepEqual(
      parseErrorBody(
        '<?xml version="1.0"?>\n<Error><Code>AuthorizationHeaderMalformed</Code><Message>a &amp;lt; &quot;b&quot;</Message><Region>eu-west-1</Region></Error>',
      ),
      { code: 'AuthorizationHeaderMalformed', message: 'a &lt; "b"', region: 'eu-west-1' },
    );
    for (const body of [
      undefined,
      '',
      '<html><Code>AccessDenied</Code></html>',
      '{"Code":"AccessDenied"}',
    ])
      assert.deepEqual(parseErrorBody(body), {});
  });

  it('know seconds and dates of Retry-After', () => {
    const now = Date.parse('2026-01-01T00:00:00Z');
    assert.equal(retryAfter('7', now), 7000);
    assert.equal(retryAfter('Thu, 01 Jan 2026 00:00:09 GMT', now), 9000);
    assert.equal(retryAfter('Wed, 31 Dec 2025 00:00:00 GMT', now), 0);
    assert.equal(retryAfter('soon', now), undefined);
    assert.equal(retryAfter(undefined, now), undefined);
  });

  it('of the network are told apart from bugs', () => {
    const refused = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });
    assert.partialDeepStrictEqual(failureOf(refused), { headers: {} });
    assert.equal(
      (failureOf(new TypeError('x is not a function')) as { code?: string }).code,
      'BAD_RESPONSE',
    );
    const none = Object.assign(new Error('Could not load credentials'), {
      name: 'CredentialsProviderError',
    });
    assert.equal((failureOf(none) as { code?: string }).code, 'UNAUTHENTICATED');
  });
});
