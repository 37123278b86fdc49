/** One request and its answer on a connection: what is awaited, and how its end is told. */
import { ModelFetchError } from '../errors.ts';
import type { Head, LaneJob } from './lane.ts';
import type { ParsedHead } from './parse-head.ts';

/** What one exchange is waiting for. */
export interface Exchange {
  readonly job: LaneJob;
  readonly resolve: (head: Head) => void;
  readonly reject: (error: Error) => void;
  head: ParsedHead | undefined;
  /** Body bytes still to come. */
  remaining: number;
  /** Where undelivered body bytes start in the buffer. */
  from: number;
  refusal: Buffer[] | undefined;
}

/** The sink's own exception becomes a rejection, like that of its promise. */
export async function sinkSafely(job: LaneJob, piece: Uint8Array): Promise<void> {
  await job.sink(piece);
}

export function broken(what: string, cause: Error): ModelFetchError {
  return new ModelFetchError('UNAVAILABLE', `${what}: ${cause.message}`, { cause });
}

export function stalled({ location, stallMs }: LaneJob): ModelFetchError {
  return new ModelFetchError('STALLED', `no byte for ${stallMs / 1000} s`, { uri: location.url });
}

export function ended(exchange: Exchange | undefined): ModelFetchError {
  if (exchange?.head)
    return new ModelFetchError('TRUNCATED', `the body ended ${exchange.remaining} bytes early`, {
      uri: exchange.job.location.url,
    });
  return new ModelFetchError('UNAVAILABLE', 'the server closed the connection without an answer');
}
