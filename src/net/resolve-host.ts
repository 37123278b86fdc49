/** Names to addresses: all of them, the next connection starting at the next one, those that failed last. */
import { lookup } from 'node:dns/promises';

/** How long an answer serves, in milliseconds: short, because object stores answer with other addresses every few seconds. */
const FRESH_MS = 5_000;
/** How long an address that failed is tried last. */
const AVOID_MS = 60_000;

/** Every address of a name. Rejects as `dns.lookup` does. */
export type Lookup = (host: string) => Promise<readonly string[]>;

interface Answer {
  readonly until: number;
  readonly addresses: Promise<readonly string[]>;
}

/** A small cache in front of `getaddrinfo`, so that many connections made at once ask once and spread over the answer. */
export class HostAddresses {
  readonly #answers = new Map<string, Answer>();
  readonly #failed = new Map<string, number>();
  readonly #lookup: Lookup;
  #next = 0;

  constructor(lookup: Lookup = systemLookup) {
    this.#lookup = lookup;
  }

  /** The addresses of `host` in the order in which to try them. Rejects with the resolver's error. */
  async of(host: string): Promise<readonly string[]> {
    const addresses = await this.#ask(host);
    if (addresses.length < 2) return addresses;
    const start = this.#next++ % addresses.length;
    const rotated = [...addresses.slice(start), ...addresses.slice(0, start)];
    return rotated.sort((a, b) => Number(this.#isAvoided(a)) - Number(this.#isAvoided(b)));
  }

  /** Tells that no connection could be made to `address`. */
  failed(host: string, address: string): void {
    this.#failed.set(address, Date.now() + AVOID_MS);
    this.#answers.delete(host);
  }

  #isAvoided(address: string): boolean {
    const until = this.#failed.get(address);
    if (until === undefined) return false;
    if (until > Date.now()) return true;
    this.#failed.delete(address);
    return false;
  }

  #ask(host: string): Promise<readonly string[]> {
    const known = this.#answers.get(host);
    if (known && known.until > Date.now()) return known.addresses;
    const addresses = this.#lookup(host);
    this.#answers.set(host, { until: Date.now() + FRESH_MS, addresses });
    addresses.catch(() => this.#answers.delete(host));
    return addresses;
  }
}

/** `getaddrinfo`: /etc/hosts, search domains and all, in the order the system prefers. */
async function systemLookup(host: string): Promise<readonly string[]> {
  const found = await lookup(host, { all: true, order: 'verbatim' });
  return [...new Set(found.map((one) => one.address))];
}
