/** Which proxy applies to a URL, as curl, Go and Python read the same variables. */
import { BlockList, isIP, isIPv4 } from 'node:net';
import { ModelFetchError } from '../errors.ts';
import type { Transport } from '../fetcher.ts';
import type { Env } from '../registry.ts';
import { bareHost } from './address-policy.ts';
import { portOf } from './failures.ts';

/** The proxies of an environment. Values may hold credentials and are never printed. */
export class Proxies {
  readonly #byProtocol: Readonly<Record<string, string | undefined>>;
  readonly #isExempt: (url: URL) => boolean;

  constructor(env: Env) {
    const either = (name: string) => env[name.toLowerCase()] ?? env[name];
    // A CGI program gets a client's `Proxy:` header as HTTP_PROXY; curl and Go ignore the upper-case name there.
    const http = env['REQUEST_METHOD'] === undefined ? either('HTTP_PROXY') : env['http_proxy'];
    const all = either('ALL_PROXY');
    this.#byProtocol = { 'http:': http || all, 'https:': either('HTTPS_PROXY') || all };
    this.#isExempt = noProxy(either('NO_PROXY') ?? '');
  }

  /** The proxy for `url`; the source's own word (`''` means none) goes before the environment's. */
  for(url: URL, transport?: Transport): URL | undefined {
    const own = transport?.proxy;
    if (own !== undefined) return own === '' ? undefined : parseProxy(own);
    const value = this.#byProtocol[url.protocol];
    if (!value || this.#isExempt(url)) return undefined;
    return parseProxy(value);
  }
}

/** `Basic …` for the credentials in a proxy's URL, percent-decoded; undefined when it has none. */
export function basicCredentials(url: URL): string | undefined {
  if (url.username === '' && url.password === '') return undefined;
  const text = `${decoded(url.username)}:${decoded(url.password)}`;
  return `Basic ${Buffer.from(text).toString('base64')}`;
}

/** A proxy's URL without its credentials, for messages. */
export function proxyName(proxy: URL): string {
  return `${proxy.protocol}//${proxy.host}`;
}

function parseProxy(value: string): URL {
  const text = /^[a-z][a-z0-9+.-]*:\/\//i.test(value) ? value : `http://${value}`;
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw new ModelFetchError('INVALID_OPTION', 'the proxy is not a URL', {
      hint: 'HTTP_PROXY, HTTPS_PROXY and ALL_PROXY take http://host:port; special characters in a password are percent-encoded.',
    });
  }
  if (url.protocol === 'http:' || url.protocol === 'https:') return url;
  throw new ModelFetchError('UNSUPPORTED', `proxies of type ${url.protocol}// are not supported`, {
    hint: 'Use an http:// or https:// proxy, or list the host in NO_PROXY.',
  });
}

/** Whether a URL is exempt by a `NO_PROXY` list: names with their subdomains, addresses, CIDR blocks, `*`; optional ports. */
export function noProxy(list: string): (url: URL) => boolean {
  const rules = list
    .split(/[\s,]+/)
    .filter(Boolean)
    .map(rule);
  return (url) => {
    const host = bareHost(url.hostname);
    const port = portOf(url);
    return rules.some((matches) => matches(host, port));
  };
}

type Rule = (host: string, port: string) => boolean;

function rule(entry: string): Rule {
  if (entry === '*') return () => true;
  const cidr = cidrRule(entry);
  if (cidr) return cidr;
  const { name, port } = splitPort(entry.toLowerCase());
  const matches = isIP(name) ? addressRule(name) : nameRule(name);
  return (host, hostPort) => (port === undefined || port === hostPort) && matches(host);
}

function nameRule(name: string): (host: string) => boolean {
  const bare = name.replace(/^\*?\./, '').replace(/\.$/, '');
  return (host) => bare !== '' && (host === bare || host.endsWith(`.${bare}`));
}

function addressRule(address: string): (host: string) => boolean {
  const block = new BlockList();
  block.addAddress(address, isIPv4(address) ? 'ipv4' : 'ipv6');
  return (host) => isIP(host) !== 0 && block.check(host, isIPv4(host) ? 'ipv4' : 'ipv6');
}

function cidrRule(entry: string): Rule | undefined {
  const match = /^\[?([0-9a-f.:]+)\]?\/(\d{1,3})$/i.exec(entry);
  if (!match || isIP(match[1]!) === 0) return undefined;
  const family = isIPv4(match[1]!) ? 'ipv4' : 'ipv6';
  const prefix = Number(match[2]);
  if (prefix > (family === 'ipv4' ? 32 : 128)) return () => false;
  const block = new BlockList();
  block.addSubnet(match[1]!, prefix, family);
  return (host) => isIP(host) !== 0 && block.check(host, isIPv4(host) ? 'ipv4' : 'ipv6');
}

function splitPort(entry: string): { name: string; port?: string } {
  if (isIP(entry) !== 0) return { name: entry };
  const match = /^(\[[^\]]*\]|[^:]*)(?::(\d+))?$/.exec(entry);
  const name = (match?.[1] ?? entry).replace(/^\[|\]$/g, '');
  return match?.[2] === undefined ? { name } : { name, port: match[2] };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
