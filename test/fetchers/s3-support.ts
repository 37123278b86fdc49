/** What the S3 tests share: a context with plain agents, and reading a location over a real socket. */
import { Agent as HttpAgent, request } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { s3, type S3Options } from '../../src/fetchers/s3.ts';
import type {
  ByteRange,
  Entry,
  Fetcher,
  HttpClient,
  HttpLocation,
  ResolveContext,
} from '../../src/fetcher.ts';
import { parseRef } from '../../src/ref.ts';
import { ask } from '../../src/transfer/http-range.ts';
import type { S3Server } from '../servers/s3.ts';

/** A context whose agents are Node's own; `*.localhost` leads to this machine. */
export function contextFor(signal: AbortSignal = new AbortController().signal): ResolveContext {
  const lookup = { family: 4, lookup: localhost };
  const agents = { http: new HttpAgent(lookup as object), https: new HttpsAgent(lookup as object) };
  const http: HttpClient = {
    request: () => Promise.reject(new Error('S3 needs agents only')),
    agents: () => Promise.resolve(agents),
  };
  return {
    signal,
    http,
    resolve: () => Promise.reject(new Error('S3 points at no other scheme')),
    scratch: () => Promise.reject(new Error('S3 needs no scratch')),
  };
}

function localhost(
  _name: string,
  options: { all?: boolean },
  done: (error: null, address: unknown, family?: number) => void,
): void {
  if (options.all) done(null, [{ address: '127.0.0.1', family: 4 }]);
  else done(null, '127.0.0.1', 4);
}

/** Options that reach `server` with its default key. */
export function reach(server: S3Server, options: S3Options = {}): S3Options {
  return {
    endpoint: server.url,
    region: 'us-east-1',
    credentials: { accessKeyId: 'test', secretAccessKey: 'secret' },
    ...options,
  };
}

export function open(
  server: S3Server,
  uri: string,
  options: S3Options = {},
  context = contextFor(),
): Promise<Fetcher> {
  return s3(reach(server, options)).resolve(parseRef(uri), context);
}

export async function listed(fetcher: Fetcher): Promise<Entry[]> {
  return Array.fromAsync(fetcher.list());
}

/** Paths that `uri` lists, in order. */
export async function pathsOf(
  server: S3Server,
  uri: string,
  options: S3Options = {},
): Promise<string[]> {
  return (await listed(await open(server, uri, options))).map((entry) => entry.path);
}

/** The location of the only entry. */
export async function locateOnly(
  fetcher: Fetcher,
): Promise<{ entry: Entry; location: HttpLocation }> {
  const [entry] = await listed(fetcher);
  return { entry: entry!, location: (await fetcher.locate(entry!)) as HttpLocation };
}

export interface Answer {
  readonly status: number;
  readonly headers: Record<string, string>;
  readonly body: Buffer;
}

/** One GET, as the engine would make it. */
export async function read(location: HttpLocation, range?: ByteRange): Promise<Answer> {
  const { url, headers } = ask(location, range);
  return new Promise((resolve, reject) => {
    const asked = request(url, { headers, agent: false, lookup: localhost as never }, (answer) => {
      const chunks: Buffer[] = [];
      answer.on('data', (chunk: Buffer) => chunks.push(chunk));
      answer.on('error', reject);
      answer.on('end', () =>
        resolve({
          status: answer.statusCode!,
          headers: answer.headers as Record<string, string>,
          body: Buffer.concat(chunks),
        }),
      );
    });
    asked.on('error', reject);
    asked.end();
  });
}
