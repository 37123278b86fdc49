/** IP addresses as numbers, and the IPv4 addresses that hide in IPv6 ones. */

/** A dotted quad as an unsigned 32-bit number. The text has passed `isIPv4`. */
export function parseV4(text: string): number | undefined {
  const parts = text.split('.').map(Number);
  if (parts.length !== 4 || parts.some((part) => !(part >= 0 && part <= 255))) return undefined;
  return parts.reduce((sum, part) => sum * 256 + part, 0);
}

/** The eight 16-bit groups of an IPv6 address, its zone ignored. Source: RFC 4291 section 2.2. */
export function parseV6(text: string): readonly number[] | undefined {
  let [address = ''] = text.split('%');
  const quad = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(address);
  if (quad) {
    const v4 = parseV4(quad[2]!);
    if (v4 === undefined) return undefined;
    address = `${quad[1]!}${(v4 >>> 16).toString(16)}:${(v4 & 0xffff).toString(16)}`;
  }
  const [head = '', tail] = address.split('::');
  const left = groups(head);
  if (tail === undefined) return left.length === 8 ? left : undefined;
  const right = groups(tail);
  const missing = 8 - left.length - right.length;
  return missing < 0 ? undefined : [...left, ...Array<number>(missing).fill(0), ...right];
}

function groups(text: string): number[] {
  return text === '' ? [] : text.split(':').map((group) => parseInt(group, 16));
}

/**
 * The IPv4 addresses that packets to this IPv6 address end up at: mapped and compatible (RFC 4291), translated (RFC 2765),
 * NAT64 (RFC 6052, RFC 8215), 6to4 (RFC 3056), Teredo (RFC 4380: server and client). Empty for a plain address.
 */
export function embeddedV4(g: readonly number[]): number[] {
  const at = (index: number) => (((g[index]! << 16) >>> 0) + g[index + 1]!) >>> 0;
  const zero = (from: number, to: number) => g.slice(from, to).every((group) => group === 0);
  if (zero(0, 5) && (g[5] === 0xffff || g[5] === 0)) return [at(6)];
  if (zero(0, 4) && g[4] === 0xffff && g[5] === 0) return [at(6)];
  if (g[0] === 0x64 && g[1] === 0xff9b && (zero(2, 6) || g[2] === 1)) return [at(6)];
  if (g[0] === 0x2002) return [at(1)];
  if (g[0] === 0x2001 && g[1] === 0) return [at(2), (at(6) ^ 0xffffffff) >>> 0];
  return [];
}
