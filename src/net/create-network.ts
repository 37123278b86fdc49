/** The network of one run, from its environment and policy. */
import type { Transport } from '../fetcher.ts';
import type { Env } from '../registry.ts';
import { leastClass, checkHost, type NetPolicy } from './address-policy.ts';
import { PlainAgent, SecureAgent, type AgentRoutes } from './agents.ts';
import { caFiles, SecureContexts } from './ca.ts';
import { connectTo, connectToProxy, type Dialer } from './connect.ts';
import type { Network } from './network.ts';
import { Proxies } from './proxy.ts';
import { HostAddresses, type Lookup } from './resolve-host.ts';

export interface NetworkOptions {
  /** Proxies and CA bundles are read from here, and nowhere else. */
  readonly env?: Env;
  readonly policy?: NetPolicy;
  /** Names to addresses. Default: the system's resolver. */
  readonly lookup?: Lookup;
}

/** Makes a `Network`. Nothing is read or opened before it is used. */
export function createNetwork({
  env = {},
  policy = 'default',
  lookup,
}: NetworkOptions = {}): Network {
  const proxies = new Proxies(env);
  const dialer: Dialer = {
    policy,
    contexts: new SecureContexts(caFiles(env)),
    addresses: new HostAddresses(lookup),
  };
  const closed = new AbortController();
  const agents = new Map<string, ReturnType<Network['agents']>>();

  const network: Network = {
    connect: async (url, options) =>
      connectTo(dialer, url, proxies.for(url, options.transport), options),
    proxyFor: (url, transport) => proxies.for(url, transport),
    needsForwardProxy: (url, transport) =>
      url.protocol === 'http:' && proxies.for(url, transport) !== undefined,
    agents(transport) {
      const key = JSON.stringify(transport ?? {}, Object.keys(transport ?? {}).sort());
      const known = agents.get(key);
      if (known) return known;
      const routes = routesFor(network, dialer, transport, closed.signal);
      const made = { http: new PlainAgent(routes), https: new SecureAgent(routes) };
      agents.set(key, made);
      return made;
    },
    close() {
      closed.abort();
      for (const { http, https } of agents.values()) {
        http.destroy();
        https.destroy();
      }
      agents.clear();
    },
  };
  return network;
}

function routesFor(
  network: Network,
  dialer: Dialer,
  transport: Transport | undefined,
  closed: AbortSignal,
): AgentRoutes {
  const forwardProxy = (url: URL) =>
    url.protocol === 'http:' ? network.proxyFor(url, transport) : undefined;
  return {
    closed,
    forwardProxy,
    async connect(url, signal) {
      const proxy = forwardProxy(url);
      if (proxy) {
        checkHost(url, leastClass(dialer.policy, transport), true);
        return connectToProxy(dialer, proxy, signal);
      }
      const { socket } = await network.connect(url, { signal, ...(transport && { transport }) });
      return socket;
    },
  };
}
