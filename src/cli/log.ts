/** Standard error: text for people, or one JSON object a line for machines. */
import { redactText } from '../redact.ts';
import { oneLine, palette, type Palette } from './format.ts';

export type Level = 'error' | 'warn' | 'info' | 'debug';

/** The fields of a record beyond `time`, `level` and `msg`. Sizes in bytes, times in seconds. */
export interface LogFields {
  readonly event?: string;
  readonly uri?: string | undefined;
  readonly file?: string | undefined;
  readonly bytes?: number;
  readonly totalBytes?: number;
  readonly files?: number;
  readonly totalFiles?: number;
  readonly bytesPerSec?: number;
  readonly etaSec?: number;
  readonly attempt?: number;
  readonly code?: string;
  readonly hint?: string | undefined;
  readonly [name: string]: unknown;
}

export interface Logger {
  /** `at`: milliseconds since the epoch, where the same record is told elsewhere too. */
  (level: Level, msg: string, fields?: LogFields, at?: number): void;
}

export interface LogOptions {
  readonly format: 'text' | 'json';
  /** The least important level that is shown. */
  readonly level: Level;
  readonly color: boolean;
  /** Gets each line without its newline. */
  readonly write: (line: string) => void;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
}

const ORDER: readonly Level[] = ['error', 'warn', 'info', 'debug'];

/** A logger. Every text is redacted here, whoever wrote it. */
export function createLogger(options: LogOptions): Logger {
  const now = options.now ?? Date.now;
  const paint = palette(options.color);
  return (level, msg, fields = {}, at = now()) => {
    if (ORDER.indexOf(level) > ORDER.indexOf(options.level)) return;
    options.write(
      options.format === 'json' ? jsonLine(at, level, msg, fields) : textLine(level, msg, paint),
    );
  };
}

/** One record. `time` is RFC 3339 in UTC. */
export function jsonLine(now: number, level: Level, msg: string, fields: LogFields): string {
  return redactedJson({ time: new Date(now).toISOString(), level, msg, ...fields });
}

/** JSON in which every text is redacted before it is quoted, so that redaction cannot break the document. */
export function redactedJson(value: unknown, indent?: number): string {
  return JSON.stringify(
    value,
    (_key, item: unknown) => (typeof item === 'string' ? redactText(item) : item),
    indent,
  );
}

function textLine(level: Level, msg: string, paint: Palette): string {
  const text = oneLine(redactText(msg));
  if (level === 'info') return text;
  if (level === 'debug') return paint.dim(`debug: ${text}`);
  return level === 'warn'
    ? `${paint.yellow('warning:')} ${text}`
    : `${paint.red('error:')} ${text}`;
}
