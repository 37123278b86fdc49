/** How a failed run is told: one line, one JSON object, one exit status. Pure. */
import { inspect } from 'node:util';
import { EXIT_STATUS, ModelFetchError, asModelFetchError } from '../errors.ts';
import { redactText } from '../redact.ts';
import { oneLine, palette } from './format.ts';
import { redactedJson } from './log.ts';

export interface Failure {
  readonly code: string;
  readonly message: string;
  readonly hint?: string;
  readonly uri?: string;
  readonly path?: string;
  readonly exit: number;
  /** Stack and causes, redacted, for `--log-level debug`. */
  readonly trace: readonly string[];
}

const SIGNAL_STATUS: Readonly<Record<string, number>> = { SIGINT: 130, SIGTERM: 143 };

/** What `error` means. `signal`: the one that asked us to stop, whose status then counts whatever broke meanwhile. */
export function describeFailure(error: unknown, signal?: NodeJS.Signals): Failure {
  const typed = error instanceof ModelFetchError ? error : bug(error);
  const trace = traceOf(error);
  if (signal !== undefined)
    return {
      code: 'ABORTED',
      message: `stopped by ${signal}`,
      hint: 'What was downloaded so far is kept for the next run where it can be.',
      ...(typed.uri !== undefined && { uri: redactText(typed.uri) }),
      exit: SIGNAL_STATUS[signal] ?? EXIT_STATUS.ABORTED,
      trace,
    };
  return {
    code: typed.code,
    message: typed.message,
    ...(typed.hint !== undefined && { hint: typed.hint }),
    ...(typed.uri !== undefined && { uri: redactText(typed.uri) }),
    ...(typed.path !== undefined && { path: typed.path }),
    exit: typed.exitStatus,
    trace,
  };
}

function bug(error: unknown): ModelFetchError {
  return asModelFetchError(error, 'INTERNAL', {
    hint: 'This is a bug of model-fetch. Please report it, with what --log-level debug says.',
  });
}

/** `error: CODE message (uri) hint: …` in one line. */
export function failureLine(failure: Failure, color = false): string {
  const paint = palette(color);
  const place = [failure.uri, failure.path].filter(
    (text) => text !== undefined && !failure.message.includes(text),
  );
  return [
    paint.red(paint.bold('error:')),
    paint.bold(failure.code),
    oneLine(failure.message),
    ...(place.length > 0 ? [`(${oneLine(place.join(' '))})`] : []),
    ...(failure.hint === undefined ? [] : [`${paint.cyan('hint:')} ${oneLine(failure.hint)}`]),
  ].join(' ');
}

/**
 * The last record of a JSON log, in at most `most` bytes: what a person looks for comes first, since the same line is the
 * termination message that `kubectl describe` shows. `now`: milliseconds since the epoch.
 */
export function failureRecord(failure: Failure, now: number, most: number): string {
  const { code, message, hint, uri, path, exit } = failure;
  const time = new Date(now).toISOString();
  for (let each = most; ; each = Math.floor(each / 2)) {
    const [msg, advice, from, file] = [message, hint, uri, path].map(
      (text) => text && shortened(redactText(text), each),
    );
    const texts = { level: 'error', code, msg, hint: advice, uri: from, file };
    const line = redactedJson({ ...texts, exit, event: 'error', time });
    if (Buffer.byteLength(line) <= most) return line;
  }
}

/** At most `most` bytes of UTF-8, cut between characters, never inside one. */
export function shortened(text: string, most: number, end = '…'): string {
  const buffer = Buffer.from(text);
  if (buffer.length <= most) return text;
  let stop = Math.max(0, most - Buffer.byteLength(end));
  while (stop > 0 && (buffer[stop]! & 0xc0) === 0x80) stop--;
  return `${buffer.toString('utf8', 0, stop)}${end}`;
}

/** What `--output json` prints instead of a result. */
export function failureJson(failure: Failure): { error: Record<string, unknown> } {
  const { code, message, hint, uri, path, exit } = failure;
  return { error: { code, message, hint, uri, path, exit } };
}

function traceOf(error: unknown): string[] {
  const lines: string[] = [];
  let current: unknown = error;
  for (let depth = 0; current !== undefined && depth < 8; depth++) {
    const text = current instanceof Error ? (current.stack ?? current.message) : inspect(current);
    lines.push(...redactText(depth === 0 ? text : `caused by ${text}`).split('\n'));
    current = current instanceof Error ? current.cause : undefined;
  }
  return lines;
}
