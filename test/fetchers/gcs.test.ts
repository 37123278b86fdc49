import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { ModelFetchError, type ErrorCode } from '../../src/errors.ts';
import type { Entry, Fetcher, HttpLocation } from '../../src/fetcher.ts';
import { gcs } from '../../src/fetchers/gcs.ts';
import { collect, openBench, type Bench } from '../servers/gcs-context.ts';
import { startGcs, type GcsOptions, type GcsServer } from '../servers/gcs.ts';

let bench: Bench;
before(() => (bench = openBench()));
after(() => bench.close());

/** A server for one test, and a fetcher on it. */
async function on(
  options: GcsOptions,
  run: (server: GcsServer, open: (uri: string) => Promise<Fetcher>) => Promise<void>,
) {
  const server = await startGcs(options);
  const resolver = gcs({ endpoint: server.url, anonymous: 'for this test' });
  try {
    await run(server, (uri) => bench.resolve(resolver, uri));
  } finally {
    await server.close();
  }
}

async function located(fetcher: Fetcher, entry: Entry): Promise<HttpLocation> {
  const location = await fetcher.locate(entry);
  assert.equal(location.kind, 'http');
  return location;
}

function fails(code: ErrorCode, message?: RegExp) {
  return (error: unknown) => {
    assert.ok(error instanceof ModelFetchError, String(error));
    assert.equal(error.code, code, error.message);
    assert.ok(error.uri?.startsWith('gs://'), error.uri);
    if (message) assert.match(`${error.message} ${error.hint ?? ''}`, message);
    return true;
  };
}

const paths = (entries: Entry[]) => entries.map((entry) => entry.path);

describe('what a gs:// URI names', () => {
  const buckets = {
    b: {
      'm/a': '1',
      'm/sub/b': '22',
      'm/': '',
      'm-v2/c': 'no',
      'm.txt': 'no',
      single: 'alone',
      'dir/x': 'x',
    },
  };

  test('a name is everything under it, and nothing beside it', () =>
    on({ buckets }, async (_, open) => {
      for (const uri of ['gs://b/m', 'gs://b/m/']) {
        const fetcher = await open(uri);
        assert.equal(fetcher.uri, 'gs://b/m/');
        assert.equal(fetcher.revision, undefined);
        assert.deepEqual(paths(await collect(fetcher)), ['a', 'sub/b']);
      }
    }));

  test('a bucket is everything in it, placeholders aside', () =>
    on({ buckets }, async (_, open) => {
      for (const uri of ['gs://b', 'gs://b/'])
        assert.deepEqual(paths(await collect(await open(uri))), [
          'dir/x',
          'm-v2/c',
          'm.txt',
          'm/a',
          'm/sub/b',
          'single',
        ]);
    }));

  test('one object lands under its own name, and its generation is the revision', () =>
    on({ buckets }, async (server, open) => {
      const generation = server.put('b', 'deep/down/model.bin', '123456789');
      const fetcher = await open('gs://b/deep/down/model.bin');
      assert.equal(fetcher.revision, generation);
      assert.equal(fetcher.uri, `gs://b/deep/down/model.bin#${generation}`);
      assert.deepEqual(await collect(fetcher), [
        {
          path: 'model.bin',
          source: 'deep/down/model.bin',
          version: generation,
          size: 9,
          digests: ['crc32c:e3069283'],
        },
      ]);
    }));

  test('a directory wins over the object of the same name; a placeholder alone is no directory', () =>
    on({ buckets }, async (server, open) => {
      server.put('b', 'm', 'the object');
      assert.deepEqual(paths(await collect(await open('gs://b/m'))), ['a', 'sub/b']);
      server.put('b', 'single/', '');
      assert.deepEqual(paths(await collect(await open('gs://b/single'))), ['single']);
    }));

  test('#generation pins one object; any other # belongs to the name', () =>
    on({ buckets, versioning: true }, async (server, open) => {
      const old = server.put('b', 'v', 'old');
      server.put('b', 'v', 'newer');
      server.put('b', 'v#beta', 'named so');
      const fetcher = await open(`gs://b/v#${old}`);
      const [entry] = await collect(fetcher);
      assert.equal(await bench.read(await located(fetcher, entry!), 3), 'old');
      assert.deepEqual(paths(await collect(await open('gs://b/v#beta'))), ['v#beta']);
      await assert.rejects(open('gs://b/v#1'), fails('NOT_FOUND'));
    }));

  test('zero-byte files are kept; a name that ends in a slash and holds bytes is not hidden', () =>
    on({ buckets: { b: { 'm/empty': '', 'm/d/': '', 'm/odd/': 'bytes' } } }, async (_, open) => {
      assert.deepEqual(paths(await collect(await open('gs://b/m'))), ['empty', 'odd/']);
    }));

  test('names are raw and arrive unchanged, and their bytes are found', () => {
    const names = [
      'a b',
      'a%20b',
      'q?x=1',
      'h#x',
      'plus+',
      'ü/ñ 雪',
      "!'()*~",
      'a&b=c',
      '{{projectId}}',
      ':x',
      '%',
      'a//b',
      'b/../c',
      '😀',
    ];
    const objects = Object.fromEntries(
      names.map((name) => [`odd ?#dir/${name}`, `bytes of ${name}`]),
    );
    return on({ buckets: { b: objects } }, async (_, open) => {
      const fetcher = await open('gs://b/odd ?#dir');
      const entries = await collect(fetcher);
      assert.deepEqual(paths(entries).sort(), [...names].sort());
      for (const entry of entries)
        assert.equal(
          await bench.read(await located(fetcher, entry), entry.size),
          `bytes of ${entry.path}`,
        );
      const one = await open('gs://b/odd ?#dir/{{projectId}}');
      assert.deepEqual(paths(await collect(one)), ['{{projectId}}']);
    });
  });

  for (const uri of [
    'gs:///name',
    'gs://b/dir/#12',
    'gs://user@b/x',
    'gs://b/..',
    'gs://b/.#12',
    'gs://b#12',
  ])
    test(`${uri} is refused`, () =>
      on({ buckets }, async (_, open) => assert.rejects(open(uri), fails('INVALID_URI'))));
});

