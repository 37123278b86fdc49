/**
 * A plain TCP forwarder in front of a real server. It counts what the server sent, so that "nothing was downloaded" is
 * seen on the wire and not read from our own report, and it can cut connections in the middle of a body.
 */
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

export interface Wire {
  readonly port: number;
  /** Bytes the server sent since `reset`. */
  readonly received: () => number;
  readonly reset: () => void;
  /** The next `times` connections that deliver more than `bytes` end there, without warning. */
  readonly cut: (bytes: number, times: number) => void;
  /** Cuts that have happened since the last call of `cut`. */
  readonly cuts: () => number;
  readonly close: () => Promise<void>;
}

export async function startWire(target: () => number): Promise<Wire> {
  const open = new Set<Socket>();
  let received = 0;
  let cutAfter = Infinity;
  let cutsLeft = 0;
  let cuts = 0;

  const server = createServer((near) => {
    const far = connect(target(), '127.0.0.1');
    let delivered = 0;
    const end = (): void => {
      near.destroy();
      far.destroy();
    };
    for (const socket of [near, far]) {
      open.add(socket);
      socket.on('error', end).on('close', () => {
        open.delete(socket);
        end();
      });
    }
    near.pipe(far);
    far.on('data', (chunk: Buffer) => {
      received += chunk.length;
      delivered += chunk.length;
      if (delivered > cutAfter && cutsLeft > 0) {
        cutsLeft -= 1;
        cuts += 1;
        end();
      } else if (!near.write(chunk)) {
        far.pause();
        near.once('drain', () => far.resume());
      }
    });
    // What is still in flight is delivered before the end is passed on.
    far.on('end', () => near.end());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    received: () => received,
    reset: () => {
      received = 0;
    },
    cut: (bytes, times) => {
      cutAfter = bytes;
      cutsLeft = times;
      cuts = 0;
    },
    cuts: () => cuts,
    close: () =>
      new Promise((resolve) => {
        for (const socket of open) socket.destroy();
        server.close(() => {
          resolve();
        });
      }),
  };
}

/** A port nobody listens on. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise<void>((resolve) =>
    server.close(() => {
      resolve();
    }),
  );
  return port;
}
