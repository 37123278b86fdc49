/** What a refusal by Google means, in one place. */
import { ModelFetchError, type ErrorCode } from '../errors.ts';
import { retryAfterMs } from '../retry-after.ts';
import { serverSaid } from './server-said.ts';

/** An answer that is not the one asked for, from the API, a media download or a token endpoint. */
export interface GcsRefusal {
  readonly status: number;
  /** Names in lower case. */
  readonly headers?: Readonly<Record<string, string>>;
  /** JSON of the API or of OAuth, or the plain text and XML of downloads. */
  readonly body?: string;
}

export interface RefusalContext {
  readonly uri: string;
  readonly path?: string;
  /** Whether a token was sent. */
  readonly anonymous: boolean;
  readonly permission?: 'storage.objects.get' | 'storage.objects.list';
}

/** Reasons that make a 403 a matter of time. https://cloud.google.com/storage/docs/json_api/v1/status-codes */
const TOO_FAST = new Set(['rateLimitExceeded', 'userRateLimitExceeded', 'quotaExceeded']);
const NO_CREDENTIALS =
  'No credentials were found: set GOOGLE_APPLICATION_CREDENTIALS, or bind a service account to the pod; or make the bucket public.';

const LATER = 'The service is overloaded or down: try again later, or with a lower --concurrency.';
const NOT_GOOGLE =
  'Check the URI and the endpoint: something other than Cloud Storage may have answered.';

/** The error for `refusal`. Statuses: https://cloud.google.com/storage/docs/json_api/v1/status-codes */
export function gcsError(refusal: GcsRefusal, context: RefusalContext): ModelFetchError {
  const { reason, message } = explain(refusal.body);
  const { code, hint } = judge(refusal.status, reason, message, context);
  const after = retryAfterMs(refusal.headers?.['retry-after']);
  const said = message === '' ? '' : `: ${message}`;
  const cause = serverSaid(refusal.status, refusal.body);
  return new ModelFetchError(
    code,
    `Google Cloud Storage answered ${String(refusal.status)}${said}`,
    {
      uri: context.uri,
      ...(context.path !== undefined && { path: context.path }),
      hint: hint ?? (code === 'UNAVAILABLE' ? LATER : NOT_GOOGLE),
      ...(code === 'UNAVAILABLE' && after !== undefined && { retryAfterMs: after }),
      ...(cause && { cause }),
    },
  );
}

function judge(
  status: number,
  reason: string,
  message: string,
  { anonymous, permission = 'storage.objects.get' }: RefusalContext,
): { code: ErrorCode; hint?: string } {
  if (status === 408 || status === 429 || status >= 500) return { code: 'UNAVAILABLE' };
  switch (status) {
    case 400:
      if (/requester pays/i.test(message))
        return {
          code: 'INVALID_OPTION',
          hint: 'Name the project that pays in GOOGLE_CLOUD_QUOTA_PROJECT or MODEL_FETCH_GCS_USER_PROJECT.',
        };
      return { code: /invalid bucket name/i.test(message) ? 'INVALID_URI' : 'BAD_RESPONSE' };
    case 401:
      return {
        code: 'UNAUTHENTICATED',
        hint: anonymous
          ? NO_CREDENTIALS
          : 'The token was refused: is the key still valid, and is the clock right?',
      };
    case 403:
      if (TOO_FAST.has(reason)) return { code: 'UNAVAILABLE' };
      return {
        code: 'PERMISSION_DENIED',
        hint: anonymous
          ? NO_CREDENTIALS
          : `Grant ${permission} on the bucket (roles/storage.objectViewer) to the account in use; model-fetch explain names it.`,
      };
    case 404:
      return {
        code: 'NOT_FOUND',
        hint: 'Check the bucket and the path; names are case-sensitive and not percent-decoded.',
      };
    case 412:
      return {
        code: 'SOURCE_CHANGED',
        hint: 'Run again once the upload has finished, or pin a generation with #.',
      };
    default:
      return { code: 'BAD_RESPONSE' };
  }
}

/** The error for a token endpoint that gave no token. Source: RFC 6749 section 5.2. */
export function tokenError(refusal: GcsRefusal, source: string): ModelFetchError {
  const { reason, message } = explain(refusal.body);
  const temporary = refusal.status === 408 || refusal.status === 429 || refusal.status >= 500;
  const said = [reason, message].filter((text) => text !== '').join(': ');
  return new ModelFetchError(
    temporary ? 'UNAVAILABLE' : 'UNAUTHENTICATED',
    `no access token for the ${source}: status ${String(refusal.status)}${said === '' ? '' : `, ${said}`}`,
    { hint: 'Check that the credentials are still valid and that the clock is right.' },
  );
}

/** The reason (`notFound`, `invalid_grant`) and the words of an error body, whichever of their forms it has. */
function explain(body = ''): { reason: string; message: string } {
  try {
    const parsed = JSON.parse(body) as unknown;
    const error = field(parsed, 'error');
    if (typeof error === 'string')
      return { reason: error, message: text(field(parsed, 'error_description')) };
    const first: unknown = Array.isArray(field(error, 'errors'))
      ? (field(error, 'errors') as unknown[])[0]
      : undefined;
    return {
      reason: text(field(first, 'reason')) || text(field(error, 'status')),
      message: text(field(error, 'message')),
    };
  } catch {
    const xml = /<Code>([^<]*)<\/Code>\s*<Message>([^<]*)<\/Message>/.exec(body);
    if (xml) return { reason: xml[1]!, message: xml[2]! };
    return { reason: '', message: /^\s*</.test(body) ? '' : body.slice(0, 300).trim() };
  }
}

function field(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null
    ? (value as Record<string, unknown>)[name]
    : undefined;
}

function text(value: unknown): string {
  return typeof value === 'string' ? value.slice(0, 300) : '';
}
