/** Errors as plain data, so that what fails on a thread is judged on another as if it had failed there. */
import { ModelFetchError, type ErrorCode } from '../errors.ts';
import { NotForFastLane, RangeIgnored, Refusal, type Head } from './lane.ts';

export type ErrorData =
  | { readonly type: 'refusal'; readonly head: Head; readonly body: string }
  | { readonly type: 'range-ignored' | 'not-for-fast-lane'; readonly message: string }
  | {
      readonly type: 'ours';
      readonly code: ErrorCode;
      readonly message: string;
      readonly details: {
        readonly uri?: string;
        readonly path?: string;
        readonly hint?: string;
        readonly retryAfterMs?: number;
      };
      readonly cause: ErrorData | undefined;
    }
  | {
      readonly type: 'other';
      readonly name: string;
      readonly message: string;
      readonly stack: string | undefined;
      /** A system error's: `ECONNREFUSED` decides whether to be patient. */
      readonly code: string | undefined;
      readonly cause: ErrorData | undefined;
      readonly errors: readonly ErrorData[] | undefined;
    };

export function toData(error: unknown): ErrorData {
  if (error instanceof Refusal) {
    const { status, headers } = error.head;
    return { type: 'refusal', head: { status, headers }, body: error.body };
  }
  if (error instanceof RangeIgnored) return { type: 'range-ignored', message: error.message };
  if (error instanceof NotForFastLane) return { type: 'not-for-fast-lane', message: error.message };
  if (error instanceof ModelFetchError) {
    const { code, message, uri, path, hint, retryAfterMs, cause } = error;
    return {
      type: 'ours',
      code,
      message,
      details: {
        ...(uri !== undefined && { uri }),
        ...(path !== undefined && { path }),
        ...(hint !== undefined && { hint }),
        ...(retryAfterMs !== undefined && { retryAfterMs }),
      },
      cause: cause === undefined ? undefined : toData(cause),
    };
  }
  const known = error instanceof Error ? error : new Error(String(error));
  const { code } = known as NodeJS.ErrnoException;
  return {
    type: 'other',
    name: known.name,
    message: known.message,
    stack: known.stack,
    code: typeof code === 'string' ? code : undefined,
    cause: known.cause === undefined ? undefined : toData(known.cause),
    errors: known instanceof AggregateError ? known.errors.map(toData) : undefined,
  };
}

export function fromData(data: ErrorData): Error {
  switch (data.type) {
    case 'refusal':
      return new Refusal(data.head, data.body);
    case 'range-ignored':
      return new RangeIgnored(data.message);
    case 'not-for-fast-lane':
      return new NotForFastLane(data.message);
    case 'ours':
      return new ModelFetchError(data.code, data.message, {
        ...data.details,
        ...(data.cause && { cause: fromData(data.cause) }),
      });
    case 'other':
      return otherFromData(data);
  }
}

function otherFromData(data: ErrorData & { type: 'other' }): Error {
  const options = data.cause && { cause: fromData(data.cause) };
  const error = data.errors
    ? new AggregateError(data.errors.map(fromData), data.message, options)
    : new Error(data.message, options);
  error.name = data.name;
  if (data.stack !== undefined) error.stack = data.stack;
  return Object.assign(error, data.code !== undefined && { code: data.code });
}
