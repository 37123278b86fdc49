/** Counting what the events of a run tell. Pure: time is handed in. */
import type { FetchEvent } from '../events.ts';

/** Where a run is. Unknown fields are absent: a total before every listing has ended, a rate before there is one. */
export interface Snapshot {
  /** Body bytes that arrived. */
  readonly bytes: number;
  /** Bytes that have to come: those of files already in place are not among them. */
  readonly totalBytes?: number;
  /** 0 to 100, whole, of the bytes. */
  readonly percent?: number;
  readonly bytesPerSec?: number;
  readonly etaSec?: number;
  /** Files that are whole in staging, or were in place. */
  readonly files: number;
  readonly totalFiles?: number;
  readonly retries: number;
}

interface Sample {
  readonly at: number;
  readonly bytes: number;
}

/** Milliseconds over which a rate is averaged. */
const WINDOW_MS = 8000;

/** Sums over one run. `pairs`: how many listings are to be expected before a total is one. */
export class Progress {
  readonly #pairs: number;
  #listings = 0;
  #bytes = 0;
  #totalBytes = 0;
  #files = 0;
  #totalFiles = 0;
  #retries = 0;
  #samples: Sample[] = [];

  constructor(pairs: number, now: number) {
    this.#pairs = pairs;
    this.#samples.push({ at: now, bytes: 0 });
  }

  add(event: FetchEvent): void {
    if (event.type === 'listed') {
      this.#listings++;
      this.#totalBytes += event.bytes - (event.keptBytes ?? 0);
      this.#totalFiles += event.files;
      this.#files += event.kept;
    } else if (event.type === 'progress') this.#bytes += event.bytes;
    else if (event.type === 'verified') this.#files++;
    else if (event.type === 'retry') this.#retries++;
  }

  get retries(): number {
    return this.#retries;
  }

  /** Where the run is at `now`, milliseconds on the clock the constructor got. */
  snapshot(now: number): Snapshot {
    const bytesPerSec = this.#rate(now);
    // A source that does not know its sizes, or a body read twice, makes the total too small to be one.
    const known =
      this.#listings >= this.#pairs && this.#totalBytes > 0 && this.#bytes <= this.#totalBytes;
    const left = this.#totalBytes - this.#bytes;
    return {
      bytes: this.#bytes,
      files: this.#files,
      retries: this.#retries,
      ...(this.#listings >= this.#pairs &&
        this.#totalFiles >= this.#files && { totalFiles: this.#totalFiles }),
      ...(known && {
        totalBytes: this.#totalBytes,
        percent: Math.floor((this.#bytes / this.#totalBytes) * 100),
      }),
      ...(bytesPerSec !== undefined && { bytesPerSec: Math.round(bytesPerSec) }),
      ...(known &&
        bytesPerSec !== undefined &&
        bytesPerSec > 0 && { etaSec: Math.round(left / bytesPerSec) }),
    };
  }

  #rate(now: number): number | undefined {
    const newest = this.#samples.at(-1)!;
    if (now > newest.at) this.#samples.push({ at: now, bytes: this.#bytes });
    // The newest sample that is older than the window stays: with rare snapshots it is the only one to measure from.
    while (this.#samples.length > 2 && this.#samples[1]!.at <= now - WINDOW_MS)
      this.#samples.shift();
    const oldest = this.#samples[0]!;
    const seconds = (now - oldest.at) / 1000;
    return seconds < 0.2 ? undefined : (this.#bytes - oldest.bytes) / seconds;
  }
}
