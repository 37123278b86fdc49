/**
 * The fast lane: strict HTTP/1.1 over `net` and `tls`, a pool of keep-alive connections per origin. It takes only answers
 * it fully understands and leaves the rest, by `NotForFastLane`, to the slow lane.
 */
import type { Transport } from '../fetcher.ts';
import type { Connector } from '../net/network.ts';
import { urlParts } from '../plain-url.ts';
import { Connection } from './connection.ts';
import { ask } from './http-range.ts';
import { NotForFastLane, type Lane, type LaneJob } from './lane.ts';
import { formatRequest } from './parse-head.ts';

/** Milliseconds an idle connection is kept: below the 5 s after which common servers close theirs. */
const KEEP_MS = 4_000;

interface Idle {
  readonly connection: Connection;
  readonly since: number;
}

/** An origin, as one kind of transport reaches it. */
interface Host {
  readonly idle: Idle[];
  /** Why its requests are not for this lane. */
  readonly unfit: string | undefined;
}

/** `close` ends idle connections; those at work end with their jobs' signals. */
export function createFastLane(options: { network: Connector }): { lane: Lane; close(): void } {
  const { network } = options;
  const hosts = new Map<string, Host>();
  /** Most requests go where the one before went. */
  let last: { origin: URL; transport: Transport | undefined; host: Host } | undefined;

  const lane: Lane = async (job) => {
    const { url, headers } = ask(job.location, job.range);
    const { origin, rest } = urlParts(url);
    const { idle, unfit } = hostOf(origin, job.location.transport);
    if (unfit !== undefined) throw new NotForFastLane(unfit);
    const request = formatRequest(rest, origin.host, headers);
    const kept = takeIdle(idle);
    if (kept) {
      try {
        return await kept.exchange(request, job);
      } catch (error) {
        // The server may close a kept connection just as we write to it (RFC 9112 section 9.3.1): a GET goes again.
        if (kept.answered || job.signal.aborted) throw error;
      } finally {
        giveBack(idle, kept);
      }
    }
    const fresh = await open(job);
    try {
      return await fresh.exchange(request, job);
    } finally {
      giveBack(idle, fresh);
    }
  };

  function hostOf(origin: URL, transport: Transport | undefined): Host {
    if (last?.origin === origin && last.transport === transport) return last.host;
    const key = `${origin.href} ${transport ? JSON.stringify(transport) : '{}'}`;
    let host = hosts.get(key);
    if (!host) hosts.set(key, (host = { idle: [], unfit: unfit(origin, transport) }));
    last = { origin, transport, host };
    return host;
  }

  function unfit(origin: URL, transport: Transport | undefined): string | undefined {
    if (origin.protocol !== 'http:' && origin.protocol !== 'https:') return origin.protocol;
    return network.needsForwardProxy(origin, transport) ? 'a forward proxy' : undefined;
  }

  async function open({ location, signal, stallMs }: LaneJob): Promise<Connection> {
    const connection = new Connection();
    const { socket, usesOnread } = await network.connect(new URL(location.url), {
      signal,
      timeoutMs: Math.min(stallMs, 15_000),
      onread: connection.onread,
      ...(location.transport && { transport: location.transport }),
    });
    connection.attach(socket, usesOnread);
    return connection;
  }

  return {
    lane,
    close: () => {
      for (const { idle } of hosts.values())
        for (const { connection } of idle) connection.destroy();
      hosts.clear();
      last = undefined;
    },
  };
}

function takeIdle(idle: Idle[]): Connection | undefined {
  for (let last = idle.pop(); last; last = idle.pop()) {
    const { connection, since } = last;
    if (connection.usable && Date.now() - since < KEEP_MS) return connection;
    connection.destroy();
  }
  return undefined;
}

function giveBack(idle: Idle[], connection: Connection): void {
  if (connection.usable) idle.push({ connection, since: Date.now() });
  else connection.destroy();
}
