/** A server that says exactly the bytes a test wants, for answers no HTTP library would send. */
import { createServer, type Socket } from 'node:net';
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
