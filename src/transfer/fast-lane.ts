/**
 * The fast lane: strict HTTP/1.1 over `net` and `tls`, a pool of keep-alive connections per origin. It takes only answers
 * it fully understands and leaves the rest, by `NotForFastLane`, to the slow lane.
 */
import type { HttpLocation } from '../fetcher.ts';
import type { Connector } from '../net/network.ts';
import { Connection } from './connection.ts';
import { ask } from './http-range.ts';
import { NotForFastLane, type Head, type Lane, type LaneJob } from './lane.ts';
import { formatRequest } from './parse-head.ts';

/** Milliseconds an idle connection is kept: below the 5 s after which common servers close theirs. */
const KEEP_MS = 4_000;

interface Idle {
  readonly connection: Connection;
  readonly since: number;
}

/** `close` ends idle connections; those at work end with their jobs' signals. */
export function createFastLane(options: { network: Connector }): { lane: Lane; close(): void } {
  const { network } = options;
  const idle = new Map<string, Idle[]>();

  const lane: Lane = async (job) => {
    const { url, headers } = ask(job.location, job.range);
    if (url.protocol !== 'http:' && url.protocol !== 'https:')
      throw new NotForFastLane(url.protocol);
    if (network.needsForwardProxy(url, job.location.transport))
      throw new NotForFastLane('a forward proxy');
    const request = formatRequest(url, headers);
    const key = originKey(url, job.location);
    const kept = takeIdle(idle, key);
    if (kept) {
      try {
        return await run(kept, key, request, job);
      } catch (error) {
        // The server may close a kept connection just as we write to it (RFC 9112 section 9.3.1): a GET goes again.
        if (kept.answered || job.signal.aborted) throw error;
      }
    }
    return run(await open(url, job), key, request, job);
  };

  async function open(url: URL, job: LaneJob): Promise<Connection> {
    const connection = new Connection(() => undefined);
    const { socket, usesOnread } = await network.connect(url, {
      signal: job.signal,
      timeoutMs: Math.min(job.stallMs, 15_000),
      onread: connection.onread,
      ...(job.location.transport && { transport: job.location.transport }),
    });
    connection.attach(socket, usesOnread);
    return connection;
  }

  async function run(
    connection: Connection,
    key: string,
    request: string,
    job: LaneJob,
  ): Promise<Head> {
    try {
      return await connection.exchange(request, job);
    } finally {
      if (connection.usable) {
        const list = idle.get(key) ?? [];
        list.push({ connection, since: Date.now() });
        idle.set(key, list);
      } else connection.destroy();
    }
  }

  return {
    lane,
    close: () => {
      for (const list of idle.values()) for (const { connection } of list) connection.destroy();
      idle.clear();
    },
  };
}

function originKey(url: URL, location: HttpLocation): string {
  return `${url.origin} ${JSON.stringify(location.transport ?? {})}`;
}

function takeIdle(idle: Map<string, Idle[]>, key: string): Connection | undefined {
  const list = idle.get(key);
  while (list && list.length > 0) {
    const { connection, since } = list.pop()!;
    if (connection.usable && Date.now() - since < KEEP_MS) return connection;
    connection.destroy();
  }
  return undefined;
}
