/** How this run reaches the network: one object, made once from the environment and the flags. */
import type { Agent as HttpAgent } from 'node:http';
import type { Agent as HttpsAgent } from 'node:https';
import type { OnReadOpts, Socket } from 'node:net';
import type { Transport } from '../fetcher.ts';

export interface ConnectOptions {
  readonly signal: AbortSignal;
  /** Milliseconds for name resolution, connection, proxy and TLS together. */
  readonly timeoutMs?: number;
  readonly transport?: Transport;
  /** Reads land in the caller's buffer where Node can do that (`net`, direct `tls.connect`; not TLS over CONNECT). */
  readonly onread?: OnReadOpts;
}

/** Makes sockets. */
export interface Connector {
  /**
   * A connected socket to the origin of `url`, TLS done, through a proxy tunnel where one applies: address policy checked
   * on what is connected to, all resolved addresses tried in turn. Throws `UNAVAILABLE` (retryable), or `REFUSED` by
   * policy. `usesOnread` says whether `onread` is in force; else the caller listens to `'data'`.
   */
  connect(url: URL, options: ConnectOptions): Promise<{ socket: Socket; usesOnread: boolean }>;
  /** The proxy for `url`, when one applies and the source does not say otherwise. */
  proxyFor(url: URL, transport?: Transport): URL | undefined;
  /** True when requests to `url` must be sent to the proxy in absolute form (plain http): the slow lane's business. */
  needsForwardProxy(url: URL, transport?: Transport): boolean;
}

export interface Network extends Connector {
  /** Node agents under the same rules. Kept and shared per transport. */
  agents(transport?: Transport): { http: HttpAgent; https: HttpsAgent };
  close(): void;
}