describe('listing', () => {
  test('goes page by page, no faster than it is read', () => {
    const objects = Object.fromEntries(
      Array.from({ length: 25 }, (_, i) => [`m/${String(i).padStart(3, '0')}`, 'x']),
    );
    return on({ buckets: { b: objects }, pageSize: 10 }, async (server, open) => {
      const fetcher = await open('gs://b/m/');
      const listing = fetcher.list()[Symbol.asyncIterator]();
      await listing.next();
      assert.equal(server.requests.length, 1);
      assert.equal(
        server.requests[0]!.query.get('fields'),
        'items(name,size,generation,crc32c,md5Hash,contentEncoding,cacheControl),nextPageToken',
      );
      await listing.return?.();
      assert.equal((await collect(fetcher)).length, 25);
      assert.equal(server.requests.length, 4);
    });
  });

  test('nothing there is NOT_FOUND, and so is a bucket that is not', () =>
    on({ buckets: { b: { 'm/': '' } } }, async (_, open) => {
      await assert.rejects(open('gs://b/nothing'), fails('NOT_FOUND', /No such object/));
      await assert.rejects(
        async () => collect(await open('gs://b/m/')),
        fails('NOT_FOUND', /nothing in/),
      );
      await assert.rejects(open('gs://other/m'), fails('NOT_FOUND', /bucket does not exist/));
    }));

  for (const body of [
    'null',
    '[]',
    '5',
    '{"items":5}',
    '{"items":[null]}',
    '{"items":[{}]}',
    '{"nextPageToken":{}}',
    '<html>',
    '{"items":[{"name":"else/where"}]}',
    '{"nextPageToken":"again"}',
  ])
    test(`an answer like ${body} is BAD_RESPONSE`, async () => {
      const stranger = createServer((_, response) => response.end(body));
      await new Promise<void>((resolve) => stranger.listen(0, '127.0.0.1', resolve));
      const { port } = stranger.address() as AddressInfo;
      const resolver = gcs({
        endpoint: `http://127.0.0.1:${String(port)}`,
        anonymous: 'for this test',
      });
      try {
        await assert.rejects(
          async () => collect(await bench.resolve(resolver, 'gs://b/m/')),
          (error: unknown) => {
            assert.ok(error instanceof ModelFetchError);
            assert.equal(error.code, 'BAD_RESPONSE');
            return true;
          },
        );
      } finally {
        stranger.close();
        stranger.closeAllConnections();
      }
    });

  test('whoever may read an object but not list is served; else the refusal to list is told', () =>
    on({ buckets: { b: { single: 'alone' } } }, async (server, open) => {
      server.faults.push({
        match: /\/o\?.*prefix/,
        times: 9,
        status: 403,
        reason: 'forbidden',
        message: 'no list access',
      });
      assert.deepEqual(paths(await collect(await open('gs://b/single'))), ['single']);
      await assert.rejects(open('gs://b/nothing'), fails('PERMISSION_DENIED', /no list access/));
    }));

  test('a passing refusal is passed over, with the wait the server asked for', () =>
    on({ buckets: { b: { 'm/a': '1' } } }, async (server, open) => {
      server.faults.push({
        match: /prefix/,
        times: 2,
        status: 503,
        headers: { 'retry-after': '0' },
      });
      assert.deepEqual(paths(await collect(await open('gs://b/m'))), ['a']);
    }));
});

