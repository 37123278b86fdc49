/** S3's refusals word by word, as Amazon and what imitates it send them, on the control plane and for the bytes. */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, it } from 'node:test';
import type { ErrorCode, ModelFetchError } from '../../src/errors.ts';
import type { Fetcher, HttpLocation } from '../../src/fetcher.ts';
import { s3 } from '../../src/fetchers/s3.ts';
import { parseRef } from '../../src/ref.ts';
import { contextFor, listed } from './s3-support.ts';

interface Refusal {
  readonly status: number;
  readonly code: string;
  readonly message: string;
  /** Further elements of the body. */
  readonly more?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly is: ErrorCode;
  readonly hint: RegExp;
}

const REQUEST_ID = '4442587FB7D0A2F9';
const SIGNATURE = 'a'.repeat(64);
const REGION = /region: set AWS_REGION/;
const LATER = /network between here/;

// prettier-ignore
const REFUSALS: readonly Refusal[] = [
  { status: 301, code: 'PermanentRedirect', message: 'The bucket you are attempting to access must be addressed using the specified endpoint.', more: '<Endpoint>models.s3.eu-west-1.amazonaws.com</Endpoint><Bucket>models</Bucket>', headers: { 'x-amz-bucket-region': 'eu-west-1' }, is: 'BAD_RESPONSE', hint: REGION },
  { status: 307, code: 'TemporaryRedirect', message: 'Please re-send this request to the specified temporary endpoint.', more: '<Endpoint>models.s3-us-west-2.amazonaws.com</Endpoint><Bucket>models</Bucket>', headers: { location: 'https://models.s3-us-west-2.amazonaws.com/' }, is: 'BAD_RESPONSE', hint: REGION },
  { status: 400, code: 'AuthorizationHeaderMalformed', message: "The authorization header is malformed; the region 'us-east-1' is wrong; expecting 'eu-west-1'", more: '<Region>eu-west-1</Region>', is: 'BAD_RESPONSE', hint: REGION },
  { status: 400, code: 'ExpiredToken', message: 'The provided token has expired.', more: '<Token-0>FwoGZXIvYXdzEA</Token-0>', is: 'UNAUTHENTICATED', hint: /new temporary credentials/ },
  { status: 400, code: 'InvalidRequest', message: 'The object was stored using a form of Server Side Encryption.', is: 'BAD_RESPONSE', hint: /SSE_C_KEY/ },
  { status: 403, code: 'AccessDenied', message: 'User: arn:aws:iam::123456789012:user/reader is not authorized', is: 'PERMISSION_DENIED', hint: /need s3:(ListBucket|GetObject) on arn:aws:s3:::models/ },
  { status: 403, code: 'InvalidAccessKeyId', message: 'The AWS Access Key Id you provided does not exist in our records.', more: '<AWSAccessKeyId>AKIAIOSFODNN7EXAMPLE</AWSAccessKeyId>', is: 'UNAUTHENTICATED', hint: /Check the access key/ },
  { status: 403, code: 'SignatureDoesNotMatch', message: 'The request signature we calculated does not match the signature you provided.', more: `<SignatureProvided>${SIGNATURE}</SignatureProvided><StringToSign>AWS4-HMAC-SHA256</StringToSign>`, is: 'UNAUTHENTICATED', hint: /its secret/ },
  { status: 403, code: 'RequestTimeTooSkewed', message: 'The difference between the request time and the current time is too large.', more: '<RequestTime>20260101T000000Z</RequestTime><MaxAllowedSkewMilliseconds>900000</MaxAllowedSkewMilliseconds>', is: 'UNAUTHENTICATED', hint: /clock/ },
  { status: 404, code: 'NoSuchBucket', message: 'The specified bucket does not exist', more: '<BucketName>models</BucketName>', is: 'NOT_FOUND', hint: /name of the bucket/ },
  { status: 404, code: 'NoSuchKey', message: 'The specified key does not exist.', more: '<Key>m/a</Key>', is: 'NOT_FOUND', hint: /case-sensitive/ },
  { status: 412, code: 'PreconditionFailed', message: 'At least one of the pre-conditions you specified did not hold', more: '<Condition>If-Match</Condition>', is: 'SOURCE_CHANGED', hint: /upload has finished/ },
  { status: 416, code: 'InvalidRange', message: 'The requested range is not satisfiable', more: '<RangeRequested>bytes=9-</RangeRequested><ActualObjectSize>3</ActualObjectSize>', is: 'SOURCE_CHANGED', hint: /upload has finished/ },
  { status: 429, code: 'TooManyRequests', message: 'Please reduce your request rate.', is: 'UNAVAILABLE', hint: /--concurrency/ },
  { status: 500, code: 'InternalError', message: 'We encountered an internal error. Please try again.', is: 'UNAVAILABLE', hint: LATER },
  { status: 503, code: 'SlowDown', message: 'Please reduce your request rate.', headers: { 'retry-after': '1' }, is: 'UNAVAILABLE', hint: /--concurrency/ },
  { status: 503, code: 'ServiceUnavailable', message: 'Service is unable to handle request.', is: 'UNAVAILABLE', hint: LATER },
];

