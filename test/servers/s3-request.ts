/** A request taken apart: bucket and key by either form of address. */
import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { decode, encode, parseQuery } from './s3-canonical.ts';

/** One request, as it came and as it was answered. */
export interface S3Request {
  readonly method: string;
  /** As sent. */
  readonly url: string;
  readonly bucket: string;
  readonly key: string;
  readonly query: ReadonlyMap<string, string>;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** How many requests came before this one. */
  readonly index: number;
  /** Undefined: anonymous, or refused before that was known. */
  accessKeyId?: string;
  /** 0 until it is answered. */
  status: number;
  /** S3's code of the error, where there was one. */
  code?: string;
  /** Body bytes written. */
  sent: number;
}

/** What `message` asks for; `index` requests came before it. */
export function parseRequest(message: IncomingMessage, index: number): S3Request {
  const headers = Object.fromEntries(
    Object.entries(message.headersDistinct).map(([name, values]) => [name, values!.join(', ')]),
  );
  const [rawPath, rawQuery = ''] = splitOnce(message.url ?? '/', '?');
  const virtual = /^(.+)\.localhost(:\d+)?$/.exec(headers['host'] ?? '')?.[1];
  const path = rawPath.slice(1);
  const [first, rest] = virtual === undefined ? splitOnce(path, '/') : [encode(virtual), path];
  return {
    method: message.method ?? 'GET',
    url: message.url ?? '/',
    bucket: decode(first),
    key: decode(rest ?? ''),
    query: new Map(parseQuery(rawQuery)),
    headers,
    index,
    status: 0,
    sent: 0,
  };
}

/** `text` before and after the first `at`. */
export function splitOnce(text: string, at: string): [string, string?] {
  const index = text.indexOf(at);
  return index === -1 ? [text] : [text.slice(0, index), text.slice(index + 1)];
}

/** SHA-256 of the body, hex. */
export async function hashOf(message: IncomingMessage): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of message) hash.update(chunk as Buffer);
  return hash.digest('hex');
}
