/** Node agents whose connections are made by us, for clients that want an agent (got, the SDKs). */
import type { Agent, ClientRequest, ClientRequestArgs, IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { basicCredentials } from './proxy.ts';
import { isProxys, proxyRefusal } from './proxy-refusal.ts';

/** An import of `node:http` reads each of its names, and with some of them Node loads its `fetch`: 15 ms and 10 MiB. */
const { Agent: HttpAgent } = process.getBuiltinModule('node:http');
const { Agent: HttpsAgent } = process.getBuiltinModule('node:https');

/** How agents get what they need from the network that makes them. */
export interface AgentRoutes {
  /** A ready socket to the origin of `url` (TLS done), or to its forward proxy. */
  connect(url: URL, signal: AbortSignal): Promise<Duplex>;
  /** The proxy to which requests to `url` are sent in absolute form. */
  forwardProxy(url: URL): URL | undefined;
  /** Aborted when the network is closed. */
  readonly closed: AbortSignal;
}

/** Node passes no socket beside an error, whatever the types say. */
type OnSocket = (error: Error | null, socket: Duplex) => void;
const REQUEST = Symbol('request');
interface SocketOptions extends ClientRequestArgs {
  [REQUEST]?: ClientRequest;
}

const OPTIONS = { keepAlive: true, keepAliveMsecs: 30_000, scheduling: 'lifo' } as const;

/** For `http://` URLs. */
export class PlainAgent extends HttpAgent {
  readonly #routes: AgentRoutes;
  constructor(routes: AgentRoutes) {
    super(OPTIONS);
    this.#routes = routes;
  }
  addRequest(request: ClientRequest, options: SocketOptions): void {
    const url = originOf('http:', options);
    const proxy = this.#routes.forwardProxy(url);
    if (proxy) {
      toAbsoluteForm(request, url, proxy);
      failByProxy(request, url, proxy);
    }
    superAddRequest(HttpAgent, this, request, options);
  }
  override createConnection(options: SocketOptions, callback?: OnSocket): undefined {
    open(this.#routes, 'http:', options, callback);
  }
}

/** For `https://` URLs: the sockets it is given have TLS behind them. */
export class SecureAgent extends HttpsAgent {
  readonly #routes: AgentRoutes;
  constructor(routes: AgentRoutes) {
    super(OPTIONS);
    this.#routes = routes;
  }
  addRequest(request: ClientRequest, options: SocketOptions): void {
    superAddRequest(HttpsAgent, this, request, options);
  }
  override createConnection(options: SocketOptions, callback?: OnSocket): undefined {
    open(this.#routes, 'https:', options, callback);
  }
}

/** `addRequest` is how a request reaches its agent; Node documents the class for overriding but types leave it out. */
function superAddRequest(
  base: typeof HttpAgent,
  agent: Agent,
  request: ClientRequest,
  options: SocketOptions,
): void {
  const prototype = base.prototype as unknown as {
    addRequest(this: Agent, request: ClientRequest, options: SocketOptions): void;
  };
  prototype.addRequest.call(agent, request, { ...options, [REQUEST]: request });
}

/** Connects for one request; a request that is given up before takes its connection attempt with it. */
function open(
  routes: AgentRoutes,
  protocol: string,
  options: SocketOptions,
  callback?: OnSocket,
): void {
  const gone = new AbortController();
  const forget = onDestroy(options[REQUEST], () => {
    gone.abort();
  });
  routes
    .connect(originOf(protocol, options), AbortSignal.any([gone.signal, routes.closed]))
    .finally(forget)
    .then(
      (socket) => callback?.(null, socket),
      (error: unknown) => (callback as ((error: unknown) => void) | undefined)?.(error),
    );
}

/** A request without a socket tells nobody that it was destroyed: there is no event until it gets one. */
function onDestroy(request: ClientRequest | undefined, then: () => void): () => void {
  if (!request) return () => undefined;
  const destroy = request.destroy.bind(request);
  request.destroy = (error) => {
    then();
    return destroy(error);
  };
  return () => {
    request.destroy = destroy;
  };
}

/** `GET http://host/path` instead of `GET /path`, with the proxy's credentials. Source: RFC 9112 section 3.2.2. */
function toAbsoluteForm(request: ClientRequest, origin: URL, proxy: URL): void {
  if (!request.path.startsWith('/')) return;
  request.path = `${origin.origin}${request.path}`;
  const credentials = basicCredentials(proxy);
  if (credentials !== undefined) request.setHeader('proxy-authorization', credentials);
}

/** What the proxy itself refuses becomes an error that names it: no client could tell it from the origin's answer. */
function failByProxy(request: ClientRequest, origin: URL, proxy: URL): void {
  const emit = request.emit.bind(request);
  let refusal: Error | undefined;
  request.emit = (event: string, ...values: unknown[]): boolean => {
    // Whatever else is wrong with the answer: some proxies send a body to HEAD.
    if (event === 'error' && refusal) return emit('error', refusal);
    const { statusCode = 0, headers } = (values[0] ?? {}) as Partial<IncomingMessage>;
    if (event !== 'response' || !isProxys(statusCode, headers ?? {})) return emit(event, ...values);
    refusal = proxyRefusal(statusCode, proxy, `${request.method} ${origin.origin}`, origin);
    request.destroy(refusal);
    return false;
  };
}

function originOf(protocol: string, options: SocketOptions): URL {
  const host = options.host ?? options.hostname ?? 'localhost';
  const bracketed = host.includes(':') && !host.startsWith('[') ? `[${host}]` : host;
  return new URL(
    `${protocol}//${bracketed}:${String(options.port ?? (protocol === 'https:' ? 443 : 80))}`,
  );
}
