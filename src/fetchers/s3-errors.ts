/** What S3's refusals mean: one table from status and code to ours, for the SDK's errors and for the data plane's. */
import { ModelFetchError, type ErrorCode } from '../errors.ts';
import { retryAfterMs } from '../retry-after.ts';

/** A refusal, from wherever it came. */
export interface S3Failure {
  /** Absent: there was no answer. */
  readonly status?: number;
  /** S3's own code, e.g. `NoSuchKey`. Absent where the answer had no body (HEAD). */
  readonly code?: string;
  readonly message?: string;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | undefined>>;
  /** `<Region>` of the body. */
  readonly region?: string;
  readonly cause?: unknown;
}

/** What was being done, for messages and hints. */
export interface S3Attempt {
  readonly uri: string;
  readonly action: 's3:ListBucket' | 's3:GetObject' | 's3:GetObjectVersion';
  readonly bucket: string;
  readonly key: string;
}

const BY_CODE: Readonly<Record<string, ErrorCode>> = {
  NoSuchKey: 'NOT_FOUND',
  NoSuchBucket: 'NOT_FOUND',
  NoSuchVersion: 'NOT_FOUND',
  NotFound: 'NOT_FOUND',
  AccessDenied: 'PERMISSION_DENIED',
  AllAccessDisabled: 'PERMISSION_DENIED',
  AccountProblem: 'PERMISSION_DENIED',
  InvalidAccessKeyId: 'UNAUTHENTICATED',
  SignatureDoesNotMatch: 'UNAUTHENTICATED',
  ExpiredToken: 'UNAUTHENTICATED',
  InvalidToken: 'UNAUTHENTICATED',
  TokenRefreshRequired: 'UNAUTHENTICATED',
  RequestTimeTooSkewed: 'UNAUTHENTICATED',
  RequestExpired: 'UNAUTHENTICATED',
  InvalidSecurity: 'UNAUTHENTICATED',
  NotSignedUp: 'UNAUTHENTICATED',
  // versitygw's word for an unknown key, and rclone's for a request that is not signed.
  XAdminUserNotFound: 'UNAUTHENTICATED',
  UnsupportedAlgorithm: 'UNAUTHENTICATED',
  PreconditionFailed: 'SOURCE_CHANGED',
  InvalidRange: 'SOURCE_CHANGED',
  InvalidObjectState: 'UNSUPPORTED',
  NotImplemented: 'UNSUPPORTED',
  InvalidBucketName: 'INVALID_URI',
  KeyTooLongError: 'INVALID_URI',
  SlowDown: 'UNAVAILABLE',
  RequestTimeout: 'UNAVAILABLE',
  InternalError: 'UNAVAILABLE',
  ServiceUnavailable: 'UNAVAILABLE',
  OperationAborted: 'UNAVAILABLE',
  Throttling: 'UNAVAILABLE',
  ThrottlingException: 'UNAVAILABLE',
  RequestLimitExceeded: 'UNAVAILABLE',
  BandwidthLimitExceeded: 'UNAVAILABLE',
};

/** Our code for S3's status and code. The code knows better, where there is one. Source: S3 API, "Error responses". */
export function errorCodeOf(status: number | undefined, code: string | undefined): ErrorCode {
  const known = code === undefined ? undefined : BY_CODE[code];
  if (known) return known;
  switch (status) {
    case undefined:
    case 408:
    case 429:
      return 'UNAVAILABLE';
    case 401:
      return 'UNAUTHENTICATED';
    case 403:
      return 'PERMISSION_DENIED';
    case 404:
    // A version that is a delete marker.
    case 405:
    case 410:
      return 'NOT_FOUND';
    case 412:
    case 416:
      return 'SOURCE_CHANGED';
    case 501:
      return 'UNSUPPORTED';
    default:
      return status >= 500 ? 'UNAVAILABLE' : 'BAD_RESPONSE';
  }
}

/** The typed error for `failure`, with a hint a person can act on. */
export function toModelFetchError(failure: S3Failure, attempt: S3Attempt): ModelFetchError {
  const code = errorCodeOf(failure.status, failure.code);
  const said = [failure.status, failure.code, failure.message && `(${failure.message})`];
  const what = attempt.action === 's3:ListBucket' ? 'list' : 'read';
  const after = retryAfterMs(failure.headers['retry-after']);
  const hint = hintFor(code, failure, attempt);
  return new ModelFetchError(
    code,
    `cannot ${what} s3://${attempt.bucket}/${attempt.key}: ${said.filter(Boolean).join(' ') || 'no answer'}`,
    {
      uri: attempt.uri,
      ...(hint !== undefined && { hint }),
      ...(after !== undefined && { retryAfterMs: after }),
      ...(failure.cause !== undefined && { cause: failure.cause }),
    },
  );
}

function hintFor(code: ErrorCode, failure: S3Failure, attempt: S3Attempt): string | undefined {
  const special = failure.code === undefined ? undefined : HINTS[failure.code];
  if (special !== undefined || code !== 'PERMISSION_DENIED') return special ?? GENERAL_HINTS[code];
  const { action, bucket, key } = attempt;
  const resource = action === 's3:ListBucket' ? bucket : `${bucket}/${key}`;
  return `The credentials need ${action} on arn:aws:s3:::${resource} (and kms:Decrypt, if it is encrypted with a KMS key); a requester-pays bucket needs AWS_REQUEST_PAYER=requester.`;
}