describe("s3, a refusal in the store's own words", { concurrency: true }, () => {
  for (const refusal of REFUSALS) {
    const name = `${String(refusal.status)} ${refusal.code} is ${refusal.is}`;
    it(`${name}, listing`, async () => {
      await using store = await refusing(refusal);
      const error = await thrown(listed(store.fetcher));
      assertTold(error, refusal, 's3://models/m/');
    });

    it(`${name}, reading`, async () => {
      await using store = await refusing(refusal);
      const entry = { path: 'a', source: 'm/a', size: 3 };
      const location = (await store.fetcher.locate(entry)) as HttpLocation;
      // What a refusal teaches may be tried, once or twice; then it is told.
      let next: HttpLocation = location;
      const error = await thrown(
        (async () => {
          for (let tries = 0; tries < 3; tries += 1) {
            const answer = await fetch(next.url, { headers: next.headers, redirect: 'manual' });
            const { status } = answer;
            const headers = Object.fromEntries(answer.headers);
            const failed = { location: next, status, headers, body: await answer.text() };
            next = (await store.fetcher.locate(entry, { failed })) as HttpLocation;
          }
        })(),
      );
      assertTold(error, refusal, 's3://models/m/a');
      assert.match((error.cause as Error).message, new RegExp(`status .*${REQUEST_ID}`, 's'));
    });
  }
});

function assertTold(
  error: ModelFetchError,
  { status, code, is, hint }: Refusal,
  uri: string,
): void {
  assert.equal(error.code, is);
  assert.equal(error.uri, uri);
  assert.match(error.message, new RegExp(`: ${String(status)} ${code} \\(`));
  assert.match(error.hint ?? '', hint);
  const { cause, hint: told } = error;
  assert.ok(cause instanceof Error);
  const printed = [error.stack, told, cause.message, cause.stack].join('\n');
  for (const secret of [SIGNATURE, 'FwoGZXIvYXdzEA', 'AKIAIOSFODNN7EXAMPLE', 'Credential=test'])
    assert.ok(!printed.includes(secret), printed);
}

async function thrown(work: Promise<unknown>): Promise<ModelFetchError> {
  try {
    await work;
  } catch (error) {
    return error as ModelFetchError;
  }
  return assert.fail('it worked');
}

/** A server that answers everything with `refusal`, and the folder `m/` there. */
async function refusing(refusal: Refusal): Promise<AsyncDisposable & { fetcher: Fetcher }> {
  const { status, code, message, more = '', headers = {} } = refusal;
  const body = `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>${message}</Message>${more}<RequestId>${REQUEST_ID}</RequestId><HostId>h/st+id=</HostId></Error>`;
  const server = createServer((_request, response) => {
    response.writeHead(status, {
      ...{ 'content-type': 'application/xml', server: 'AmazonS3' },
      ...{ 'x-amz-request-id': REQUEST_ID, ...headers },
    });
    response.end(body);
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  const resolver = s3({
    endpoint: `http://127.0.0.1:${String(port)}`,
    region: 'us-east-1',
    credentials: { accessKeyId: 'test', secretAccessKey: 'secret', sessionToken: 'token' },
  });
  return {
    fetcher: await resolver.resolve(parseRef('s3://models/m/'), contextFor()),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
