/** One error class and a closed set of codes. Programs act on `code`; people read `message` and `hint`. */
import { redactText } from './redact.ts';

/** Every code and the exit status it ends the command with. The contract is `docs/contract.md`. */
export const EXIT_STATUS = {
  /** A bug of ours. */
  INTERNAL: 1,
  INVALID_URI: 2,
  INVALID_OPTION: 2,
  NOT_FOUND: 10,
  UNAUTHENTICATED: 11,
  PERMISSION_DENIED: 11,
  /** The network or the server gave up, or we gave up on it. Retried. */
  UNAVAILABLE: 12,
  /** No byte came for the stall timeout. Retried. */
  STALLED: 12,
  /** The body ended early. Retried from the byte reached. */
  TRUNCATED: 12,
  /** The source's own digest, or the one asked for, does not match the bytes. */
  DIGEST_MISMATCH: 13,
  /** The source moved while it was read. */
  SOURCE_CHANGED: 13,
  /** The server's answer is not what was asked for, and cannot be used safely. */
  BAD_RESPONSE: 13,
  /** A published file differs from the manifest. */
  TARGET_CHANGED: 13,
  /** Refused by the address policy, a claim's borders, a revision that was not expected. */
  REFUSED: 14,
  /** A path from the source that must not be written. */
  UNSAFE_PATH: 14,
  NO_SPACE: 15,
  /** Permission denied or a read-only file system, on our side. */
  NOT_WRITABLE: 15,
  /** Something that is not ours is in the way. */
  CONFLICT: 15,
  /** Another run holds the target. */
  BUSY: 15,
  BAD_ARCHIVE: 16,
  UNSAFE_ARCHIVE: 16,
  /** More files, bytes or depth than allowed. */
  LIMIT_EXCEEDED: 16,
  UNSUPPORTED_SCHEME: 17,
  UNSUPPORTED: 17,
  DEADLINE: 18,
  /** Interrupted: 130 by SIGINT, 143 by SIGTERM; the command knows which. */
  ABORTED: 130,
} as const;

export type ErrorCode = keyof typeof EXIT_STATUS;

const RETRYABLE: ReadonlySet<ErrorCode> = new Set(['UNAVAILABLE', 'STALLED', 'TRUNCATED']);

export interface ErrorDetails {
  /** Redacted on construction. */
  readonly uri?: string;
  /** The entry or file concerned. */
  readonly path?: string;
  /** What a person can do about it, one sentence. */
  readonly hint?: string;
  /** What the server asked for by Retry-After. */
  readonly retryAfterMs?: number;
  readonly cause?: unknown;
}

/** Marks our errors across copies of the package: a plugin brings one, the bundled command is another. */
const BRAND = Symbol.for('model-fetch.error');

/** The only error this package throws on purpose. `message` is one line, free of secrets. */
export class ModelFetchError extends Error {
  override readonly name = 'ModelFetchError';
  readonly code: ErrorCode;
  readonly uri?: string;
  readonly path?: string;
  readonly hint?: string;
  readonly retryAfterMs?: number;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(oneLine(message), details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    if (details.uri !== undefined) this.uri = oneLine(details.uri);
    if (details.path !== undefined) this.path = oneLine(details.path);
    if (details.hint !== undefined) this.hint = oneLine(details.hint);
    if (details.retryAfterMs !== undefined) this.retryAfterMs = details.retryAfterMs;
    // Causes come from libraries that keep URLs and headers on themselves: reachable for debugging, not printed.
    Object.defineProperty(this, 'cause', { enumerable: false });
  }

  /** True also for the errors of another copy of this class. */
  static override [Symbol.hasInstance](value: unknown): value is ModelFetchError {
    return typeof value === 'object' && value !== null && BRAND in value;
  }

  get [BRAND](): true {
    return true;
  }

  /** Whether trying the same thing again may help. */
  get retryable(): boolean {
    return RETRYABLE.has(this.code);
  }

  get exitStatus(): number {
    return EXIT_STATUS[this.code];
  }
}

/** `error` itself when it is ours, else `code` with its message; the uri is added where it is missing. */
export function asModelFetchError(
  error: unknown,
  code: ErrorCode,
  details: ErrorDetails = {},
): ModelFetchError {
  if (error instanceof ModelFetchError) {
    if (error.uri !== undefined || details.uri === undefined) return error;
    return new ModelFetchError(error.code, error.message, {
      ...details,
      ...defined(error),
      cause: error.cause,
    });
  }
  const message = error instanceof Error ? error.message : String(error);
  return new ModelFetchError(code, message || code, { ...details, cause: error });
}

function defined(error: ModelFetchError): ErrorDetails {
  return {
    ...(error.path !== undefined && { path: error.path }),
    ...(error.hint !== undefined && { hint: error.hint }),
    ...(error.retryAfterMs !== undefined && { retryAfterMs: error.retryAfterMs }),
  };
}

/** Server texts may hold newlines, terminal escapes and secrets; an error line holds none of them. */
function oneLine(text: string): string {
  return redactText(text)
    .replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, ' ')
    .trim();
}
