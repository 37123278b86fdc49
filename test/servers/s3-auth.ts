/** Who asks, and may they? SigV4 recomputed for real, in headers and presigned queries. */
import { timingSafeEqual } from 'node:crypto';
import { parseQuery, signatureOf } from './s3-canonical.ts';
import { S3Error } from './s3-error.ts';

export interface S3Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Needed beside the key when given. */
  readonly sessionToken?: string;
  /** Milliseconds since the epoch, after which the session is over (`ExpiredToken`). */
  readonly expiresAt?: number;
}

/** What is needed of a request to check its signature. Header names in lower case. */
export interface SignedRequest {
  readonly method: string;
  /** As sent, before `?`. */
  readonly rawPath: string;
  readonly rawQuery: string;
  readonly headers: Readonly<Record<string, string>>;
  /** SHA-256 of the body, hex. */
  readonly bodySha256: string;
}

export interface AuthRules {
  readonly credentials: readonly S3Credentials[];
  /** Of the bucket asked for. */
  readonly region: string;
  readonly now: number;
}

/** Clocks may differ by this much, in milliseconds. */
const SKEW = 15 * 60_000;

interface Claim {
  readonly accessKeyId: string;
  readonly date: string;
  readonly region: string;
  readonly scope: string;
  readonly amzDate: string;
  readonly signedHeaders: readonly string[];
  readonly signature: string;
  readonly payload: string;
  readonly token: string | undefined;
  /** The query the signature was made over. */
  readonly query: readonly (readonly [string, string])[];
  /** Seconds a presigned URL lives. */
  readonly expires: number | undefined;
}

/** The access key of a correctly signed request; undefined for an anonymous one. Throws what S3 would answer. */
export function authenticate(request: SignedRequest, rules: AuthRules): string | undefined {
  const query = parseQuery(request.rawQuery);
  const claim = claimOf(request, query);
  if (!claim) return undefined;
  const credentials = rules.credentials.find((one) => one.accessKeyId === claim.accessKeyId);
  if (!credentials)
    throw new S3Error(
      403,
      'InvalidAccessKeyId',
      'The AWS Access Key Id you provided does not exist in our records.',
      {
        details: { AWSAccessKeyId: claim.accessKeyId },
      },
    );
  checkTime(claim, rules.now);
  if (claim.region !== rules.region)
    throw new S3Error(
      400,
      'AuthorizationHeaderMalformed',
      `The authorization header is malformed; the region '${claim.region}' is wrong; expecting '${rules.region}'`,
      { details: { Region: rules.region }, headers: { 'x-amz-bucket-region': rules.region } },
    );
  checkSignedHeaders(request, claim);
  const expected = signatureOf({ ...request, ...claim }, credentials.secretAccessKey);
  if (!same(expected, claim.signature))
    throw new S3Error(
      403,
      'SignatureDoesNotMatch',
      'The request signature we calculated does not match the signature you provided. Check your key and signing method.',
    );
  checkToken(claim, credentials, rules.now);
  return claim.accessKeyId;
}

function claimOf(request: SignedRequest, query: [string, string][]): Claim | undefined {
  const header = request.headers['authorization'];
  if (header !== undefined) return headerClaim(request, header, query);
  const get = (name: string): string | undefined => query.find(([key]) => key === name)?.[1];
  if (get('X-Amz-Algorithm') === undefined) return undefined;
  const expires = Number(get('X-Amz-Expires'));
  if (!(expires > 0 && expires <= 604_800))
    throw new S3Error(
      400,
      'AuthorizationQueryParametersError',
      'X-Amz-Expires must be between 1 and 604800 seconds',
    );
  return {
    ...scopeOf(get('X-Amz-Credential') ?? '', 'AuthorizationQueryParametersError'),
    amzDate: get('X-Amz-Date') ?? '',
    signedHeaders: (get('X-Amz-SignedHeaders') ?? '').split(';'),
    signature: get('X-Amz-Signature') ?? '',
    payload: request.headers['x-amz-content-sha256'] ?? 'UNSIGNED-PAYLOAD',
    token: get('X-Amz-Security-Token'),
    query: query.filter(([key]) => key !== 'X-Amz-Signature'),
    expires,
  };
}

