/** The models of this test and the server that has them, on the host's loopback, which the image's process shares. */
import { createServer, type ServerResponse } from 'node:http';
import { createHash } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { Header } from 'tar';

/** What ends up in the target, by path. */
export const MODEL: Readonly<Record<string, Buffer>> = {
  'config.json': Buffer.from('{"architectures":["Iris"]}\n'),
  '1/weights.bin': pseudoRandom(3_000_000),
  '1/empty.marker': Buffer.alloc(0),
};
const ARCHIVE = gzipSync(tarOf(MODEL));
const TRICKLE_LENGTH = 1 << 30;

export interface Origin {
  readonly url: string;
  /** Paths whose body was sent, in order. */
  readonly sent: string[];
  close(): Promise<void>;
}

/** `/model.tar.gz`, `/weights.bin`, `/broken.tar.gz`, `/denied/x`, `/slow.bin` (a byte now and then, without end); else 404. */
export async function startOrigin(): Promise<Origin> {
  const sent: string[] = [];
  const server = createServer((request, response) => {
    const path = new URL(request.url ?? '/', 'http://x').pathname;
    if (request.method === 'GET') sent.push(path);
    if (path === '/model.tar.gz') answer(request.headers.range, response, ARCHIVE);
    else if (path === '/weights.bin')
      answer(request.headers.range, response, MODEL['1/weights.bin']!);
    else if (path === '/broken.tar.gz')
      answer(request.headers.range, response, ARCHIVE.subarray(0, 50_000));
    else if (path.startsWith('/denied/')) response.writeHead(401).end();
    else if (path === '/slow.bin') trickle(response);
    else response.writeHead(404).end();
    if (request.method === 'HEAD') response.end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${String(port)}`,
    sent,
    close: () =>
      new Promise((resolve) => {
        server.close(() => {
          resolve();
        });
        server.closeAllConnections();
      }),
  };
}

function answer(range: string | undefined, response: ServerResponse, body: Buffer): void {
  const [, first, last] = /^bytes=(\d+)-(\d*)$/.exec(range ?? '') ?? [];
  const start = Number(first ?? 0);
  const end = last ? Math.min(Number(last) + 1, body.length) : body.length;
  const headers = {
    'content-type': 'application/octet-stream',
    'accept-ranges': 'bytes',
    'content-length': end - start,
    etag: `"${createHash('md5').update(body).digest('hex')}"`,
  };
  if (first === undefined) response.writeHead(200, headers);
  else
    response.writeHead(206, {
      ...headers,
      'content-range': `bytes ${String(start)}-${String(end - 1)}/${String(body.length)}`,
    });
  response.end(body.subarray(start, end));
}

function trickle(response: ServerResponse): void {
  response.writeHead(200, { 'content-length': TRICKLE_LENGTH, etag: '"slow"' });
  response.flushHeaders();
  const timer = setInterval(() => response.write(Buffer.alloc(1024)), 100);
  response.on('close', () => {
    clearInterval(timer);
  });
}

/** The same bytes each time, and none that compress. */
function pseudoRandom(length: number): Buffer {
  const blocks = Array.from({ length: Math.ceil(length / 64) }, (_, index) =>
    createHash('sha512').update(String(index)).digest(),
  );
  return Buffer.concat(blocks).subarray(0, length);
}

/** A plain tar archive, as GNU tar would lay it out. */
export function tarOf(files: Readonly<Record<string, Buffer>>): Buffer {
  const parts = Object.entries(files).flatMap(([path, body]) => {
    const block = Buffer.alloc(512);
    new Header({ path, size: body.length, mode: 0o644, type: 'File', mtime: new Date(0) }).encode(
      block,
    );
    return [block, body, Buffer.alloc((512 - (body.length % 512)) % 512)];
  });
  return Buffer.concat([...parts, Buffer.alloc(1024)]);
}
