/** The suite passes a scheme that is right, and every case of it fails for one that is wrong in that respect. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { ModelFetchError } from '../../src/errors.ts';
import type { Entry, Fetcher } from '../../src/fetcher.ts';
import { caseNames, runCase, testResolver, type CaseName } from '../../src/testing/index.ts';
import { memoryHarness, SECRET, untilAborted, type Breakable } from './memory.ts';

testResolver('memory', memoryHarness());

/** Breaks what is listed: every entry goes through `change`, which may also answer several, or none. */
function entries(change: (entry: Entry) => readonly Entry[]) {
  return fetcher((inner) => ({
    ...inner,
    async *list(options) {
      for await (const entry of inner.list(options)) yield* change(entry);
    },
  }));
}

function fetcher(change: (inner: Fetcher) => Fetcher) {
  return (parts: Breakable) => {
    parts.fetcher = change;
  };
}

/** Breaks what is read: `change` gets the bytes of a read and the place in the file where they start. */
function bytes(change: (read: Uint8Array, start: number | undefined) => Uint8Array) {
  return fetcher((inner) => ({
    ...inner,
    async locate(entry, options) {
      const location = await inner.locate(entry, options);
      assert.ok(location.kind === 'stream');
      return {
        kind: 'stream',
        open: async (range) =>
          (async function* () {
            for await (const read of await location.open(range)) yield change(read, range?.start);
          })(),
      };
    },
  }));
}

/** Throws `error` in place of what the scheme throws. */
function throwing(error: () => Error) {
  return fetcher((inner) => ({
    ...inner,
    async *list(options) {
      try {
        yield* inner.list(options);
      } catch {
        throw error();
      }
    },
  }));
}

/** Reads the store at the time of reading, whatever was listed. */
const unpinned = (parts: Breakable) => {
  parts.fetcher = (inner) => ({
    ...inner,
    locate: async (entry) => ({
      kind: 'stream',
      open: async () =>
        (async function* () {
          yield parts.store.get(entry.source!) ?? Buffer.alloc(entry.size!);
        })(),
    }),
  });
};

let calls = 0;

