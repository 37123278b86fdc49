/**
 * One exchange whose body goes to a place that any thread can reach: plain data in, plain data out. The main thread keeps
 * what needs judgement (retries, fresh locations, the journal); an errand is what it can send out.
 */
import { closeSync, constants, openSync, rmSync } from 'node:fs';
import { onDisk } from '../disk.ts';
import type { ByteRange, Digest, HttpLocation } from '../fetcher.ts';
import type { CrcAlgorithm } from '../verify/crc.ts';
import { rangeDigester } from '../verify/digester.ts';
import { digestsOf } from '../verify/learn.ts';
import type { Lane } from './lane.ts';
import { markOf, writeAt, type FileMark } from './part-file.ts';

/** Where the body goes. */
export type Place =
  /** The descriptor belongs to the main thread, which closes it when no errand uses it. */
  | { readonly kind: 'file'; readonly fd: number; readonly path: string }
  /** Made, filled and closed by the errand; gone again if that fails, so that nothing of it counts. */
  | { readonly kind: 'new'; readonly path: string }
  | { readonly kind: 'memory'; readonly bytes: SharedArrayBuffer };

export interface Errand {
  readonly location: HttpLocation;
  /** Absent: the whole. */
  readonly range?: ByteRange | undefined;
  /** Of the whole file, when known. */
  readonly size?: number | undefined;
  readonly stallMs: number;
  readonly place: Place;
  /** Where in the place the first byte goes. */
  readonly at: number;
  /** Which CRCs; CRC-32 when none is named. Memory has none: its reader computes its own. */
  readonly crcs: readonly CrcAlgorithm[];
}

/** How it ended. What is counted is in place, also when it failed. */
export interface Outcome {
  readonly bytes: number;
  /** Of those bytes. */
  readonly crcs: ReadonlyMap<CrcAlgorithm, bigint>;
  /** Of the whole file, as the answer told them. */
  readonly digests: readonly Digest[];
  /** Of a new file. */
  readonly mark?: FileMark;
  readonly error?: unknown;
}

/** An errand under way: what is known of it, and what may still be said to it. */
export class Leash {
  readonly signal: AbortSignal;
  /** In place. */
  bytes = 0;
  /** Of the bytes in place, where an interrupted run may count on them: not in memory, nor in a file that goes when it fails. */
  crcs: (() => ReadonlyMap<CrcAlgorithm, bigint>) | undefined;
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
  const digester = place.kind === 'memory' ? undefined : rangeDigester(errand.crcs);
  const spot = open(place, errand.at);
  if (digester && place.kind === 'file') leash.crcs = () => digester.values();
  let digests: readonly Digest[] = [];
  const outcome = (more: Pick<Outcome, 'mark' | 'error'> = {}): Outcome => ({
    bytes: leash.bytes,
    crcs: digester?.values() ?? new Map(),
    digests,
    ...more,
  });
  try {
    await lane({
      location,
      range,
      size,
      onHead: ({ status, headers }) => {
        digests = digestsOf(headers, status === 200);
      },
      sink: (chunk) => {
        const part = leash.own(chunk);
        spot.put(part, leash.bytes);
        digester?.update(part);
        leash.took(part.length);
      },
      signal: leash.signal,
      stallMs,
    });
    const mark = spot.close?.();
    return outcome(mark && { mark });
  } catch (error) {
    if (error instanceof Enough) return outcome();
    if (!spot.remove) return outcome({ error });
    spot.remove();
    return { bytes: 0, crcs: new Map(), digests, error };
  }
}

/** A place while it is filled. */
interface Spot {
  put(chunk: Uint8Array, offset: number): void;
  close?(): FileMark;
  remove?(): void;
}

function open(place: Place, at: number): Spot {
  if (place.kind === 'new') return newFile(place.path);
  if (place.kind === 'file')
    return {
      put: (chunk, offset) => {
        writeAt(place.fd, place.path, chunk, at + offset);
      },
    };
  const memory = new Uint8Array(place.bytes);
  return {
    put: (chunk, offset) => {
      memory.set(chunk, at + offset);
    },
  };
}

/** Made with its first byte, or when it turns out to have none. */
function newFile(path: string): Spot {
  let fd: number | undefined;
  const made = (): number => {
    const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
    return (fd ??= onDisk(path, () =>
      openSync(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o644),
    ));
  };
  const close = (): void => {
    const open = fd;
    fd = undefined;
    if (open !== undefined) closeSync(open);
  };
  return {
    put: (chunk, offset) => {
      writeAt(made(), path, chunk, offset);
    },
    close: () =>
      onDisk(path, () => {
        const mark = markOf(made());
        close();
        return mark;
      }),
    remove: () => {
      if (fd === undefined) return;
      close();
      rmSync(path, { force: true });
    },
  };
}
