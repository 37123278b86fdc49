import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { asModelFetchError, ModelFetchError } from '../src/errors.ts';
import { redactText } from '../src/redact.ts';

const CANARY = 'c4n4rY-Secret.Value_7';
const AKIA = `AKIA${'ABCDEFGH'.repeat(2)}`;

/** A secret in every form it has been seen in. */
const FORMS: Record<string, string> = {
  'user information': `https://user:${CANARY}@host/m`,
  'an at sign in the password': `https://user:${CANARY}@${CANARY}@host/m`,
  'a token as the user': `https://${CANARY}@host/m`,
  'user information of any scheme': `git+https://x-access-token:${CANARY}@host/repo`,
  'user information inside a sentence': `could not reach s3://key:${CANARY}@bucket/m, giving up`,
  'a SigV4 query': `https://b.host/k?X-Amz-Credential=${CANARY}%2F20260101&X-Amz-Signature=${CANARY}&X-Amz-Date=1`,
  'a session token': `https://b.host/k?a=b&X-Amz-Security-Token=${CANARY}`,
  'a SigV2 query': `https://b.host/k?AWSAccessKeyId=${CANARY}&Signature=${CANARY}&Expires=1`,
  'a GCS signed URL': `https://host/k?X-Goog-Signature=${CANARY}&X-Goog-Credential=${CANARY}`,
  'an Azure SAS': `https://a.host/c/b?sv=2024-01-01&sr=b&sig=${CANARY}&se=2026`,
  'a CloudFront URL': `https://host/k?Policy=${CANARY}&Signature=${CANARY}&Key-Pair-Id=${CANARY}`,
  'a token in the query': `https://host/k?token=${CANARY}`,
  'a token in the query, capitals': `https://host/k?TOKEN=${CANARY}`,
  'an access token': `https://host/k?x=1&access_token=${CANARY}#frag`,
  'an API key': `https://host/k?api_key=${CANARY}&apikey=${CANARY}&api-key=${CANARY}`,
  'a password in the query': `https://host/k?user=a&password=${CANARY}`,
  'a delegation token': `https://host/webhdfs/v1/p?op=OPEN&delegation=${CANARY}`,
  'a bearer header': `authorization: Bearer ${CANARY}`,
  'a basic header': `Authorization: Basic ${Buffer.from(`u:${CANARY}`).toString('base64')}`,
  'a SigV4 header': `AWS4-HMAC-SHA256 Credential=${CANARY}/20260101/r/s3/aws4_request, SignedHeaders=host, Signature=${CANARY}`,
  'an access key': `The key ${AKIA} is not known`,
  'a Hugging Face token': `invalid hf_${'abcdefGHIJ'.repeat(3)} given`,
  'a GitHub token': `ghp_${'a1B2c3D4e5'.repeat(4)}`,
  'a Google token': `ya29.a0${CANARY}AbCd`,
  'a JWT': `eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJjYW5hcnkifQ.c2lnbmF0dXJl`,
  'a variable': `AWS_SECRET_ACCESS_KEY=${CANARY} is not right`,
  'a variable, quoted': `export MODEL_PASSWORD="two ${CANARY} words" HF_TOKEN='${CANARY}'`,
  'a variable with what URLs treat as ends': `PASSWORD=a&${CANARY};${CANARY},${CANARY}`,
  'an account key': `AZURE_STORAGE_ACCESS_KEY=${CANARY}`,
  'a flag': `curl --api-key=${CANARY}`,
  'a setting': `aws_session_token = ${CANARY}`,
  'a field of JSON': `{"user":"a","password":"${CANARY}","secret_access_key": "${CANARY}"}`,
  'a field of JSON with escapes': `{"private_key":"-----BEGIN\\n\\"${CANARY}","a":1}`,
  'a field of JSON in JSON': JSON.stringify({ body: JSON.stringify({ clientSecret: CANARY }) }),
  "a field in Python's form": `{'access_token': '${CANARY}'}`,
  'a field that was cut short': `Unexpected end of {"secret_key":"${CANARY}`,
  'a URL twice': `https://u:${CANARY}@a/ redirected to https://u:${CANARY}@b/?sig=${CANARY}`,
};

const SECRETS = [
  CANARY,
  AKIA,
  'hf_abcdef',
  'ghp_a1B2',
  'ya29.a0',
  'eyJzdWIi',
  Buffer.from(`u:${CANARY}`).toString('base64'),
];

suite('redactText', () => {
  for (const [what, text] of Object.entries(FORMS))
    test(`hides ${what}`, () => {
      const shown = redactText(text);
      for (const secret of SECRETS) assert.ok(!shown.includes(secret), shown);
      assert.equal(redactText(shown), shown, 'the same when it is done twice');
    });

  test('leaves what is no secret', () => {
    for (const text of [
      's3://bucket/models/iris',
      'https://host:8443/m.tar.gz?versionId=abc&partNumber=1',
      'sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08',
      'mail@host is no URL',
      'pvc://claim/path',
      '/mnt/models/keys/signature.txt',
      'monkey=1',
      'AWS_WEB_IDENTITY_TOKEN_FILE=/var/run/token and tokens=3',
      '{"tokenizer":"fast","token_type_ids":"x","bytes":3}',
      'invalid token: expired; the password is wrong',
      'set AWS_SECRET_ACCESS_KEY, or MODEL_FETCH_S3_SSE_C_KEY_FILE=/path',
    ])
      assert.equal(redactText(text), text);
  });

  test('leaves JSON that still can be read', () => {
    const inner = JSON.stringify({ token: 'a"b\\', next: [1] });
    const shown = JSON.parse(redactText(JSON.stringify({ password: 'x\n"y', inner }))) as object;
    assert.deepEqual(shown, { password: 'REDACTED', inner: '{"token":"REDACTED","next":[1]}' });
  });

  test('is quick, whatever a server may send', () => {
    const beginnings = [
      'a',
      'a://',
      '://a',
      '?sig=',
      'eyJaaaaaaaa-',
      'eyJaaaaaaaa.',
      'hf_aaaa-',
      'secret',
      'token=',
      'a"token":"',
      '"token":"\\',
      'ya29.',
    ];
    for (const text of [
      ...beginnings,
      'bearer ',
      'aws4-hmac-sha256 credential=,',
      '&x-amz-',
      'AKIA',
    ]) {
      const started = performance.now();
      redactText(text.repeat(64_000 / text.length));
      assert.ok(performance.now() - started < 1000, text);
    }
  });
});

suite('errors', () => {
  test('show no secret in message, uri, path, hint or as JSON', () => {
    for (const text of Object.values(FORMS)) {
      const cause = Object.assign(new Error(text), {
        config: { headers: { authorization: text } },
      });
      const error = new ModelFetchError('UNAVAILABLE', text, {
        uri: text,
        path: text,
        hint: text,
        cause,
      });
      const shown = `${error.message} ${String(error)} ${JSON.stringify(error)} ${JSON.stringify(Object.entries(error))}`;
      for (const secret of SECRETS) assert.ok(!shown.includes(secret), shown);
    }
  });

  test('made of another error show none of its secrets', () => {
    for (const text of Object.values(FORMS)) {
      const { message } = asModelFetchError(new Error(text), 'UNAVAILABLE');
      for (const secret of SECRETS) assert.ok(!message.includes(secret), message);
    }
  });
});
