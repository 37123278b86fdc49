/** What one call shares: settings, the deadline, the network, the lanes. Loaded as needed: a local copy opens no socket. */
import { asModelFetchError, ModelFetchError } from './errors.ts';
import type { Entry, Fetcher, HttpClient, ResolveContext } from './fetcher.ts';
import { createRegistry } from './create-registry.ts';
import { thisMachine } from './machine.ts';
import { normalize, type FetchOptions, type Settings } from './options.ts';
import { createFastLane } from './transfer/fast-lane.ts';
import type { Lane } from './transfer/lane.ts';
import { RateLimit } from './transfer/rate.ts';
import type { Transfer } from './transfer/read.ts';
import { connectionRefused, pause } from './transfer/retry.ts';
import { Climb } from './transfer/climb.ts';
import { Slots } from './transfer/slots.ts';
import { steer } from './transfer/steering.ts';
import { createThreads, type Threads } from './transfer/threads.ts';
import { createHashThread, type HashThread } from './verify/hash-thread.ts';
import { longOf, widths } from './widths.ts';

/** How many resolvers may point at each other. */
const MAX_INDIRECTIONS = 5;

export interface Run extends AsyncDisposable {
  readonly settings: Settings;
  readonly signal: AbortSignal;
  /** `uri` taken to its fetcher. `scratch` gives private folders inside the mount. */
  resolve(uri: string, scratch: () => Promise<string>): Promise<Fetcher>;
  context(scratch: () => Promise<string>): ResolveContext;
  /** The bytes' way, under `signal`; with `sync` down to the disk. */
  transfer(signal: AbortSignal, sync?: boolean): Transfer;
}

export function openRun(options: FetchOptions): Run {
  const settings = normalize(
    options,
    options.registry ?? createRegistry({ ...(options.env && { env: options.env }) }),
  );
  const { signal, end } = runSignal(settings);
  const network = lazy(async () => {
    const { createNetwork } = await import('./net/create-network.ts');
    return createNetwork({ env: settings.env, policy: settings.netPolicy });
  });
  const http = lazy(async () => {
    const { createHttpClient } = await import('./http/client.ts');
    return createHttpClient({ network: await network() });
  });
  const fast = lazy(async () => createFastLane({ network: await network() }));
  const slow = lazy(async () =>
    (await import('./http/slow-lane.ts')).createSlowLane({ network: await network() }),
  );
  let fastNow: Lane | undefined;
  // A promise less for each request, once it is there.
  const fastLane: Lane = (job) =>
    fastNow?.(job) ?? fast().then(({ lane }) => (fastNow = lane)(job));
  const slowLane: Lane = async (job) => (await slow())(job);
  const machine = thisMachine();
  const room = widths(machine);
  const most = settings.concurrency ?? room.most;
  const start = settings.concurrency ?? room.first;
  const slots = new Slots(start, settings.concurrency === undefined ? longOf : undefined);
  const hashing = createHashThread();
  const climb = new Climb({ start, least: settings.concurrency ?? 1, most });
  const threads = threadsFor(settings, room.threads, hashing);
  const steering = steer({ slots, climb, machine, threads, report: settings.report });
  const rate = settings.limitRate === undefined ? undefined : new RateLimit(settings.limitRate);
  const client: HttpClient = {
    request: async (url, request) => (await http()).request(url, { signal, ...request }),
    agents: async (transport) => (await http()).agents(transport),
  };
  const contextAt = (depth: number, scratch: () => Promise<string>): ResolveContext => ({
    signal,
    http: client,
    scratch,
    resolve: (uri) => resolveAt(depth + 1, uri, scratch),
  });
  const resolveAt = async (
    depth: number,
    uri: string,
    scratch: () => Promise<string>,
  ): Promise<Fetcher> => {
    if (depth > MAX_INDIRECTIONS)
      throw new ModelFetchError('REFUSED', 'the sources point at each other without end', { uri });
    try {
      const { ref, resolver } = await settings.registry.resolver(uri);
      return await withGrace(settings, signal, () =>
        resolver.resolve(ref, contextAt(depth, scratch)),
      );
    } catch (error) {
      signal.throwIfAborted();
      throw asModelFetchError(error, 'INTERNAL', { uri });
    }
  };
  return {
    settings,
    signal,
    context: (scratch) => contextAt(0, scratch),
    resolve: (uri, scratch) => resolveAt(0, uri, scratch),
    transfer: (own, sync = false) => ({
      fast: fastLane,
      slow: slowLane,
      slots,
      steering,
      most,
      ahead: room.ahead,
      retry: { attempts: settings.attempts, connectGraceMs: settings.connectGraceMs },
      stallMs: timerMs(settings.stallTimeoutMs),
      rate,
      hashing,
      threads,
      sync,
      report: settings.report,
      signal: own,
    }),
    [Symbol.asyncDispose]: async () => {
      end();
      steering.stop();
      await Promise.all([hashing.close(), threads?.close()]);
      if (fast.started) (await fast()).close();
      if (network.started) (await network()).close();
    },
  };
}

