/** What the two lanes have in common: the job, the answer's check, and how a refusal is told. */
import type { ByteRange, HttpLocation } from '../fetcher.ts';

/** One exchange: one GET whose body goes to `sink`. */
export interface LaneJob {
  readonly location: HttpLocation;
  /** Absent: the whole, from the start. */
  readonly range?: ByteRange | undefined;
  /** Of the whole file, when known. An answer that says otherwise is refused. */
  readonly size?: number | undefined;
  /** Called once, before the first byte, when the answer is exactly what was asked for. */
  readonly onHead?: ((head: Head) => void) | undefined;
  /**
   * Takes the bytes in order. The chunk is only valid during the call, or until the returned promise settles: while it
   * is pending nothing more is read. What it throws ends the exchange and is thrown by the lane.
   */
  readonly sink: (chunk: Uint8Array) => void | Promise<void>;
  readonly signal: AbortSignal;
  /** Milliseconds without a byte after which the exchange is given up as `STALLED`; pauses of the sink do not count. */
  readonly stallMs: number;
}

/** The head of an answer. Header names in lower case, repeated fields joined with `, `. */
export interface Head {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
}

/**
 * Resolves when exactly the bytes asked for have gone to the sink: no more, no less. Throws `Refusal` for an answer that
 * is no body of ours, `RangeIgnored` when a part was asked for and the whole came, `ModelFetchError` for the rest
 * (`TRUNCATED`, `STALLED`, `UNAVAILABLE`: retryable; `SOURCE_CHANGED`, `BAD_RESPONSE`: not).
 */
export type Lane = (job: LaneJob) => Promise<Head>;

/** The server answered, but not with the bytes. What to do is for the engine and `locate` to say. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly head: Head;
  /** At most 64 KiB. */
  readonly body: string;
  constructor(head: Head, body: string) {
    super(`HTTP ${String(head.status)}`);
    this.head = head;
    this.body = body;
  }
}

/** A part was asked for and the server would send the whole. Nothing has gone to the sink. */
export class RangeIgnored extends Error {
  override readonly name = 'RangeIgnored';
}

/** The fast lane does not fully understand this answer; the slow lane may. Nothing has gone to the sink. */
export class NotForFastLane extends Error {
  override readonly name = 'NotForFastLane';
}
