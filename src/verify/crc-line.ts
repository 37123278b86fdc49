/** The CRCs of bytes that come in order, some through our hands and some as stretches whose CRCs another thread knows. */
import { combineCrc, type CrcAlgorithm } from './crc.ts';
import { rangeDigester, type RangeDigester } from './digester.ts';

export class CrcLine {
  readonly #algorithms: Iterable<CrcAlgorithm>;
  /** Made for the first bytes: those of a small file mostly go elsewhere. */
  #made: RangeDigester | undefined;
  #unfolded = 0;
  #before: ReadonlyMap<CrcAlgorithm, bigint> | undefined;

  /** The CRCs that are asked for, or CRC-32. */
  constructor(algorithms: Iterable<CrcAlgorithm>) {
    this.#algorithms = algorithms;
  }

  get #digester(): RangeDigester {
    return (this.#made ??= rangeDigester(this.#algorithms));
  }

  update(chunk: Uint8Array): void {
    this.#digester.update(chunk);
    this.#unfolded += chunk.length;
  }

  /** The next `bytes` went elsewhere, and these are their CRCs. */
  append(bytes: number, crcs: ReadonlyMap<CrcAlgorithm, bigint>): void {
    if (bytes === 0) return;
    this.#fold();
    this.#join(bytes, crcs);
  }

  /** What `values` would be with another `bytes` appended. */
  valuesWith(
    bytes: number,
    crcs: ReadonlyMap<CrcAlgorithm, bigint>,
  ): ReadonlyMap<CrcAlgorithm, bigint> {
    this.#fold();
    return joined(this.#before, bytes, crcs);
  }

  /** The CRCs of all bytes so far. */
  values(): ReadonlyMap<CrcAlgorithm, bigint> {
    this.#fold();
    return this.#before ?? this.#digester.values();
  }

  /** Forgets what came. */
  reset(): void {
    this.#digester.reset();
    this.#unfolded = 0;
    this.#before = undefined;
  }

  #fold(): void {
    if (this.#unfolded === 0) return;
    const bytes = this.#unfolded;
    this.#unfolded = 0;
    this.#join(bytes, this.#digester.values());
    this.#digester.reset();
  }

  #join(bytes: number, crcs: ReadonlyMap<CrcAlgorithm, bigint>): void {
    this.#before = joined(this.#before, bytes, crcs);
  }
}

function joined(
  before: ReadonlyMap<CrcAlgorithm, bigint> | undefined,
  bytes: number,
  crcs: ReadonlyMap<CrcAlgorithm, bigint>,
): ReadonlyMap<CrcAlgorithm, bigint> {
  if (!before) return crcs;
  return new Map(
    [...before].map(([name, crc]) => [name, combineCrc(name, crc, crcs.get(name)!, bytes)]),
  );
}