/** Under a rate limit there are none: all bytes pass one place that holds them back. */
function threadsFor(settings: Settings, most: number, hashing: HashThread): Threads | undefined {
  if (most === 0 || settings.limitRate !== undefined) return undefined;
  // Hashing is what a download waits for in the end: it gets one of the cores.
  const beside = (): number => Math.max(1, most - (hashing.used ? 1 : 0));
  return createThreads(beside, { env: settings.env, policy: settings.netPolicy });
}

/** Node's timers hold 31 bits, 24.8 days; with more they go off at once. */
function timerMs(ms: number): number {
  return Math.min(ms, 2 ** 31 - 1);
}

/** Ends with the caller's signal or at the deadline, each as our own error. */
function runSignal(settings: Settings): { signal: AbortSignal; end: () => void } {
  const controller = new AbortController();
  const outer = settings.signal;
  const abort = (): void => {
    const { reason } = outer as { reason: unknown };
    controller.abort(
      reason instanceof ModelFetchError
        ? reason
        : new ModelFetchError('ABORTED', 'the run was interrupted', { cause: reason }),
    );
  };
  if (outer.aborted) abort();
  outer.addEventListener('abort', abort, { once: true });
  const { timeoutMs } = settings;
  const timer =
    timeoutMs === undefined
      ? undefined
      : setTimeout(() => {
          controller.abort(
            new ModelFetchError('DEADLINE', `not done after ${String(timeoutMs / 1000)} s`, {
              hint: 'Raise --timeout; what was downloaded is kept for the next run.',
            }),
          );
        }, timerMs(timeoutMs));
  return {
    signal: controller.signal,
    end: () => {
      clearTimeout(timer);
      outer.removeEventListener('abort', abort);
    },
  };
}

/** A mesh sidecar may still be starting: while nobody listens, the same call is made again for the grace period. */
async function withGrace<T>(
  settings: Settings,
  signal: AbortSignal,
  work: () => Promise<T>,
): Promise<T> {
  const deadline = Date.now() + settings.connectGraceMs;
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!connectionRefused(error) || Date.now() >= deadline || signal.aborted) throw error;
      await pause(500, signal);
    }
  }
}

/**
 * A listing whose first call may meet a sidecar that is still starting. An iterator and no generator: of a million entries each
 * would pay for one more of those.
 */
export function listPatiently(run: Run, fetcher: Fetcher): AsyncIterable<Entry> {
  const { settings, signal } = run;
  const begin = async (): Promise<IteratorResult<Entry>> => {
    const list = fetcher.list({ signal })[Symbol.asyncIterator]();
    const first = await list.next();
    listing = list;
    return first;
  };
  const failed = (error: unknown): never => {
    signal.throwIfAborted();
    throw asModelFetchError(error, 'INTERNAL', { uri: fetcher.uri });
  };
  let listing: AsyncIterator<Entry> | undefined;
  const iterator: AsyncIterator<Entry> = {
    next: () => {
      if (!listing) return withGrace(settings, signal, begin).catch(failed);
      return signal.aborted
        ? Promise.reject(signal.reason as Error)
        : listing.next().then(undefined, failed);
    },
    return: async () => {
      await listing?.return?.();
      return { done: true, value: undefined };
    },
  };
  return { [Symbol.asyncIterator]: () => iterator };
}

interface Lazy<T> {
  (): Promise<T>;
  readonly started: boolean;
}

function lazy<T>(make: () => Promise<T>): Lazy<T> {
  let made: Promise<T> | undefined;
  const get = (): Promise<T> => (made ??= make());
  return Object.defineProperty(get, 'started', {
    get: () => made !== undefined,
  }) as unknown as Lazy<T>;
}
