/** How sockets are made, without the agents that only the control plane needs: what a thread loads should be little. */
import type { Env } from '../registry.ts';
import type { NetPolicy } from './address-policy.ts';
import { caFiles, SecureContexts } from './ca.ts';
import { connectTo, type Dialer } from './connect.ts';
import type { Connector } from './network.ts';
import { Proxies } from './proxy.ts';
import { HostAddresses, type Lookup } from './resolve-host.ts';

export interface NetworkOptions {
  /** Proxies and CA bundles are read from here, and nowhere else. */
  readonly env?: Env;
  readonly policy?: NetPolicy;
  /** Names to addresses. Default: the system's resolver. */
  readonly lookup?: Lookup;
}

/** Makes a `Connector`, and the dialer it works with. Nothing is read or opened before it is used. */
export function createConnector({
  env = {},
  policy = 'default',
  lookup,
}: NetworkOptions = {}): Connector & { readonly dialer: Dialer } {
  const proxies = new Proxies(env);
  const dialer: Dialer = {
    policy,
    contexts: new SecureContexts(caFiles(env)),
    addresses: new HostAddresses(lookup),
  };
  return {
    dialer,
    connect: async (url, options) =>
      connectTo(dialer, url, proxies.for(url, options.transport), options),
    proxyFor: (url, transport) => proxies.for(url, transport),
    needsForwardProxy: (url, transport) =>
      url.protocol === 'http:' && proxies.for(url, transport) !== undefined,
  };
}