const GENERAL_HINTS: Readonly<Partial<Record<ErrorCode, string>>> = {
  UNAUTHENTICATED:
    'Check the access key, its secret and its session token; awsAnonymousCredential=true reads a public bucket without any.',
  NOT_FOUND: 'Check the bucket, the key and the endpoint; names are case-sensitive.',
  SOURCE_CHANGED: 'Run again once the upload has finished, or pin an object with ?versionId=.',
  UNAVAILABLE: 'Check the endpoint and the network between here and it.',
  BAD_RESPONSE: 'Check the endpoint: something other than S3 may have answered.',
};

const ELSEWHERE =
  'The bucket is in another region: set AWS_REGION to it, and an endpoint that serves it.';
const SLOWER = 'The store asks to go slower: try again later, or with a lower --concurrency.';
const HINTS: Readonly<Record<string, string>> = {
  ExpiredToken: 'The session is over: get new temporary credentials.',
  RequestTimeTooSkewed: "Set this machine's clock.",
  InvalidObjectState: 'The object is archived (Glacier): restore it first.',
  InvalidRequest:
    'An object encrypted with a customer key (SSE-C) needs MODEL_FETCH_S3_SSE_C_KEY, others must be read without it.',
  PermanentRedirect: ELSEWHERE,
  TemporaryRedirect: ELSEWHERE,
  AuthorizationHeaderMalformed: ELSEWHERE,
  SlowDown: SLOWER,
  TooManyRequests: SLOWER,
  NoSuchBucket: 'Check the name of the bucket, and that the endpoint is the one that holds it.',
};

/** S3's XML error body, or what can be found of it. A proxy's HTML gives nothing. */
export function parseErrorBody(body: string | undefined): {
  code?: string;
  message?: string;
  region?: string;
} {
  if (body === undefined || !/<Error[\s>]/.test(body)) return {};
  const code = elementText(body, 'Code');
  const message = elementText(body, 'Message');
  const region = elementText(body, 'Region');
  return {
    ...(code !== undefined && { code }),
    ...(message !== undefined && { message }),
    ...(region !== undefined && { region }),
  };
}

function elementText(xml: string, name: string): string | undefined {
  const text = new RegExp(`<${name}>([^<]{1,2000})</${name}>`).exec(xml)?.[1];
  const named: Record<string, string> = { lt: '<', gt: '>', quot: '"', apos: "'", amp: '&' };
  return text?.replace(/&(lt|gt|quot|apos|amp);/g, (_, entity: string) => named[entity]!);
}

/** What the SDK threw, as a failure. `ModelFetchError`s from the network below pass through unchanged. */
export function failureOf(error: unknown): S3Failure | ModelFetchError {
  for (let cause: unknown = error; cause instanceof Error; cause = cause.cause)
    if (cause instanceof ModelFetchError) return cause;
  const thrown = error as SdkError;
  const status = thrown.$metadata?.httpStatusCode ?? thrown.$response?.statusCode;
  const headers = thrown.$response?.headers ?? {};
  const base = { headers, cause: error, message: thrown.message };
  if (status === undefined) return offline(thrown, base);
  // The head was fine and the body was not S3's: the SDK could not parse it.
  if (status < 300) return isNetworkError(thrown) ? base : { ...base, status, code: 'NotS3' };
  const code = thrown.Code ?? thrown.name;
  const region = thrown.Region;
  // Without a body the SDK makes up a name and a message.
  const made = /^(UnknownError|Unknown|\d+|Error)$/.test(code);
  return {
    headers,
    cause: error,
    status,
    ...(!made && { code, message: thrown.message }),
    ...(region !== undefined && { region }),
  };
}

interface SdkError extends Error {
  readonly $metadata?: { readonly httpStatusCode?: number };
  readonly $response?: { readonly statusCode?: number; readonly headers?: Record<string, string> };
  readonly Code?: string;
  readonly Region?: string;
  readonly code?: string;
}

/** No answer: either nobody could be asked, or there was nothing to sign with. */
function offline(thrown: SdkError, base: S3Failure): S3Failure | ModelFetchError {
  if (/Credentials|TokenProvider/.test(thrown.name))
    return new ModelFetchError('UNAUTHENTICATED', `no S3 credentials: ${thrown.message}`, {
      hint: 'Give AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile or a role; awsAnonymousCredential=true reads a public bucket without any.',
      cause: thrown,
    });
  if (isNetworkError(thrown)) return base;
  return new ModelFetchError('BAD_RESPONSE', `the S3 client failed: ${thrown.message}`, {
    cause: thrown,
  });
}

function isNetworkError(error: SdkError): boolean {
  return (
    error.name === 'TimeoutError' ||
    (typeof error.code === 'string' && error.code !== 'ERR_INVALID_URL') ||
    /aborted|socket hang up/.test(error.message)
  );
}
