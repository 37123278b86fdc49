/** One connected socket: resolve, judge, dial, tunnel, TLS. */
import { connect as netConnect, type OnReadOpts, type Socket } from 'node:net';
import { connect as tlsConnect, type ConnectionOptions } from 'node:tls';
import type { Reach, Transport } from '../fetcher.ts';
import {
  addressClass,
  bareHost,
  checkHost,
  isAllowed,
  leastClass,
  refusedAddress,
  type NetPolicy,
} from './address-policy.ts';
import type { SecureContexts } from './ca.ts';
import { connectionFailure, portOf, systemCode, abortFailure } from './failures.ts';
import type { ConnectOptions } from './network.ts';
import { proxyName } from './proxy.ts';
import type { HostAddresses } from './resolve-host.ts';
import { openTunnel } from './tunnel.ts';
import { orAborted, untilEvent, within } from './until.ts';

/** Milliseconds for everything when the caller does not say. */
const CONNECT_MS = 15_000;
/** Milliseconds for one of several addresses; the last one may take what is left. */
const ADDRESS_MS = 3_000;

export interface Connected {
  readonly socket: Socket;
  readonly usesOnread: boolean;
}

/** What connecting needs to know beside the URL: one per run. */
export interface Dialer {
  readonly policy: NetPolicy;
  readonly contexts: SecureContexts;
  readonly addresses: HostAddresses;
}

/** A socket to the origin of `url`, through `proxy` by CONNECT when there is one. The errors are those of `Network.connect`. */
export async function connectTo(
  dialer: Dialer,
  url: URL,
  proxy: URL | undefined,
  options: ConnectOptions,
): Promise<Connected> {
  const { signal, transport, timeoutMs = CONNECT_MS } = options;
  const what = `connecting to ${bareHost(url.hostname)}:${portOf(url)}`;
  try {
    const least = leastClass(dialer.policy, transport);
    checkHost(url, least, proxy !== undefined);
    return await within(signal, timeoutMs, what, (ends) =>
      proxy
        ? throughProxy(dialer, url, proxy, transport, ends)
        : direct(dialer, url, least, options, ends),
    );
  } catch (error) {
    if (signal.aborted) throw abortFailure(signal);
    throw connectionFailure(error, url);
  }
}

/** A socket to a forward proxy itself, for requests in absolute form. */
export async function connectToProxy(
  dialer: Dialer,
  proxy: URL,
  signal: AbortSignal,
): Promise<Socket> {
  try {
    return await within(signal, CONNECT_MS, `connecting to the proxy ${proxyName(proxy)}`, (ends) =>
      toProxy(dialer, proxy, ends),
    );
  } catch (error) {
    if (signal.aborted) throw abortFailure(signal);
    throw connectionFailure(error, new URL(proxyName(proxy)), `the proxy ${proxyName(proxy)}`);
  }
}

async function direct(
  dialer: Dialer,
  url: URL,
  least: Reach | undefined,
  options: ConnectOptions,
  ends: AbortSignal,
): Promise<Connected> {
  const secure = url.protocol === 'https:' && tlsOptions(dialer, url, options.transport);
  const socket = await dial(dialer, url, least, secure || undefined, options.onread, ends);
  return { socket, usesOnread: options.onread !== undefined };
}

async function throughProxy(
  dialer: Dialer,
  url: URL,
  proxy: URL,
  transport: Transport | undefined,
  ends: AbortSignal,
): Promise<Connected> {
  const socket = await toProxy(dialer, proxy, ends);
  await openTunnel(socket, proxy, url, ends);
  if (url.protocol !== 'https:') return { socket, usesOnread: false };
  // TLS over a given socket: Node ignores `onread` there.
  const secure = tlsConnect({ ...tlsOptions(dialer, url, transport), socket });
  await untilEvent(secure, 'secureConnect', ends);
  return { socket: settled(secure), usesOnread: false };
}

/** The operator chose the proxy: no address policy for it, and its certificate is checked against the common roots. */
async function toProxy(dialer: Dialer, proxy: URL, ends: AbortSignal): Promise<Socket> {
  const secure = proxy.protocol === 'https:' ? tlsOptions(dialer, proxy, undefined) : undefined;
  try {
    return await dial(dialer, proxy, undefined, secure, undefined, ends);
  } catch (error) {
    throw connectionFailure(error, new URL(proxyName(proxy)), `the proxy ${proxyName(proxy)}`);
  }
}

/** Tries every allowed address in turn. The address that was judged is the one connected to: a second lookup could lie. */
async function dial(
  dialer: Dialer,
  url: URL,
  least: Reach | undefined,
  secure: ConnectionOptions | undefined,
  onread: OnReadOpts | undefined,
  ends: AbortSignal,
): Promise<Socket> {
  const host = bareHost(url.hostname);
  const addresses = await allowedAddresses(dialer, url, host, least, ends);
  const port = Number(portOf(url));
  let failure: unknown;
  for (const [index, address] of addresses.entries()) {
    try {
      return await dialOne(
        { host: address, port },
        secure,
        onread,
        ends,
        index < addresses.length - 1,
      );
    } catch (error) {
      // What is wrong with a certificate is wrong on every address of the host.
      if (ends.aborted || connectionFailure(error, url).code !== 'UNAVAILABLE') throw error;
      dialer.addresses.failed(host, address);
      failure ??= error;
      if (systemCode(failure) === 'ENETUNREACH') failure = error;
    }
  }
  throw failure;
}

async function allowedAddresses(
  dialer: Dialer,
  url: URL,
  host: string,
  least: Reach | undefined,
  ends: AbortSignal,
): Promise<readonly string[]> {
  if (addressClass(host) !== undefined) return [host];
  const all = await orAborted(dialer.addresses.of(host), ends);
  const allowed = all.filter((address) => isAllowed(addressClass(address) ?? 'unspecified', least));
  if (allowed.length > 0) return allowed;
  const [first] = all;
  if (first === undefined)
    throw Object.assign(new Error(`${host} has no address`), { code: 'ENOTFOUND' });
  throw refusedAddress(url, first, addressClass(first) ?? 'unspecified', least);
}

async function dialOne(
  to: { host: string; port: number },
  secure: ConnectionOptions | undefined,
  onread: OnReadOpts | undefined,
  ends: AbortSignal,
  thereAreOthers: boolean,
): Promise<Socket> {
  const common = { ...to, ...(onread && { onread }) };
  const socket = secure ? tlsConnect({ ...secure, ...common }) : netConnect(common);
  const connected = untilEvent(socket, secure ? 'secureConnect' : 'connect', ends);
  const timer =
    thereAreOthers &&
    setTimeout(() => {
      socket.destroy(Object.assign(new Error(`${to.host} does not answer`), { code: 'ETIMEDOUT' }));
    }, ADDRESS_MS);
  try {
    await connected;
    return settled(socket);
  } finally {
    if (timer) clearTimeout(timer);
  }
}

function settled(socket: Socket): Socket {
  socket.setNoDelay(true).setKeepAlive(true, 30_000);
  // An error between two listeners of ours must not end the process; whoever uses the socket listens too.
  return socket.on('error', () => undefined);
}

/** SNI is sent for names only (RFC 6066 section 3); identity is always checked against the URL's host. */
function tlsOptions(dialer: Dialer, url: URL, transport: Transport | undefined): ConnectionOptions {
  const host = bareHost(url.hostname);
  return {
    host,
    ...(addressClass(host) === undefined && { servername: host }),
    secureContext: dialer.contexts.for(transport),
    ...(transport?.insecure === true && { rejectUnauthorized: false }),
    ALPNProtocols: ['http/1.1'],
  };
}
