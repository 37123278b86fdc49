/** Which addresses a model URI or a redirect may lead to. What is judged is the address that is connected to. */
import { isIPv4, isIPv6 } from 'node:net';
import { ModelFetchError } from '../errors.ts';
import type { Reach, Transport } from '../fetcher.ts';
import { embeddedV4, parseV4, parseV6 } from './address.ts';

/** How public an address is. The first four are never a place for models; the last three are ordered. */
export type AddressClass =
  'unspecified' | 'multicast' | 'link-local' | 'metadata' | 'loopback' | 'private' | 'public';

/** `default`: all but the four that are never allowed. `public`: public addresses only. */
export type NetPolicy = 'default' | 'public';

const ORDER: Readonly<Record<AddressClass, number>> = {
  unspecified: 0,
  multicast: 0,
  'link-local': 0,
  metadata: 0,
  loopback: 1,
  private: 2,
  public: 3,
};

type V4Rule = readonly [network: string, prefix: number, is: AddressClass];

/** First match wins. Source: the IANA IPv4 special-purpose registry (RFC 6890) and the clouds' metadata pages. */
const V4_RULES: readonly V4Rule[] = [
  ['169.254.169.254', 32, 'metadata'], // AWS, Google, Azure, Oracle, OpenStack and others
  ['169.254.170.0', 24, 'metadata'], // ECS task and EKS pod credentials
  ['100.100.100.200', 32, 'metadata'], // Alibaba
  ['168.63.129.16', 32, 'metadata'], // Azure's wire server
  ['192.0.0.192', 32, 'metadata'], // Oracle, classic
  ['0.0.0.0', 8, 'unspecified'],
  ['127.0.0.0', 8, 'loopback'],
  ['169.254.0.0', 16, 'link-local'],
  ['224.0.0.0', 4, 'multicast'],
  ['255.255.255.255', 32, 'multicast'],
  ['10.0.0.0', 8, 'private'],
  ['100.64.0.0', 10, 'private'], // carrier-grade NAT, RFC 6598
  ['172.16.0.0', 12, 'private'],
  ['192.0.0.0', 24, 'private'],
  ['192.0.2.0', 24, 'private'], // documentation, RFC 5737
  ['192.168.0.0', 16, 'private'],
  ['198.18.0.0', 15, 'private'], // benchmarks, RFC 2544
  ['198.51.100.0', 24, 'private'],
  ['203.0.113.0', 24, 'private'],
  ['240.0.0.0', 4, 'private'],
];

const V4_TABLE = V4_RULES.map(([network, prefix, is]) => {
  const mask = (0xffffffff << (32 - prefix)) >>> 0;
  return { network: (parseV4(network)! & mask) >>> 0, mask, is };
});

/** The class of a literal IPv4 or IPv6 address (without brackets); undefined when `text` is a name. */
export function addressClass(text: string): AddressClass | undefined {
  if (isIPv4(text)) return classOfV4(parseV4(text)!);
  if (!isIPv6(text)) return undefined;
  const groups = parseV6(text);
  return groups && classOfV6(groups);
}

function classOfV4(address: number): AddressClass {
  for (const { network, mask, is } of V4_TABLE) if ((address & mask) >>> 0 === network) return is;
  return 'public';
}

/** Source: the IANA IPv6 special-purpose registry; translated and tunnelled forms count as the IPv4 address inside. */
function classOfV6(g: readonly number[]): AddressClass {
  const [a = 0, b = 0] = g;
  if (g.every((group) => group === 0)) return 'unspecified';
  if (g.slice(0, 7).every((group) => group === 0) && g[7] === 1) return 'loopback';
  if (a >= 0xff00) return 'multicast';
  if ((a & 0xffc0) === 0xfe80) return 'link-local';
  if (a === 0xfd00 && b === 0x0ec2) return 'metadata'; // AWS fd00:ec2::/32
  if (a === 0xfd20 && b === 0x00ce) return 'metadata'; // Google fd20:ce::254
  const inside = embeddedV4(g);
  if (inside.length > 0) return inside.map(classOfV4).reduce(lessPublic);
  if (a === 0x2001 && b === 0x0db8) return 'private'; // documentation
  return (a & 0xe000) === 0x2000 ? 'public' : 'private';
}

