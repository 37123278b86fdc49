/** The lane that is always right: chunked and close-delimited bodies, forward proxies, anything odd. Over got. */
import { ModelFetchError } from '../errors.ts';
import { abortFailure } from '../net/failures.ts';
import type { Network } from '../net/network.ts';
import { orAborted } from '../net/until.ts';
import { judge } from '../transfer/answer.ts';
import { ask } from '../transfer/http-range.ts';
import { Refusal, type Head, type Lane, type LaneJob } from '../transfer/lane.ts';
import type { Exchange } from './exchange.ts';
import { StallClock } from './stall-clock.ts';

/** Of a refusal's body. */
const MAX_REFUSAL_BYTES = 64 * 1024;

/** Makes the slow lane of a network. got is loaded by its first job. */
export function createSlowLane({ network }: { readonly network: Network }): Lane {
  return async (job) => {
    const ends = new AbortController();
    const stop = () => {
      ends.abort(abortFailure(job.signal));
    };
    if (job.signal.aborted) stop();
    job.signal.addEventListener('abort', stop, { once: true });
    const clock = new StallClock(job.stallMs, () => {
      ends.abort(stalled(job));
    });
    try {
      return await run(network, job, ends.signal, clock);
    } finally {
      clock.stop();
      job.signal.removeEventListener('abort', stop);
    }
  };
}

async function run(
  network: Network,
  job: LaneJob,
  signal: AbortSignal,
  clock: StallClock,
): Promise<Head> {
  const { exchange } = await import('./exchange.ts');
  const { url, headers } = ask(job.location, job.range);
  const agents = network.agents(job.location.transport);
  const got = await exchange({ url: new URL(url), method: 'GET', headers, agents, signal });
  try {
    clock.touch();
    const head: Head = { status: got.status, headers: got.headers };
    if (got.status < 200 || got.status > 299)
      throw new Refusal(head, await refusalText(got, clock));
    await take(job, got, head, signal, clock);
    return head;
  } finally {
    got.close();
  }
}

/** Judges, then hands over exactly the bytes that were asked for. */
async function take(
  job: LaneJob,
  got: Exchange,
  head: Head,
  signal: AbortSignal,
  clock: StallClock,
): Promise<void> {
  const accepted = judge(job, head);
  const expected = accepted.length ?? job.size;
  if (expected === undefined && !isDelimited(head))
    throw bad(
      job,
      'it has no length and ends with the connection, so nothing proves that it is whole',
    );
  job.onHead?.(head);
  let total = 0;
  try {
    for await (const chunk of got.body) {
      clock.touch();
      total += chunk.length;
      if (expected !== undefined && total > expected)
        throw bad(job, `more than the ${String(expected)} bytes expected`);
      await deliver(job, chunk, signal, clock);
    }
  } catch (error) {
    throw broken(job, error, total, expected);
  }
  if (expected !== undefined && total < expected) throw truncated(job, total, expected);
}

async function deliver(
  job: LaneJob,
  chunk: Buffer,
  signal: AbortSignal,
  clock: StallClock,
): Promise<void> {
  let pending: void | Promise<void>;
  try {
    pending = job.sink(chunk);
    if (!pending) return;
    clock.pause();
    await orAborted(pending, signal);
    clock.resume();
  } catch (error) {
    throw signal.aborted ? error : new SinkError(error);
  }
}

/** Tells what the sink threw from what the connection did. */
class SinkError {
  readonly thrown: unknown;
  constructor(thrown: unknown) {
    this.thrown = thrown;
  }
}

function broken(
  job: LaneJob,
  error: unknown,
  total: number,
  expected: number | undefined,
): unknown {
  if (error instanceof SinkError) return error.thrown;
  if (error instanceof ModelFetchError && error.code === 'UNAVAILABLE')
    return truncated(job, total, expected, error.cause);
  return error;
}

function isDelimited({ headers }: Head): boolean {
  return (
    headers['content-length'] !== undefined ||
    /\bchunked\s*$/i.test(headers['transfer-encoding'] ?? '')
  );
}

async function refusalText(got: Exchange, clock: StallClock): Promise<string> {
  const chunks: Buffer[] = [];
  let total = 0;
  try {
    for await (const chunk of got.body) {
      clock.touch();
      chunks.push(chunk);
      total += chunk.length;
      if (total >= MAX_REFUSAL_BYTES) break;
    }
  } catch (error) {
    // The status is what counts; a body that breaks off still says something. An abort or a stall is another matter.
    if (error instanceof ModelFetchError && error.code !== 'UNAVAILABLE') throw error;
  }
  return Buffer.concat(chunks).subarray(0, MAX_REFUSAL_BYTES).toString('utf8');
}

function truncated(
  job: LaneJob,
  total: number,
  expected: number | undefined,
  cause?: unknown,
): ModelFetchError {
  const of = expected === undefined ? '' : ` of ${String(expected)}`;
  return new ModelFetchError('TRUNCATED', `the body ended after ${String(total)}${of} bytes`, {
    uri: job.location.url,
    ...(cause !== undefined && { cause }),
  });
}

function stalled(job: LaneJob): ModelFetchError {
  return new ModelFetchError('STALLED', `no byte came for ${String(job.stallMs)} ms`, {
    uri: job.location.url,
  });
}

function bad(job: LaneJob, what: string): ModelFetchError {
  return new ModelFetchError('BAD_RESPONSE', `the server's answer cannot be used: ${what}`, {
    uri: job.location.url,
  });
}
