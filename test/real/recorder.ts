/** A reverse proxy in this process that keeps what requests said; the server behind it sees them as they were signed. */
import { createServer, request, type IncomingHttpHeaders, type RequestListener } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { Bench } from './bench.ts';

export interface Recorded {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface Recorder {
  readonly url: string;
  /** Since the last call. */
  readonly requests: () => Recorded[];
}

/** Starts one in front of `target` (`http://host:port`), over TLS with the certificate in `secure`. */
export async function startRecorder(
  bench: Bench,
  target: string,
  secure?: { folder: string },
): Promise<Recorder> {
  let requests: Recorded[] = [];
  const listener: RequestListener = (incoming, answer) => {
    const { method = 'GET', url: path = '/', headers } = incoming;
    const chunks: Buffer[] = [];
    const onward = request(`${target}${path}`, { method, headers, setHost: false }, (response) => {
      answer.writeHead(response.statusCode ?? 502, response.rawHeaders);
      response.pipe(answer);
    });
    onward.on('error', () => answer.destroy());
    answer.on('close', () => onward.destroy());
    incoming.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      onward.write(chunk);
    });
    incoming.on('end', () => {
      requests.push({ method, path, headers, body: Buffer.concat(chunks).toString() });
      onward.end();
    });
  };
  const server = secure
    ? createTlsServer(
        {
          cert: readFileSync(join(secure.folder, 'public.crt')),
          key: readFileSync(join(secure.folder, 'private.key')),
        },
        listener,
      )
    : createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  bench.onEnd(() => {
    server.close();
    server.closeAllConnections();
  });
  return {
    url: `${secure ? 'https' : 'http'}://127.0.0.1:${String((server.address() as AddressInfo).port)}`,
    requests: () => {
      const all = requests;
      requests = [];
      return all;
    },
  };
}