/** Names that lead to metadata services whatever they resolve to. */
const METADATA_NAMES = new Set([
  'metadata',
  'metadata.google.internal',
  'metadata.goog',
  'metadata.azure.internal',
  'instance-data',
  'instance-data.ec2.internal',
  'metadata.tencentyun.com',
]);
const PRIVATE_SUFFIXES = [
  '.internal',
  '.local',
  '.svc',
  '.lan',
  '.intranet',
  '.corp',
  '.home.arpa',
];

/** What a host certainly is, without being resolved: a literal address or a name of a metadata service. */
export function certainClass(hostname: string): AddressClass | undefined {
  const host = bareHost(hostname);
  return addressClass(host) ?? (METADATA_NAMES.has(host) ? 'metadata' : undefined);
}

/** What a host looks like by its name, for hosts that only a proxy resolves; `public` for an ordinary name. */
export function presumedClass(hostname: string): AddressClass {
  const host = bareHost(hostname);
  const certain = certainClass(host);
  if (certain) return certain;
  if (host === 'localhost' || host.endsWith('.localhost')) return 'loopback';
  if (!host.includes('.') || PRIVATE_SUFFIXES.some((suffix) => host.endsWith(suffix)))
    return 'private';
  return 'public';
}

/** `url.hostname` without brackets, trailing dot and zone: what can be looked up, compared and connected to. */
export function bareHost(hostname: string): string {
  const host = hostname.startsWith('[') ? hostname.slice(1, -1) : hostname;
  return host.replace(/\.$/, '').toLowerCase();
}

/** The least public class `transport` may lead to under `policy`; undefined when the operator vouches for it. */
export function leastClass(policy: NetPolicy, transport: Transport | undefined): Reach | undefined {
  const reach = transport?.reach ?? 'loopback';
  if (reach === 'any') return undefined;
  return policy === 'public' ? 'public' : reach;
}

/** Whether an address of class `is` is at least as public as `least`. */
export function isAllowed(is: AddressClass, least: Reach | undefined): boolean {
  return least === undefined || least === 'any' || ORDER[is] >= ORDER[least];
}

/** The stricter of two, for redirects: where they lead may not be less public than where they came from. */
export function stricter(reach: Reach | undefined, is: AddressClass): Reach {
  const least = reach === undefined || reach === 'any' ? 'loopback' : reach;
  if (ORDER[is] <= ORDER[least]) return least;
  return is === 'public' ? 'public' : 'private';
}

/**
 * Throws `REFUSED` for a host that need not be resolved to be refused. `proxied`: nobody here will resolve it, so it is
 * judged by its name as well.
 */
export function checkHost(url: URL, least: Reach | undefined, proxied: boolean): void {
  const host = bareHost(url.hostname);
  const is = proxied ? presumedClass(host) : certainClass(host);
  if (is !== undefined && !isAllowed(is, least)) throw refusedAddress(url, host, is, least);
}

/** The error for `address` (or a name) of class `is`. */
export function refusedAddress(
  url: URL,
  address: string,
  is: AddressClass,
  least: Reach | undefined,
): ModelFetchError {
  const host = bareHost(url.hostname);
  const what = address === host ? host : `${host} (${address})`;
  const never = ORDER[is] === 0;
  return new ModelFetchError(
    'REFUSED',
    `${what} is a ${is} address: connections to it are refused`,
    {
      uri: url.href,
      hint: never
        ? 'Link-local, metadata, multicast and unspecified addresses never hold models; only an endpoint set by the operator may lead there.'
        : least === 'public'
          ? 'Only public addresses are allowed here: by --net-policy public, or because a public server redirected to it.'
          : 'A redirect may not lead to a less public address than the one it came from.',
    },
  );
}

function lessPublic(a: AddressClass, b: AddressClass): AddressClass {
  return ORDER[a] <= ORDER[b] ? a : b;
}
