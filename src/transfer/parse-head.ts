/** The head of an HTTP/1.1 answer, read strictly. What is not fully understood is left to the slow lane. */
import { NotForFastLane, type Head } from './lane.ts';

/** Bytes; more is not for us. */
export const MAX_HEAD = 32 * 1024;

const STATUS = /^HTTP\/1\.1 ([1-5]\d\d)(?: [^\r\n]*)?$/;
const NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

export interface ParsedHead extends Head {
  /** The server keeps the connection open afterwards. */
  readonly keepAlive: boolean;
}

/**
 * Parses the head in `bytes`, without its closing empty line. Throws `NotForFastLane` for HTTP/1.0, folded or malformed
 * fields, a transfer coding, or lengths that contradict each other. Source: RFC 9112 sections 4 and 5.
 */
export function parseHead(bytes: Buffer): ParsedHead {
  const lines = bytes.toString('latin1').split('\r\n');
  const [first = ''] = lines;
  const status = STATUS.exec(first);
  if (!status) throw new NotForFastLane(`status line ${JSON.stringify(first.slice(0, 80))}`);
  const headers: Record<string, string> = Object.create(null) as Record<string, string>;
  for (let at = 1; at < lines.length; at++) {
    const { name, value } = fieldAt(at, lines[at]!);
    const before = headers[name];
    if (before !== undefined && name === 'content-length')
      throw new NotForFastLane('two Content-Lengths');
    headers[name] = before === undefined ? value : `${before}, ${value}`;
  }
  if (headers['transfer-encoding'] !== undefined) throw new NotForFastLane('a transfer coding');
  const length = headers['content-length'];
  if (length !== undefined && !/^\d{1,15}$/.test(length))
    throw new NotForFastLane('an odd Content-Length');
  const keepAlive = !/\bclose\b/i.test(headers['connection'] ?? '');
  return { status: Number(status[1]), headers, keepAlive };
}

interface Field {
  readonly line: string;
  readonly name: string;
  readonly value: string;
}

/** Those of the head before, by their place in it: most lines of an answer are the same as in the last one. */
const lastFields: (Field | undefined)[] = [];
const MOST_KEPT = 64;

function fieldAt(at: number, line: string): Field {
  const last = lastFields[at];
  if (last?.line === line) return last;
  const colon = line.indexOf(':');
  const name = colon === -1 ? undefined : fieldName(line.slice(0, colon));
  if (name === undefined || line.includes('\r') || line.includes('\n'))
    throw new NotForFastLane('a header field that is none');
  const field = { line, name, value: withoutBlanks(line, colon + 1) };
  if (at < MOST_KEPT) lastFields[at] = field;
  return field;
}

/** `line` from `start` on, without spaces and tabs around it. */
function withoutBlanks(line: string, start: number): string {
  let from = start;
  let end = line.length;
  while (from < end && isBlank(line.charCodeAt(from))) from++;
  while (from < end && isBlank(line.charCodeAt(end - 1))) end--;
  return line.slice(from, end);
}

function isBlank(char: number): boolean {
  return char === 0x20 || char === 0x09;
}

/** Servers name the same few fields in every answer. */
const names = new Map<string, string>();
const MOST_NAMES = 256;

/** In lower case; undefined for what is no name. */
function fieldName(text: string): string | undefined {
  const known = names.get(text);
  if (known !== undefined) return known;
  if (!NAME.test(text)) return undefined;
  const name = text.toLowerCase();
  if (names.size < MOST_NAMES) names.set(text, name);
  return name;
}

/** What is no part of a field's value: controls but the tab, and what is not in latin1. */
const UNFIT = /[\u0000-\u0008\u000a-\u001f\u007f]|[^\u0000-\u00ff]/;

/**
 * The request's head, for `target`, which is path and query as a `URL` has them. Values come from `Location`s and are refused
 * when they could split the request.
 */
export function formatRequest(
  target: string,
  host: string,
  headers: Readonly<Record<string, string>>,
): string {
  let head = `GET ${target} HTTP/1.1\r\n`;
  if (headers['host'] === undefined) head += `host: ${host}\r\n`;
  for (const name in headers) {
    const value = headers[name]!;
    if (fieldName(name) === undefined || UNFIT.test(value))
      throw new NotForFastLane(`a header field ${JSON.stringify(name)} that cannot be sent`);
    head += `${name}: ${value}\r\n`;
  }
  return `${head}\r\n`;
}
