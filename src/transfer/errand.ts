/**
 * One exchange whose body goes to a place that any thread can reach: plain data in, plain data out. The main thread keeps
 * what needs judgement (retries, fresh locations, the journal); an errand is what it can send out.
 */
import type { ByteRange, HttpLocation } from '../fetcher.ts';
import type { CrcAlgorithm } from '../verify/crc.ts';
import { rangeDigester } from '../verify/digester.ts';
import type { Head, Lane } from './lane.ts';
import { writeAt } from './part-file.ts';

/** Where the body goes. The descriptor belongs to the main thread, which closes it when no errand uses it. */
export type Place =
  | { readonly kind: 'file'; readonly fd: number; readonly path: string }
  | { readonly kind: 'memory'; readonly bytes: SharedArrayBuffer };

export interface Errand {
  readonly location: HttpLocation;
  /** Absent: the whole. */
  readonly range?: ByteRange;
  /** Of the whole file, when known. */
  readonly size?: number;
  readonly stallMs: number;
  readonly place: Place;
  /** Where in the place the first byte goes. */
  readonly at: number;
  /** Beside CRC-32. None at all for memory, whose reader computes its own. */
  readonly crcs: readonly CrcAlgorithm[];
}

/** How it ended. What is counted is in place, also when it failed. */
export interface Outcome {
  readonly bytes: number;
  /** Of those bytes. */
  readonly crcs: ReadonlyMap<CrcAlgorithm, bigint>;
  readonly head?: Head;
  readonly error?: unknown;
}

/** An errand under way: what is known of it, and what may still be said to it. */
export class Leash {
  readonly signal: AbortSignal;
  /** In place. */
  bytes = 0;
  #most = Infinity;
  readonly #onBytes: (count: number) => void;

  constructor(signal: AbortSignal, onBytes: (count: number) => void) {
    this.signal = signal;
    this.#onBytes = onBytes;
  }

  /** It is to end after `most` bytes: the rest is somebody else's. False: it has as many already. */
  shorten(most: number): boolean {
    if (most <= this.bytes) return false;
    this.#most = Math.min(this.#most, most);
    return true;
  }

  /** The part of `chunk` that is still its own. */
  own(chunk: Uint8Array): Uint8Array {
    const left = this.#most - this.bytes;
    return chunk.length > left ? chunk.subarray(0, left) : chunk;
  }

  /** These many more are in place. Throws `Enough` when that is all. */
  took(count: number): void {
    this.bytes += count;
    this.#onBytes(count);
    if (this.bytes >= this.#most) throw new Enough('the rest is taken');
  }
}

/** Ends an exchange whose rest is somebody else's: no failure. */
export class Enough extends Error {
  override readonly name = 'Enough';
}

/** Never throws: what went wrong is in the outcome, beside what went well. */
export async function runErrand(lane: Lane, errand: Errand, leash: Leash): Promise<Outcome> {
  const { location, range, size, stallMs, place } = errand;
  const digester = place.kind === 'file' ? await rangeDigester(errand.crcs) : undefined;
  let head: Head | undefined;
  const put = putInto(place, errand.at);
  const outcome = (error?: unknown): Outcome => ({
    bytes: leash.bytes,
    crcs: digester?.values() ?? new Map(),
    ...(head && { head }),
    ...(error !== undefined && { error }),
  });
  try {
    await lane({
      location,
      ...(range && { range }),
      ...(size !== undefined && { size }),
      onHead: ({ status, headers }) => {
        head = { status, headers };
      },
      sink: (chunk) => {
        const part = leash.own(chunk);
        put(part, leash.bytes);
        digester?.update(part);
        leash.took(part.length);
      },
      signal: leash.signal,
      stallMs,
    });
    return outcome();
  } catch (error) {
    return error instanceof Enough ? outcome() : outcome(error);
  } finally {
    digester?.release();
  }
}

function putInto(place: Place, at: number): (chunk: Uint8Array, offset: number) => void {
  if (place.kind === 'file')
    return (chunk, offset) => {
      writeAt(place.fd, place.path, chunk, at + offset);
    };
  const memory = new Uint8Array(place.bytes);
  return (chunk, offset) => {
    memory.set(chunk, at + offset);
  };
}
