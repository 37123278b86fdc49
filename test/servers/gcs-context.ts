/** The package's own client and slow lane around a resolver: what the engine does, without the engine. */
import type {
  Entry,
  Fetcher,
  ResolveContext,
  Resolver,
  ByteRange,
  HttpLocation,
} from '../../src/fetcher.ts';
import { createHttpClient } from '../../src/http/client.ts';
import { createSlowLane } from '../../src/http/slow-lane.ts';
import { createNetwork } from '../../src/net/create-network.ts';
import { parseRef } from '../../src/ref.ts';
import type { Env } from '../../src/registry.ts';

export interface Bench {
  readonly context: ResolveContext;
  resolve(resolver: Resolver, uri: string): Promise<Fetcher>;
  /** What the slow lane reads, after its checks. */
  read(location: HttpLocation, size?: number, range?: ByteRange): Promise<string>;
  close(): void;
}

export function openBench(env: Env = {}): Bench {
  const network = createNetwork({ env });
  const lane = createSlowLane({ network });
  const context: ResolveContext = {
    signal: new AbortController().signal,
    http: createHttpClient({ network, backoffMs: 1 }),
    resolve: () => Promise.reject(new Error('this scheme points at no other')),
    scratch: () => Promise.reject(new Error('this scheme needs no scratch')),
  };
  return {
    context,
    resolve: (resolver, uri) => resolver.resolve(parseRef(uri), context),
    async read(location, size, range) {
      const chunks: Buffer[] = [];
      await lane({
        location,
        ...(size !== undefined && { size }),
        ...(range && { range }),
        sink: (chunk) => void chunks.push(Buffer.from(chunk)),
        signal: context.signal,
        stallMs: 5000,
      });
      return Buffer.concat(chunks).toString();
    },
    close: () => network.close(),
  };
}

export async function collect(fetcher: Fetcher): Promise<Entry[]> {
  const entries: Entry[] = [];
  for await (const entry of fetcher.list()) entries.push(entry);
  return entries;
}