describe('locations', () => {
  test('are pinned by URL and by header, and serve the whole and every part', () =>
    on({ buckets: { b: { 'm/a b': '0123456789' } } }, async (server, open) => {
      const fetcher = await open('gs://b/m');
      const [entry] = await collect(fetcher);
      const location = await located(fetcher, entry!);
      assert.deepEqual(location, {
        kind: 'http',
        url: `${server.url}/storage/v1/b/b/o/m%2Fa%20b?alt=media&generation=${entry!.version!}`,
        headers: {},
        stored: true,
        pin: { response: { 'x-goog-generation': entry!.version } },
        transport: { reach: 'any' },
      });
      assert.equal(await bench.read(location, 10), '0123456789');
      assert.equal(await bench.read(location, 10, { start: 3, end: 7 }), '3456');
    }));

  test('an emulator is not required to send the generation back', async () => {
    const server = await startGcs({ buckets: { b: { 'm/a': '1' } } });
    try {
      const fetcher = await bench.resolve(gcs({ emulator: server.url }), 'gs://b/m');
      const [entry] = await collect(fetcher);
      const location = await located(fetcher, entry!);
      assert.equal(location.pin, undefined);
      assert.match(location.url, /generation=\d+$/);
    } finally {
      await server.close();
    }
  });

  test('an object stored as gzip arrives inflated, without size, digest or ranges that would not fit', () =>
    on({}, async (server, open) => {
      server.put('b', 'm/c.json', gzipSync('{"a":1}'), { contentEncoding: 'gzip' });
      const fetcher = await open('gs://b/m');
      const [entry] = await collect(fetcher);
      assert.deepEqual(Object.keys(entry!).sort(), ['path', 'ranges', 'source', 'version']);
      assert.equal(entry!.ranges, false);
      const location = await located(fetcher, entry!);
      assert.equal(location.range, 'none');
      assert.equal(await bench.read(location), '{"a":1}');
    }));

  test('gzip that may not be inflated on the way is taken as it is stored, and inflated here', () =>
    on({}, async (server, open) => {
      server.put('b', 'm/c.json', gzipSync('{}'), {
        contentEncoding: 'gzip',
        cacheControl: 'no-transform',
      });
      const fetcher = await open('gs://b/m');
      const [entry] = await collect(fetcher);
      assert.deepEqual([entry!.encoding, entry!.size], ['gzip', gzipSync('{}').length]);
      const location = await located(fetcher, entry!);
      assert.equal(location.stored, true);
      assert.equal(location.range, undefined);
    }));

  test('a project that pays is named in every request', async () => {
    const server = await startGcs({ buckets: { b: { 'm/a': '1' } }, requesterPays: true });
    try {
      const anonymous = 'for this test';
      const without = gcs({ endpoint: server.url, anonymous });
      await assert.rejects(
        bench.resolve(without, 'gs://b/m'),
        fails('INVALID_OPTION', /GOOGLE_CLOUD_QUOTA_PROJECT/),
      );
      const fetcher = await bench.resolve(
        gcs({ endpoint: server.url, anonymous, userProject: 'payer' }),
        'gs://b/m',
      );
      const [entry] = await collect(fetcher);
      const location = await located(fetcher, entry!);
      assert.equal(location.headers['x-goog-user-project'], 'payer');
      assert.equal(await bench.read(location, 1), '1');
    } finally {
      await server.close();
    }
  });
});

describe('a location that stopped working', () => {
  test('is SOURCE_CHANGED when the object was replaced, NOT_FOUND when it is gone', () =>
    on({ buckets: { b: { 'm/a': '1' } } }, async (server, open) => {
      const fetcher = await open('gs://b/m');
      const [entry] = await collect(fetcher);
      const location = await located(fetcher, entry!);
      server.put('b', 'm/a', '2');
      await assert.rejects(bench.read(location, 1), /HTTP 404/);
      await assert.rejects(
        fetcher.locate(entry!, { failed: { location, status: 404 } }),
        fails('SOURCE_CHANGED', /generation/),
      );
      server.remove('b', 'm/a');
      await assert.rejects(
        fetcher.locate(entry!, { failed: { location, status: 404 } }),
        fails('NOT_FOUND'),
      );
    }));

  for (const [status, code] of [
    [401, 'UNAUTHENTICATED'],
    [403, 'PERMISSION_DENIED'],
    [412, 'SOURCE_CHANGED'],
    [503, 'UNAVAILABLE'],
    [302, 'BAD_RESPONSE'],
  ] as const)
    test(`status ${String(status)} means ${code}`, () =>
      on({ buckets: { b: { 'm/a': '1' } } }, async (_, open) => {
        const fetcher = await open('gs://b/m');
        const [entry] = await collect(fetcher);
        const location = await located(fetcher, entry!);
        await assert.rejects(fetcher.locate(entry!, { failed: { location, status } }), fails(code));
      }));

  test('without a status it is simply given again', () =>
    on({ buckets: { b: { 'm/a': '1' } } }, async (_, open) => {
      const fetcher = await open('gs://b/m');
      const [entry] = await collect(fetcher);
      const location = await located(fetcher, entry!);
      assert.deepEqual(await fetcher.locate(entry!, { failed: { location } }), location);
    }));
});
