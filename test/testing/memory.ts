/** A scheme that keeps its models in memory, right in every respect: what the suite's own test breaks on purpose. */
import { createHash } from 'node:crypto';
import { ModelFetchError } from '../../src/errors.ts';
import type {
  ByteRange,
  CallOptions,
  Entry,
  Fetcher,
  Location,
  Resolver,
} from '../../src/fetcher.ts';
import type { Files, Harness } from '../../src/testing/index.ts';

const SECRET = 'canary-7d1f';

/** Everything in the store, by key. */
type Store = Map<string, Uint8Array>;

/** The seams at which a test breaks the scheme. */
export interface Breakable {
  resolver: Resolver;
  fetcher: (fetcher: Fetcher) => Fetcher;
  store: Store;
}

/** `change` gets the working scheme, and breaks it. */
export function memoryHarness(change: (parts: Breakable) => void = () => undefined) {
  return async (): Promise<Harness> => {
    const store: Store = new Map();
    const parts: Breakable = { store, fetcher: (one) => one, resolver: memory(store) };
    change(parts);
    const put = (prefix: string, files: Files) => {
      for (const [path, bytes] of Object.entries(files)) store.set(prefix + path, bytes);
    };
    const resolver: Resolver = {
      resolve: async (ref, context) => parts.fetcher(await parts.resolver.resolve(ref, context)),
    };
    return {
      resolver,
      uri: 'mem://bucket/m',
      put: async (files) => {
        for (const key of store.keys()) if (key.startsWith('m/')) store.delete(key);
        put('m/', files);
      },
      siblings: async (files) => put('m', files),
      single: async (name, bytes) => {
        store.set(`x/${name}`, bytes);
        return `mem://bucket/x/${name}`;
      },
      rootUri: 'mem://bucket',
      missingUri: 'mem://bucket/nothing',
      denied: { uri: 'mem://forbidden/m' },
      twoPages: 20,
      hang: async () => {
        parts.resolver = { resolve: (_ref, { signal }) => untilAborted(signal) };
      },
      secrets: [SECRET],
      close: async () => store.clear(),
    };
  };
}

function memory(store: Store): Resolver {
  return {
    async resolve(ref, { signal }): Promise<Fetcher> {
      signal.throwIfAborted();
      const uri = ref.raw;
      if (ref.authority === 'forbidden')
        throw new ModelFetchError('PERMISSION_DENIED', 'no', { uri, hint: 'Ask.' });
      const key = ref.path.slice(1);
      return {
        uri,
        list: (options) => listing(store, key, uri, options),
        locate: async (entry, options) => locate(store, entry, uri, options),
        [Symbol.asyncDispose]: async () => undefined,
      };
    },
  };
}

async function* listing(
  store: Store,
  key: string,
  uri: string,
  { signal }: CallOptions = {},
): AsyncGenerator<Entry> {
  const keys = store.has(key)
    ? [key]
    : [...store.keys()].filter((one) => key === '' || one.startsWith(`${key}/`)).sort();
  if (keys.length === 0)
    throw new ModelFetchError('NOT_FOUND', 'nothing there', { uri, hint: 'Look elsewhere.' });
  for (const one of keys) {
    signal?.throwIfAborted();
    const path = one === key ? one.split('/').at(-1)! : one.slice(key === '' ? 0 : key.length + 1);
    const bytes = store.get(one)!;
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    yield { path, size: bytes.length, version: sha256, digests: [`sha256:${sha256}`], source: one };
  }
}

async function locate(
  store: Store,
  entry: Entry,
  uri: string,
  { signal }: CallOptions = {},
): Promise<Location> {
  signal?.throwIfAborted();
  const bytes = store.get(entry.source!);
  if (!bytes || createHash('sha256').update(bytes).digest('hex') !== entry.version)
    throw new ModelFetchError('SOURCE_CHANGED', 'it moved', { uri, hint: 'Again.' });
  return {
    kind: 'stream',
    open: async (range?: ByteRange) =>
      (async function* () {
        yield range ? bytes.subarray(range.start, range.end) : bytes;
      })(),
  };
}

export function untilAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error));
  });
}

export { SECRET };