function headerClaim(request: SignedRequest, header: string, query: [string, string][]): Claim {
  const match =
    /^AWS4-HMAC-SHA256 +Credential=([^,\s]+), *SignedHeaders=([^,\s]+), *Signature=([0-9a-f]{64})$/.exec(
      header,
    );
  if (!match)
    throw new S3Error(
      400,
      'AuthorizationHeaderMalformed',
      'The authorization header is malformed.',
    );
  const payload = request.headers['x-amz-content-sha256'];
  if (payload === undefined)
    throw new S3Error(
      400,
      'InvalidRequest',
      'Missing required header for this request: x-amz-content-sha256',
    );
  if (payload !== 'UNSIGNED-PAYLOAD' && payload !== request.bodySha256)
    throw new S3Error(
      400,
      'XAmzContentSHA256Mismatch',
      "The provided 'x-amz-content-sha256' header does not match what was computed.",
    );
  return {
    ...scopeOf(match[1]!, 'AuthorizationHeaderMalformed'),
    amzDate: request.headers['x-amz-date'] ?? '',
    signedHeaders: match[2]!.split(';'),
    signature: match[3]!,
    payload,
    token: request.headers['x-amz-security-token'],
    query,
    expires: undefined,
  };
}

function scopeOf(
  credential: string,
  code: string,
): Pick<Claim, 'accessKeyId' | 'date' | 'region' | 'scope'> {
  const match = /^(.+)\/(\d{8})\/([^/]+)\/s3\/aws4_request$/.exec(credential);
  if (!match)
    throw new S3Error(
      400,
      code,
      'The credential is mal-formed; expecting "<KEY>/YYYYMMDD/REGION/s3/aws4_request".',
    );
  const [, accessKeyId = '', date = '', region = ''] = match;
  return { accessKeyId, date, region, scope: `${date}/${region}/s3/aws4_request` };
}

function checkTime(claim: Claim, now: number): void {
  const match = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(claim.amzDate);
  if (!match || !claim.amzDate.startsWith(claim.date))
    throw new S3Error(
      403,
      'AccessDenied',
      'AWS authentication requires a valid Date or x-amz-date header',
    );
  const [year, month, ...rest] = match.slice(1).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const signed = Date.UTC(year, month - 1, ...rest);
  if (claim.expires !== undefined && now > signed + claim.expires * 1000)
    throw new S3Error(403, 'AccessDenied', 'Request has expired', {
      details: {
        Expires: new Date(signed + claim.expires * 1000).toISOString(),
        ServerTime: new Date(now).toISOString(),
      },
    });
  const late = claim.expires === undefined ? Math.abs(now - signed) : signed - now;
  if (late > SKEW)
    throw new S3Error(
      403,
      'RequestTimeTooSkewed',
      'The difference between the request time and the current time is too large.',
      {
        details: {
          RequestTime: claim.amzDate,
          ServerTime: new Date(now).toISOString(),
          MaxAllowedSkewMilliseconds: String(SKEW),
        },
      },
    );
}

/** Every `x-amz-*` header, and the host, must be under the signature. */
function checkSignedHeaders(request: SignedRequest, claim: Claim): void {
  const missing = Object.keys(request.headers).filter(
    (name) => (name.startsWith('x-amz-') || name === 'host') && !claim.signedHeaders.includes(name),
  );
  if (missing.length > 0)
    throw new S3Error(
      403,
      'AccessDenied',
      'There were headers present in the request which were not signed',
      {
        details: { HeadersNotSigned: missing.join(', ') },
      },
    );
}

function checkToken(claim: Claim, credentials: S3Credentials, now: number): void {
  if (credentials.expiresAt !== undefined && now >= credentials.expiresAt)
    throw new S3Error(400, 'ExpiredToken', 'The provided token has expired.');
  if (credentials.sessionToken !== claim.token)
    throw credentials.sessionToken !== undefined && claim.token === undefined
      ? new S3Error(
          403,
          'InvalidAccessKeyId',
          'The AWS Access Key Id you provided does not exist in our records.',
        )
      : new S3Error(400, 'InvalidToken', 'The provided token is malformed or otherwise invalid.');
}

function same(a: string, b: string): boolean {
  return a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b));
}
