/** Do two entries want one name, or one a file where another wants a folder? Found without holding the names. */
import { randomBytes } from 'node:crypto';
import { ModelFetchError } from '../errors.ts';

/**
 * A set of 64-bit fingerprints in two typed arrays: 8 bytes a name, so a million names cost 16 MiB. Two different names
 * share one with a probability of 3·10^-8 at a million; the run is then refused, never wrong.
 */
class FingerprintSet {
  #high = new Uint32Array(1024);
  #low = new Uint32Array(1024);
  #count = 0;

  /** True when it was new. */
  add(high: number, low: number): boolean {
    if (this.#count * 2 >= this.#high.length) this.#grow();
    const slot = this.#slot(high, low);
    if (this.#high[slot] === high && this.#low[slot] === low) return false;
    this.#high[slot] = high;
    this.#low[slot] = low;
    this.#count++;
    return true;
  }

  has(high: number, low: number): boolean {
    const slot = this.#slot(high, low);
    return this.#high[slot] === high && this.#low[slot] === low;
  }

  /** Where it is or would be; (0, 0) marks a free slot. */
  #slot(high: number, low: number): number {
    const mask = this.#high.length - 1;
    let slot = low & mask;
    while (
      (this.#high[slot] !== 0 || this.#low[slot] !== 0) &&
      (this.#high[slot] !== high || this.#low[slot] !== low)
    )
      slot = (slot + 1) & mask;
    return slot;
  }

  #grow(): void {
    const [high, low] = [this.#high, this.#low];
    this.#high = new Uint32Array(high.length * 2);
    this.#low = new Uint32Array(low.length * 2);
    for (let i = 0; i < high.length; i++) {
      if (high[i] === 0 && low[i] === 0) continue;
      const slot = this.#slot(high[i]!, low[i]!);
      this.#high[slot] = high[i]!;
      this.#low[slot] = low[i]!;
    }
  }
}

export class Collisions {
  readonly #files = new FingerprintSet();
  readonly #folders = new FingerprintSet();
  readonly #released = new Set<string>();
  /** The folder of the last file: its neighbours mostly follow. */
  #folder = '';

  /** Notes that `path` will be a file. Throws `CONFLICT` when it or a parent is already taken otherwise. */
  add(path: string, uri: string): void {
    const [high, low] = fingerprint(path);
    if (this.#folders.has(high, low))
      throw conflict(path, 'it is a file and a folder at once', uri);
    if (!this.#files.add(high, low) && !this.#released.delete(path))
      throw conflict(path, 'it is there twice', uri);
    const folder = path.slice(0, Math.max(0, path.lastIndexOf('/')));
    if (folder === this.#folder) return;
    this.#addFolders(path, uri);
    this.#folder = folder;
  }

  #addFolders(path: string, uri: string): void {
    for (let slash = path.lastIndexOf('/'); slash > 0; slash = path.lastIndexOf('/', slash - 1)) {
      const [folderHigh, folderLow] = fingerprint(path.slice(0, slash));
      if (this.#files.has(folderHigh, folderLow) && !this.#released.has(path.slice(0, slash)))
        throw conflict(path.slice(0, slash), 'it is a file and a folder at once', uri);
      if (!this.#folders.add(folderHigh, folderLow)) break;
    }
  }

  /** The file of that name turned out to be an archive: it will not be there. */
  release(path: string): void {
    this.#released.add(path);
  }
}

/** Its own in every process: what shares a fingerprint in one does not in the next. */
const SEED = randomBytes(8);
const [HIGH_SEED, LOW_SEED] = [SEED.readUInt32LE(0), SEED.readUInt32LE(4)];

/**
 * Two multiplicative hashes, each turned before it takes a character, so that what a character changes reaches all bits: a
 * twentieth of the time of a cryptographic one. Nothing hangs on it but whether a run is refused.
 */
function fingerprint(path: string): [number, number] {
  let high = HIGH_SEED;
  let low = LOW_SEED;
  for (let at = 0; at < path.length; at++) {
    const char = path.charCodeAt(at);
    high = Math.imul(turn(high, 13) ^ char, 0x9e3779b1);
    low = Math.imul(turn(low, 7) + char, 0x2545f491);
  }
  high = Math.imul(high ^ (high >>> 15), 0x9e3779b1);
  low = Math.imul(low ^ (low >>> 15), 0x2545f491);
  return [(high ^ (high >>> 16)) >>> 0 || 1, (low ^ (low >>> 16)) >>> 0];
}

function turn(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits));
}

function conflict(path: string, why: string, uri: string): ModelFetchError {
  return new ModelFetchError('CONFLICT', `the source cannot become a directory: ${path}: ${why}`, {
    uri,
    path,
    hint: 'Use --exclude, or give the sources different destinations.',
  });
}
