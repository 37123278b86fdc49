/** What every case has at hand: a filled-in harness, and short words for resolving, listing, reading and failing. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ModelFetchError, type ErrorCode } from '../errors.ts';
import type {
  ByteRange,
  Entry,
  Fetcher,
  HttpClient,
  ResolveContext,
  Resolver,
} from '../fetcher.ts';
import { parseRef } from '../ref.ts';
import { NotForFastLane, type Lane } from '../transfer/lane.ts';
import type { Files, Harness } from './harness.ts';
import { readEntry } from './read.ts';

/** Thrown by a case that the scheme cannot have. */
export class NotForThisScheme extends Error {}

export function skip(reason: string): never {
  throw new NotForThisScheme(reason);
}

/** `value`, or the case is skipped because the harness does not offer `name`. */
export function offered<T>(value: T | undefined, name: string): T {
  if (value === undefined) skip(`the harness has no ${name}`);
  return value;
}

export interface ResolveOptions {
  readonly uri?: string;
  readonly resolver?: Resolver;
  readonly signal?: AbortSignal;
}

export interface ReadOptions {
  readonly range?: ByteRange;
  readonly slowly?: boolean;
}

/** Made once a case; `close` ends everything it opened, the harness included. */
export interface Scene {
  readonly harness: Harness;
  /** Puts `files`, or the one named `singleName` where the scheme has one file only, and resolves the model. */
  model(files: Files): Promise<Fetcher>;
  resolve(options?: ResolveOptions): Promise<Fetcher>;
  /** Reads `entry` as the engine does. `slowly`: over the slow lane. */
  read(fetcher: Fetcher, entry: Entry, options?: ReadOptions): Promise<Buffer>;
  close(): Promise<void>;
}

export async function openScene(makeHarness: () => Promise<Harness>): Promise<Scene> {
  const harness = await makeHarness();
  const lanes = lazyLanes(harness);
  const scratches: string[] = [];
  const fetchers: Fetcher[] = [];

  const context = (signal: AbortSignal): ResolveContext => ({
    signal,
    http: lanes.http,
    resolve: async (uri) => {
      const registry = harness.registry ?? (await import('../create-registry.ts')).createRegistry();
      const { ref, resolver } = await registry.resolver(uri);
      return resolver.resolve(ref, context(signal));
    },
    scratch: async () => {
      const folder = await mkdtemp(join(tmpdir(), 'model-fetch-testing-'));
      scratches.push(folder);
      return folder;
    },
  });

  const resolve = async (options: ResolveOptions = {}): Promise<Fetcher> => {
    const resolver = options.resolver ?? harness.resolver;
    const signal = options.signal ?? new AbortController().signal;
    const fetcher = await resolver.resolve(parseRef(options.uri ?? harness.uri), context(signal));
    fetchers.push(fetcher);
    return fetcher;
  };

  return {
    harness,
    resolve,
    model: async (files) => {
      await harness.put(files);
      return resolve();
    },
    // A plan is data, kept in journals and sent to workers: what comes back must be enough to find the bytes.
    read: (fetcher, entry, { range, slowly = false } = {}) =>
      readEntry(fetcher, structuredClone(entry), slowly ? lanes.slowLane : lanes.lane, range),
    close: async () => {
      for (const fetcher of fetchers) await fetcher[Symbol.asyncDispose]?.();
      await harness.close();
      await lanes.close();
      for (const folder of scratches) await rm(folder, { recursive: true, force: true });
    },
  };
}

interface Lanes {
  readonly http: HttpClient;
  /** As the engine has it: the fast lane, and the slow one for what that does not take. */
  readonly lane: Lane;
  readonly slowLane: Lane;
  close(): Promise<void>;
}

/** Opened when first used: a scheme without a network loads none of it, and a plugin's import pays for nothing. */
function lazyLanes(harness: Harness): Lanes {
  const open = async () => {
    const { createNetwork } = await import('../net/create-network.ts');
    const { createHttpClient } = await import('../http/client.ts');
    const { createSlowLane } = await import('../http/slow-lane.ts');
    const { createFastLane } = await import('../transfer/fast-lane.ts');
    const network = createNetwork({ env: {}, policy: 'default' });
    const [http, slow] = [createHttpClient({ network }), createSlowLane({ network })];
    return { network, http, slow, fast: createFastLane({ network }) };
  };
  let opening: ReturnType<typeof open> | undefined;
  const opened = () => (opening ??= open());
  const http: HttpClient = {
    request: async (url, options) => (await opened()).http.request(url, options),
    agents: async (transport) => (await opened()).http.agents(transport),
  };
  return {
    http: harness.http ?? http,
    slowLane: async (job) => (await opened()).slow(job),
    lane: async (job) => {
      const { fast, slow } = await opened();
      return fast.lane(job).catch((error: unknown) => {
        if (error instanceof NotForFastLane) return slow(job);
        throw error;
      });
    },
    close: async () => {
      const used = await opening;
      used?.fast.close();
      used?.network.close();
    },
  };
}

/** The name of the one file of a `singleFile` scheme. */
export function singleName(harness: Harness): string {
  const path = parseRef(harness.uri).path.replace(/[?#].*$/s, '');
  return decodeURIComponent(path.slice(path.lastIndexOf('/') + 1));
}

export async function list(fetcher: Fetcher): Promise<Entry[]> {
  const entries: Entry[] = [];
  for await (const entry of fetcher.list()) entries.push(entry);
  return entries;
}

/** The entry at `path`; a case without it has failed. */
export function entryAt(entries: readonly Entry[], path: string): Entry {
  const entry = entries.find((one) => one.path === path);
  assert.ok(entry, `no entry ${JSON.stringify(path)} among ${JSON.stringify(pathsOf(entries))}`);
  return entry;
}

/** Sorted: the order is the fetcher's business, and has a case of its own. */
export function pathsOf(entries: readonly Entry[]): string[] {
  return entries.map((entry) => entry.path).sort();
}

/** What `action` fails with: always a `ModelFetchError`, with one of these codes. */
export async function failure(
  action: () => Promise<unknown>,
  ...codes: ErrorCode[]
): Promise<ModelFetchError> {
  let thrown: unknown;
  try {
    await action();
  } catch (error) {
    thrown = error;
  }
  assert.ok(thrown !== undefined, `expected ${codes.join(' or ')}, but nothing was thrown`);
  return failedWith(thrown, ...codes);
}

/** `thrown` is one of ours, with one of these codes. */
export function failedWith(thrown: unknown, ...codes: ErrorCode[]): ModelFetchError {
  if (!(thrown instanceof ModelFetchError)) {
    const message = `expected a ModelFetchError, not ${String(thrown)}`;
    throw new assert.AssertionError({ message, actual: thrown });
  }
  const told = `expected ${codes.join(' or ')}, not ${thrown.code}: ${thrown.message}`;
  assert.ok(codes.includes(thrown.code), told);
  return thrown;
}

/** `length` bytes that differ at every place and for every `seed`, the same on every run. */
export function sample(length: number, seed = 1): Buffer {
  const bytes = Buffer.alloc(length);
  let state = (seed * 2654435761) >>> 0;
  for (let index = 0; index < length; index++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[index] = state >>> 24;
  }
  return bytes;
}
