/** A real forward and CONNECT proxy in this process, with optional Basic credentials. */
import {
  createServer,
  request as httpRequest,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { connect, type AddressInfo, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TlsOptions } from 'node:tls';

export interface ProxyOptions {
  /** Wanted of every client; without them the answer is 407. */
  readonly credentials?: { readonly user: string; readonly password: string };
  /** Serves the proxy itself over TLS. */
  readonly tls?: TlsOptions;
  /** Where names lead: the proxy resolves what its clients need not be able to. Default: the host itself. */
  readonly hosts?: Readonly<Record<string, string>>;
  /** Answers every CONNECT with this status. */
  readonly refuse?: number;
  /** Cuts every tunnel after so many bytes towards the client. */
  readonly cutAfter?: number;
}

export interface Proxy {
  readonly port: number;
  /** `http://127.0.0.1:port`, credentials included where they are wanted. */
  readonly url: string;
  /** `CONNECT host:port`, or `GET http://host/path`, in order. */
  readonly seen: string[];
  readonly connections: () => number;
  close(): Promise<void>;
}

/** Starts a proxy on port 0 of 127.0.0.1. */
export async function startProxy(options: ProxyOptions = {}): Promise<Proxy> {
  const seen: string[] = [];
  const open = new Set<Duplex>();
  const server = options.tls ? createTlsServer(options.tls) : createServer();
  server.on('connection', (socket: Socket) => keep(open, socket));
  server.on('request', (request, response) => forward(options, seen, request, response));
  server.on('connect', (request, socket: Duplex, head: Buffer) =>
    tunnel(options, seen, open, request, socket, head),
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const { credentials } = options;
  const userinfo = credentials
    ? `${encodeURIComponent(credentials.user)}:${encodeURIComponent(credentials.password)}@`
    : '';
  return {
    port,
    url: `${options.tls ? 'https' : 'http'}://${userinfo}127.0.0.1:${port}`,
    seen,
    connections: () => open.size,
    close: () => stop(server, open),
  };
}

function forward(
  options: ProxyOptions,
  seen: string[],
  request: IncomingMessage,
  response: ServerResponse,
): void {
  seen.push(`${request.method ?? ''} ${request.url ?? ''}`);
  if (!isAllowed(options, request)) {
    response
      .writeHead(407, { 'proxy-authenticate': 'Basic realm="proxy"' })
      .end('proxy credentials wanted\n');
    return;
  }
  const url = URL.parse(request.url ?? '');
  if (!url) {
    response.writeHead(400).end('a proxy takes requests in absolute form\n');
    return;
  }
  const headers = { ...request.headers };
  delete headers['proxy-authorization'];
  const onward = httpRequest(
    {
      host: whereIs(options, url.hostname),
      port: url.port || 80,
      path: url.pathname + url.search,
      method: request.method,
      headers,
    },
    (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
      answer.on('aborted', () => response.destroy());
    },
  );
  onward.on('error', () =>
    response.headersSent ? response.destroy() : response.writeHead(502).end(),
  );
  response.on('close', () => onward.destroy());
  request.pipe(onward);
}

function tunnel(
  options: ProxyOptions,
  seen: string[],
  open: Set<Duplex>,
  request: IncomingMessage,
  client: Duplex,
  head: Buffer,
): void {
  const target = request.url ?? '';
  seen.push(`CONNECT ${target}`);
  if (!isAllowed(options, request)) {
    client.end(
      'HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm="proxy"\r\n\r\n',
    );
    return;
  }
  if (options.refuse !== undefined) {
    client.end(`HTTP/1.1 ${options.refuse} No\r\nContent-Length: 0\r\n\r\n`);
    return;
  }
  const { hostname, port } = new URL(`http://${target}`);
  const upstream = connect(Number(port || 80), whereIs(options, hostname.replace(/^\[|\]$/g, '')));
  keep(open, upstream);
  upstream.once('connect', () => {
    client.write('HTTP/1.1 200 Connection established\r\nVia: 1.1 test\r\n\r\n');
    upstream.write(head);
    relay(upstream, client, options.cutAfter);
    client.pipe(upstream);
  });
  upstream.on('error', () => client.end('HTTP/1.1 502 Bad Gateway\r\n\r\n'));
  client.on('error', () => upstream.destroy()).on('close', () => upstream.destroy());
  upstream.on('close', () => client.destroy());
}

function relay(from: Socket, to: Duplex, cutAfter: number | undefined): void {
  if (cutAfter === undefined) {
    from.pipe(to);
    return;
  }
  let passed = 0;
  from.on('data', (chunk) => {
    to.write(chunk.subarray(0, Math.max(0, cutAfter - passed)));
    passed += chunk.length;
    if (passed >= cutAfter) from.destroy();
  });
}

function isAllowed({ credentials }: ProxyOptions, request: IncomingMessage): boolean {
  if (!credentials) return true;
  const expected = Buffer.from(`${credentials.user}:${credentials.password}`).toString('base64');
  return request.headers['proxy-authorization'] === `Basic ${expected}`;
}

function whereIs({ hosts }: ProxyOptions, host: string): string {
  return hosts?.[host] ?? host;
}

function keep(open: Set<Duplex>, socket: Duplex): void {
  open.add(socket);
  socket.on('error', () => undefined).once('close', () => open.delete(socket));
}

async function stop(server: Server, open: Set<Duplex>): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  for (const socket of open) socket.destroy();
  server.closeAllConnections();
  await closed;
}
