/** A server that says exactly the bytes a test wants, for answers no HTTP library would send. */
import { connect, createServer, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';

export interface RawRequest {
  /** Request line and header lines. */
  readonly lines: readonly string[];
  /** Header value, by lower-case name. */
  header(name: string): string | undefined;
  /** Of all requests of this server, from 0. */
  readonly index: number;
}

export interface RawServer extends AsyncDisposable {
  readonly url: string;
  readonly requests: RawRequest[];
  /** Sockets open now. */
  readonly open: ReadonlySet<Socket>;
}

/** `answer` writes what it likes; the connection stays open unless it ends it. */
export async function startRaw(
  answer: (request: RawRequest, socket: Socket) => void | Promise<void>,
  certificate?: { cert: string; key: string },
): Promise<RawServer> {
  const requests: RawRequest[] = [];
  const open = new Set<Socket>();
  const accept = (socket: Socket): void => {
    open.add(socket);
    let buffered = '';
    socket.on('data', (chunk) => {
      buffered += chunk.toString('latin1');
      for (let end = buffered.indexOf('\r\n\r\n'); end !== -1; end = buffered.indexOf('\r\n\r\n')) {
        const lines = buffered.slice(0, end).split('\r\n');
        buffered = buffered.slice(end + 4);
        const request: RawRequest = {
          lines,
          index: requests.length,
          header: (name) =>
            lines
              .find((line) => line.toLowerCase().startsWith(`${name}:`))
              ?.slice(name.length + 1)
              .trim(),
        };
        requests.push(request);
        void answer(request, socket);
      }
    });
    socket.on('error', () => undefined);
    socket.on('close', () => open.delete(socket));
  };
  const server = certificate ? createTlsServer(certificate, accept) : createServer(accept);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `${certificate ? 'https' : 'http'}://127.0.0.1:${String(port)}`,
    requests,
    open,
    [Symbol.asyncDispose]: async () => {
      for (const socket of open) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** handshake_failure, fatal (RFC 8446 section 6), as a record that is not encrypted. */
const ALERT = Buffer.from([0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x28]);

/** In front of a server with TLS: an alert of somebody else's instead of its handshake (0), or after the first request (1). */
export async function startAlerting(
  behind: RawServer,
  requests: 0 | 1,
): Promise<Pick<RawServer, 'url'> & AsyncDisposable> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    if (requests === 0) {
      socket.once('data', () => socket.end(ALERT));
      return;
    }
    const inner = connect(Number(new URL(behind.url).port), '127.0.0.1');
    inner.on('error', () => undefined);
    socket.pipe(inner).pipe(socket, { end: false });
    const timer = setInterval(() => {
      if (behind.requests.length < requests) return;
      clearInterval(timer);
      setTimeout(() => {
        inner.destroy();
        socket.end(ALERT);
      }, 50);
    }, 10);
    socket.on('close', () => {
      clearInterval(timer);
      inner.destroy();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `https://127.0.0.1:${String((server.address() as AddressInfo).port)}`,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
