import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ErrorCode } from '../../src/errors.ts';
import { gcsError, tokenError } from '../../src/fetchers/gcs-errors.ts';

const json = (message: string, reason: string) =>
  JSON.stringify({ error: { code: 0, message, errors: [{ message, domain: 'global', reason }] } });

const moved = (status: string) =>
  `<HTML><HEAD><TITLE>${status}</TITLE></HEAD><BODY>The document has moved <A HREF="x">here</A>.</BODY></HTML>`;

const TABLE: readonly [
  status: number,
  body: string,
  code: ErrorCode,
  told: RegExp,
  anonymous?: boolean,
][] = [
  [301, moved('301 Moved'), 'BAD_RESPONSE', /answered 301 Check the URI and the endpoint/],
  [307, moved('307 Temporary Redirect'), 'BAD_RESPONSE', /answered 307 .*endpoint/],
  [
    400,
    json('Bucket is a requester pays bucket but no user project provided.', 'required'),
    'INVALID_OPTION',
    /GOOGLE_CLOUD_QUOTA_PROJECT/,
  ],
  [400, json("Invalid bucket name: 'a..b'", 'invalid'), 'INVALID_URI', /Invalid bucket name/],
  [400, json('Bad Request', 'badRequest'), 'BAD_RESPONSE', /Bad Request/],
  [401, json('Invalid Credentials', 'authError'), 'UNAUTHENTICATED', /clock/],
  [
    401,
    json('Anonymous caller does not have storage.objects.get access', 'required'),
    'UNAUTHENTICATED',
    /No credentials were found/,
    true,
  ],
  [
    403,
    json('reader@p does not have storage.objects.list access', 'forbidden'),
    'PERMISSION_DENIED',
    /Grant storage\.objects\.list/,
  ],
  [
    403,
    '<?xml version="1.0"?><Error><Code>AccessDenied</Code><Message>Access denied.</Message></Error>',
    'PERMISSION_DENIED',
    /403: Access denied\./,
  ],
  [403, json('forbidden', 'forbidden'), 'PERMISSION_DENIED', /No credentials were found/, true],
  [403, json('slow down', 'rateLimitExceeded'), 'UNAVAILABLE', /slow down/],
  [404, 'No such object: b/m', 'NOT_FOUND', /No such object: b\/m .*case-sensitive/],
  [
    404,
    json('The specified bucket does not exist.', 'notFound'),
    'NOT_FOUND',
    /bucket does not exist/,
  ],
  [408, '', 'UNAVAILABLE', /answered 408 The service is overloaded/],
  [412, json('conditions', 'conditionNotMet'), 'SOURCE_CHANGED', /generation/],
  [
    416,
    'Request range not satisfiable',
    'BAD_RESPONSE',
    /416: Request range not satisfiable Check/,
  ],
  [429, json('too many', 'rateLimitExceeded'), 'UNAVAILABLE', /429: too many .*--concurrency/],
  [500, json('Backend Error', 'backendError'), 'UNAVAILABLE', /Backend Error/],
  [503, '<html><body>upstream</body></html>', 'UNAVAILABLE', /answered 503 The service/],
];

for (const [status, body, code, told, anonymous = false] of TABLE)
  test(`${String(status)} ${body.slice(0, 60)} is ${code}`, () => {
    const error = gcsError(
      { status, body, headers: { 'retry-after': '7' } },
      { uri: 'gs://user:sesame@b/m', path: 'a', anonymous, permission: 'storage.objects.list' },
    );
    assert.equal(error.code, code);
    assert.equal(error.uri, 'gs://REDACTED@b/m');
    assert.equal(error.path, 'a');
    assert.ok(error.hint);
    assert.equal(error.cause instanceof Error, body !== '');
    if (body) assert.ok((error.cause as Error).message.includes(body));
    assert.match([error.message, error.hint].filter(Boolean).join(' '), told);
    assert.equal(error.retryAfterMs, code === 'UNAVAILABLE' ? 7000 : undefined);
  });

test('bodies that are hostile make one short line', () => {
  for (const body of [
    'null',
    '[]',
    '{"error":null}',
    '{"error":{"errors":[]}}',
    '{"error":{"message":{}}}',
    '{',
    'x'.repeat(100_000),
    '\u001b[2J\nx',
  ]) {
    const { message } = gcsError({ status: 404, body }, { uri: 'gs://b', anonymous: true });
    assert.ok(message.length < 400 && !/[\n\u001b]/.test(message), message.slice(0, 80));
  }
});

test('a token endpoint that is down is UNAVAILABLE; one that says no is UNAUTHENTICATED', () => {
  assert.equal(tokenError({ status: 503 }, 'user credentials').code, 'UNAVAILABLE');
  const refused = tokenError(
    { status: 400, body: '{"error":"invalid_grant","error_description":"expired"}' },
    'user credentials',
  );
  assert.equal(refused.code, 'UNAUTHENTICATED');
  assert.match(refused.message, /user credentials: status 400, invalid_grant: expired/);
  const iam = tokenError(
    { status: 403, body: '{"error":{"message":"no access","status":"PERMISSION_DENIED"}}' },
    'x',
  );
  assert.match(iam.message, /PERMISSION_DENIED: no access/);
});
