/** The head of an HTTP/1.1 answer, read strictly. What is not fully understood is left to the slow lane. */
import { NotForFastLane, type Head } from './lane.ts';

/** Bytes; more is not for us. */
export const MAX_HEAD = 32 * 1024;

const STATUS = /^HTTP\/1\.1 ([1-5]\d\d)(?: [^\r\n]*)?$/;
const FIELD = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([^\r\n]*?)[ \t]*$/;

export interface ParsedHead extends Head {
  /** The server keeps the connection open afterwards. */
  readonly keepAlive: boolean;
}

/**
 * Parses the head in `bytes`, without its closing empty line. Throws `NotForFastLane` for HTTP/1.0, folded or malformed
 * fields, a transfer coding, or lengths that contradict each other. Source: RFC 9112 sections 4 and 5.
 */
export function parseHead(bytes: Buffer): ParsedHead {
  const [first = '', ...lines] = bytes.toString('latin1').split('\r\n');
  const status = STATUS.exec(first);
  if (!status) throw new NotForFastLane(`status line ${JSON.stringify(first.slice(0, 80))}`);
  const headers: Record<string, string> = Object.create(null) as Record<string, string>;
  for (const line of lines) {
    const field = FIELD.exec(line);
    if (!field) throw new NotForFastLane('a header field that is none');
    const name = field[1]!.toLowerCase();
    const value = field[2]!;
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

/** The request's head. Values come from `Location`s and are refused when they could split the request. */
export function formatRequest(url: URL, headers: Readonly<Record<string, string>>): string {
  let head = `GET ${url.pathname}${url.search} HTTP/1.1\r\n`;
  if (headers['host'] === undefined) head += `host: ${url.host}\r\n`;
  for (const [name, value] of Object.entries(headers)) {
    if (
      !/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(name) ||
      /[\u0000-\u0008\u000a-\u001f\u007f]|[^\u0000-\u00ff]/.test(value)
    )
      throw new NotForFastLane(`a header field ${JSON.stringify(name)} that cannot be sent`);
    head += `${name}: ${value}\r\n`;
  }
  return `${head}\r\n`;
}
