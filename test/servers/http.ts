/** A real HTTP(S) file server in this process: correct by default, and as broken as a test asks for. */
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { TlsOptions } from 'node:tls';
import { applies, spoil, type Fault } from './http-faults.ts';
import { answerFile, contentOf, type Content, type ServedFile } from './http-files.ts';

export type { Fault } from './http-faults.ts';
export type { Content, ServedFile } from './http-files.ts';

export interface SeenRequest {
  readonly method: string;
  /** Path and query as they stood in the request line. */
  readonly target: string;
  readonly headers: Readonly<Record<string, string | undefined>>;
  /** Status that was answered; absent while there is none. */
  status?: number;
}

export interface HttpServerOptions {
  /** Serves https with these. `serverCertificate()` of `test/support/certs.ts` has some. */
  readonly tls?: TlsOptions;
  readonly host?: string;
  /** Answers what no file and no fault does; default: 404. */
  readonly handler?: RequestListener;
}

export interface HttpServer {
  readonly port: number;
  /** `http://127.0.0.1:port`, without a slash at the end. */
  readonly origin: string;
  /** What has been asked, in order. */
  readonly requests: SeenRequest[];
  /** Looked through in order; the first that applies is used (and used up, where it says `times`). */
  readonly faults: Fault[];
  /** Connections open now. */
  readonly connections: () => number;
  /** Connections ever made. */
  readonly accepted: () => number;
  /** Serves `content` at `path` (as in a request line, without query) and answers its URL. */
  put(path: string, content: Content, options?: Omit<ServedFile, 'content'>): string;
  remove(path: string): void;
  url(path: string): string;
  close(): Promise<void>;
}

/** Starts a server on port 0. Stop it with `close`, which cuts what is still open. */
export async function startHttpServer(options: HttpServerOptions = {}): Promise<HttpServer> {
  const { host = '127.0.0.1', handler = notFound, tls } = options;
  const files = new Map<string, ServedFile>();
  const requests: SeenRequest[] = [];
  const faults: Fault[] = [];

  const listener: RequestListener = (request, response) => {
    const seen = see(request);
    requests.push(seen);
    response.on('finish', () => (seen.status = response.statusCode));
    const fault = faults.find((one) => applies(one, seen));
    const file = files.get(seen.target.split('?')[0]!);
    if (fault) spoil(fault, request, response, file);
    else if (file) void answerFile(request, response, file);
    else handler(request, response);
  };
  const server = tls ? createTlsServer(tls, listener) : createServer(listener);
  server.keepAliveTimeout = 5_000;
  const sockets = track(server);
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  const { port } = server.address() as AddressInfo;
  const origin = `${tls ? 'https' : 'http'}://${host.includes(':') ? `[${host}]` : host}:${port}`;

  return {
    port,
    origin,
    requests,
    faults,
    connections: () => sockets.open.size,
    accepted: () => sockets.accepted,
    put(path, content, more = {}) {
      files.set(path, { ...more, content: contentOf(content) });
      return `${origin}${path}`;
    },
    remove: (path) => void files.delete(path),
    url: (path) => `${origin}${path}`,
    close: () => stop(server, sockets.open),
  };
}

function see(request: IncomingMessage): SeenRequest {
  const headers: Record<string, string | undefined> = {};
  for (const [name, values] of Object.entries(request.headersDistinct))
    headers[name] = values?.join(', ');
  return { method: request.method ?? '', target: request.url ?? '', headers };
}

function track(server: Server): { open: Set<Socket>; accepted: number } {
  const sockets = { open: new Set<Socket>(), accepted: 0 };
  server.on('connection', (socket: Socket) => {
    sockets.accepted++;
    sockets.open.add(socket);
    socket.on('error', () => undefined).once('close', () => sockets.open.delete(socket));
  });
  return sockets;
}

async function stop(server: Server, open: Set<Socket>): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  for (const socket of open) socket.destroy();
  server.closeAllConnections();
  await closed;
}

function notFound(_request: IncomingMessage, response: ServerResponse): void {
  response.writeHead(404, { 'content-type': 'text/plain' }).end('no such file\n');
}
