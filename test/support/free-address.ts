/** Where nobody listens, nor will: the servers of tests that run at the same time get ports of 127.0.0.1. */
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';

export async function freeAddress(): Promise<{ host: string; port: number; origin: string }> {
  const host = ['127', randomInt(1, 255), randomInt(256), randomInt(1, 255)].join('.');
  const server = createServer().listen(0, host);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return { host, port, origin: `http://${host}:${String(port)}` };
}
