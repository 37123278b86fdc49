/** The network of one run, from its environment and policy. */
import type { Transport } from '../fetcher.ts';
import { leastClass, checkHost } from './address-policy.ts';
import { PlainAgent, SecureAgent, type AgentRoutes } from './agents.ts';
import { connectToProxy, type Dialer } from './connect.ts';
import { createConnector, type NetworkOptions } from './create-connector.ts';
import type { Network } from './network.ts';

export type { NetworkOptions } from './create-connector.ts';

/** Makes a `Network`. Nothing is read or opened before it is used. */
export function createNetwork(options: NetworkOptions = {}): Network {
  const { dialer, ...connector } = createConnector(options);
  const closed = new AbortController();
  const agents = new Map<string, ReturnType<Network['agents']>>();

  const network: Network = {
    ...connector,
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
