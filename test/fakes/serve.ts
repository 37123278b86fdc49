/** A small real HTTP server on port 0, from a function that answers requests. */
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Asked {
  readonly method: string;
  readonly url: URL;
  readonly headers: IncomingMessage['headers'];
}

export interface Answer {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
}

export interface Served {
  /** `http://127.0.0.1:port` */
  readonly origin: string;
  /** What came in, for tests that look. */
  readonly asked: readonly Asked[];
  /** From now on nothing is answered. */
  hang(): void;
  close(): Promise<void>;
}

export async function serve(answer: (asked: Asked, origin: string) => Answer): Promise<Served> {
  const asked: Asked[] = [];
  let silent = false;
  let origin = '';
  const server = createServer((request, response) => {
    const { method = 'GET', headers } = request;
    const one = { method, headers, url: new URL(request.url ?? '/', origin) };
    asked.push(one);
    if (silent) return;
    const { status = 200, headers: sent = {}, body = '' } = answer(one, origin);
    const bytes = Buffer.from(body);
    response.writeHead(status, { 'content-length': String(bytes.length), ...sent });
    response.end(method === 'HEAD' ? undefined : bytes);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  origin = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`;
  return {
    origin,
    asked,
    hang: () => {
      silent = true;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

export function json(value: unknown, status = 200, headers: Record<string, string> = {}): Answer {
  return {
    status,
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(value),
  };
}

/** `bytes`, or the part of them that the `Range` header asks for. Source: RFC 9110 section 14. */
export function bytesOrPart(
  asked: Asked,
  bytes: Uint8Array,
  headers: Record<string, string>,
): Answer {
  const match = /^bytes=(\d+)-(\d+)$/.exec(asked.headers.range ?? '');
  if (!match) return { headers, body: bytes };
  const start = Number(match[1]);
  const end = Math.min(Number(match[2]) + 1, bytes.length);
  if (start >= bytes.length)
    return { status: 416, headers: { 'content-range': `bytes */${String(bytes.length)}` } };
  const part = `bytes ${String(start)}-${String(end - 1)}/${String(bytes.length)}`;
  return {
    status: 206,
    headers: { ...headers, 'content-range': part },
    body: bytes.subarray(start, end),
  };
}

/** Percent-encodes every segment of a path, slashes apart. */
export function encodePath(path: string): string {
  return path.split('/').map(encodeURIComponent).join('/');
}
