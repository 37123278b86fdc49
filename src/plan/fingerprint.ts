/** One short name for what was listed: the same entries in any order give the same fingerprint. */
import { hash } from 'node:crypto';
import type { Entry } from '../fetcher.ts';

const MODULUS = 1n << 256n;

/** Sums SHA-256 of each entry modulo 2^256: order-independent, one number however long the listing. */
export class Fingerprint {
  #sum = 0n;
  #count = 0;

  add({ path, size, version, digests }: Entry): void {
    const text = JSON.stringify([
      path,
      size ?? null,
      version ?? null,
      version === undefined ? (digests ?? null) : null,
    ]);
    this.#sum += BigInt(`0x${hash('sha256', text)}`);
    this.#count++;
  }

  get count(): number {
    return this.#count;
  }

  /** 32 hex digits. */
  value(): string {
    const sum = this.#sum % MODULUS;
    return hash('sha256', `${String(this.#count)}:${sum.toString(16)}`).slice(0, 32);
  }
}