/** For every case, the faults that it alone, or it too, has to find. */
const FAULTS: Record<CaseName, Record<string, (parts: Breakable) => void>> = {
  'lists every file, however deep, by its path within the model': {
    'folders are left out': entries((entry) => (entry.path.includes('/') ? [] : [entry])),
    'paths begin with a slash': entries((entry) => [{ ...entry, path: `/${entry.path}` }]),
    'only base names': entries((entry) => [{ ...entry, path: entry.path.split('/').at(-1)! }]),
    'dotfiles are left out': entries((entry) => (entry.path.startsWith('.') ? [] : [entry])),
    'a file twice': entries((entry) => [entry, entry]),
  },
  'gives sizes that are true': {
    'one more': entries((entry) => [{ ...entry, size: entry.size! + 1 }]),
  },
  'keeps a file that is empty': {
    'it is left out': entries((entry) => (entry.size === 0 ? [] : [entry])),
  },
  'does not take neighbours whose names begin like the model': {
    'a careless prefix': (parts) => {
      parts.fetcher = (inner) => ({
        ...inner,
        async *list() {
          for (const key of parts.store.keys())
            if (key.startsWith('m')) yield { path: key.slice(2) };
        },
      });
    },
  },
  'lists a single object as one entry with its base name': {
    'by its whole key': entries((entry) => [{ ...entry, path: entry.source! }]),
  },
  'lists the whole of the root': {
    'one is missing': entries((entry) => (entry.path.endsWith('config.json') ? [] : [entry])),
  },
  'keeps odd names as they are, and finds their bytes': {
    'decoded once too often': entries((entry) => [
      { ...entry, path: decodeURIComponent(entry.path) },
    ]),
    'a plus for a space': entries((entry) => [{ ...entry, path: entry.path.replace('+', ' ') }]),
    'cut at the question mark': entries((entry) => [{ ...entry, path: entry.path.split('?')[0]! }]),
  },
  'lists more than one page': {
    'the first page only': fetcher((inner) => ({
      ...inner,
      async *list(options) {
        let left = 10;
        for await (const entry of inner.list(options)) if (left-- > 0) yield entry;
      },
    })),
  },
  'lists in an order that stays the same': {
    'every other time the other way round': fetcher((inner) => ({
      ...inner,
      async *list(options) {
        const all = await Array.fromAsync(inner.list(options));
        yield* calls++ % 2 ? all.reverse() : all;
      },
    })),
  },
  'lists plain data': {
    'a date': entries((entry) => [{ ...entry, modified: new Date(0) } as Entry]),
    'undefined for absent': entries((entry) => [
      { ...entry, archive: undefined } as unknown as Entry,
    ]),
  },
  'lets a listing be left early': {
    'clean-up that fails': fetcher((inner) => ({
      ...inner,
      async *list(options) {
        let whole = false;
        try {
          yield* inner.list(options);
          whole = true;
        } finally {
          if (!whole) throw new Error('still in use');
        }
      },
    })),
  },
  'reads every file whole': {
    'a byte short': bytes((read) => read.subarray(1)),
    'another byte': bytes((read) => read.map((byte) => byte ^ 1)),
  },
  'reads the first, a middle and the last byte': {
    'one byte on': bytes((read, start) => (start === 5000 ? Buffer.from([1]) : read)),
  },
  'gives ranges that make up the whole': {
    'inclusive ends': bytes((read, start) =>
      start === undefined ? read : Buffer.concat([read, Buffer.of(0)]),
    ),
  },
  'reads the same over the lane for odd answers': {
    'nobody is there': fetcher((inner) => ({
      ...inner,
      locate: async () => ({ kind: 'http', url: 'http://127.0.0.1:1/', headers: {} }),
    })),
  },
  'answers a range past the end with an error, not with less': {
    'filled up with zeros': fetcher((inner) => ({
      ...inner,
      locate: async () => ({
        kind: 'stream',
        open: async (range) =>
          (async function* () {
            yield Buffer.alloc(range!.end - range!.start);
          })(),
      }),
    })),
  },
  'reads fifty at a time': {
    'one connection for all': (parts) => {
      let busy = false;
      parts.fetcher = (inner) => ({
        ...inner,
        async locate(entry, options) {
          if (busy) throw new Error('busy');
          busy = true;
          await new Promise(setImmediate);
          busy = false;
          return inner.locate(entry, options);
        },
      });
    },
  },
  'locates with plain data, and leaves the entry as it is': {
    'it notes something on it': fetcher((inner) => ({
      ...inner,
      locate(entry, options) {
        Object.assign(entry, { located: true });
        return inner.locate(entry, options);
      },
    })),
  },
  'declares digests that are right': {
    'of something else': entries((entry) => [{ ...entry, digests: [`sha256:${'0'.repeat(64)}`] }]),
    'in capitals': entries((entry) => [
      { ...entry, digests: [`sha256:${entry.digests![0]!.slice(7).toUpperCase()}`] },
    ]),
    'of the wrong polynomial': entries((entry) => [{ ...entry, digests: ['crc32c:cbf43926'] }]),
  },
  'never passes off bytes that were overwritten after listing': {
    'read as they are now': unpinned,
  },
  'notices a file that went after listing': { 'zeros in its place': unpinned },
  'says the same twice, and something else once the model has changed': {
    'a version that is not one': entries((entry) => [{ ...entry, version: '1', digests: [] }]),
    'a revision of the day': fetcher((inner) => ({ ...inner, revision: String(calls++) })),
    'a revision that never moves': fetcher((inner) => ({ ...inner, revision: 'main' })),
  },
  'says NOT_FOUND where nothing is': {
    'another code': throwing(() => new ModelFetchError('UNAVAILABLE', 'hm')),
    'no hint': throwing(() => new ModelFetchError('NOT_FOUND', 'hm', { uri: 'mem://x' })),
    'a bare error': throwing(() => new Error('ENOENT')),
  },
  'says NOT_FOUND where a model holds no file': {
    'an empty listing': throwing(() => undefined as unknown as Error),
    nothing: fetcher((inner) => ({
      ...inner,
      async *list(options) {
        try {
          yield* inner.list(options);
        } catch {
          // The fault: nothing is thrown.
        }
      },
    })),
  },
  'says UNAUTHENTICATED or PERMISSION_DENIED to whom the source turns away': {
    'not found instead': (parts) => {
      parts.resolver = {
        resolve: () =>
          Promise.reject(new ModelFetchError('NOT_FOUND', 'x', { uri: 'm:x', hint: 'y' })),
      };
    },
  },
  'keeps secrets out of uri, revision, entries and errors': {
    'in the uri': fetcher((inner) => ({ ...inner, uri: `mem://${SECRET}` })),
    'in user information': fetcher((inner) => ({ ...inner, uri: 'mem://user:password@bucket/m' })),
    'in an entry': entries((entry) => [{ ...entry, source: `${entry.source!}?${SECRET}` }]),
    'in an error': throwing(() => new ModelFetchError('NOT_FOUND', `no ${SECRET}`)),
    'beside an error': throwing(() => Object.assign(new Error('no'), { config: { key: SECRET } })),
  },
  'stops at once when it is told to stop': {
    'the signal is not looked at': fetcher((inner) => ({ ...inner, list: () => inner.list() })),
    'another error': fetcher((inner) => ({
      ...inner,
      async *list({ signal } = {}) {
        if (signal?.aborted) throw new Error('socket hang up');
        yield* inner.list();
      },
    })),
  },
  'stops at once when the source has gone silent': {
    'waits for ever': fetcher((inner) => ({
      ...inner,
      locate: () => untilAborted(new AbortController().signal),
    })),
  },
  'may be disposed of twice': {
    'once only': fetcher((inner) => {
      let closed = false;
      return {
        ...inner,
        [Symbol.asyncDispose]: async () => {
          if (closed) throw new Error('closed');
          closed = true;
        },
      };
    }),
  },
};

suite('every case can fail', () => {
  for (const name of caseNames)
    for (const [fault, change] of Object.entries(FAULTS[name]))
      test(`${name}: ${fault}`, async () => {
        await assert.rejects(runCase(name, memoryHarness(change)));
      });
});

test('to import the suite outside a test registers nothing', async () => {
  const { execFileSync } = await import('node:child_process');
  const module = new URL('../../src/testing/index.ts', import.meta.url).href;
  const script = `import ${JSON.stringify(module)}; process.stdout.write('loaded')`;
  const output = execFileSync(process.execPath, ['--input-type=module', '-e', script], {
    encoding: 'utf8',
    env: {},
  });
  assert.equal(output, 'loaded');
});
