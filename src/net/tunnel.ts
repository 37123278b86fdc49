/** CONNECT: a way through a proxy to another host. Source: RFC 9110 section 9.3.6. */
import type { Socket } from 'node:net';
import { portOf } from './failures.ts';
import { basicCredentials } from './proxy.ts';
import { proxyRefusal } from './proxy-refusal.ts';

const MAX_HEAD = 16 * 1024;

/** Asks the proxy behind `socket` for a tunnel to `url`'s origin. Afterwards `socket` speaks with that origin. */
export async function openTunnel(
  socket: Socket,
  proxy: URL,
  url: URL,
  signal: AbortSignal,
): Promise<void> {
  const target = `${url.hostname}:${portOf(url)}`;
  const credentials = basicCredentials(proxy);
  const lines = [`CONNECT ${target} HTTP/1.1`, `Host: ${target}`];
  if (credentials !== undefined) lines.push(`Proxy-Authorization: ${credentials}`);
  socket.write(`${lines.join('\r\n')}\r\n\r\n`);
  const head = await readHead(socket, signal);
  const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(head)?.[1] ?? 0);
  if (status >= 200 && status < 300) return;
  socket.destroy();
  throw proxyRefusal(status, proxy, `CONNECT ${target}`, url);
}

/** The proxy's answer up to its empty line. Whatever follows is put back. */
function readHead(socket: Socket, signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    let seen = Buffer.alloc(0);
    const settle = (error: unknown, head = '') => {
      socket.off('readable', onReadable).off('error', settle).off('end', onEnd).off('close', onEnd);
      signal.removeEventListener('abort', onAbort);
      if (error === undefined) {
        resolve(head);
        return;
      }
      socket.on('error', () => undefined).destroy();
      reject(error instanceof Error ? error : new Error('aborted', { cause: error }));
    };
    const onReadable = () => {
      for (let chunk = read(socket); chunk; chunk = read(socket)) {
        seen = Buffer.concat([seen, chunk]);
        const end = seen.indexOf('\r\n\r\n');
        if (end >= 0) {
          if (seen.length > end + 4) socket.unshift(seen.subarray(end + 4));
          settle(undefined, seen.toString('latin1', 0, end));
          return;
        }
        if (seen.length > MAX_HEAD) {
          settle(new Error('the proxy answers with something that is not HTTP'));
          return;
        }
      }
    };
    const onEnd = () => {
      settle(Object.assign(new Error('the proxy closed the connection'), { code: 'ECONNRESET' }));
    };
    const onAbort = () => {
      settle(signal.reason);
    };
    socket.on('readable', onReadable).once('error', settle).once('end', onEnd).once('close', onEnd);
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
  });
}

function read(socket: Socket): Buffer | null {
  return socket.read() as Buffer | null;
}
