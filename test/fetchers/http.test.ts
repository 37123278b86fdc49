import assert from 'node:assert/strict';
import { after, beforeEach, test } from 'node:test';
import { ModelFetchError, type ErrorCode } from '../../src/errors.ts';
import type {
  Entry,
  FailedLocation,
  Fetcher,
  HttpLocation,
  ResolveContext,
} from '../../src/fetcher.ts';
import { fromEnv } from '../../src/fetchers/http.ts';
import { createHttpClient } from '../../src/http/client.ts';
import { createNetwork } from '../../src/net/create-network.ts';
import { parseRef } from '../../src/ref.ts';
import type { Env } from '../../src/registry.ts';
import { startHttpServer, type Fault } from '../servers/http.ts';

const closers: (() => unknown)[] = [];
after(async () => {
  for (const close of closers) await close();
});
const kept = <T extends { close(): unknown }>(one: T): T => {
  closers.push(() => one.close());
  return one;
};

const a = kept(await startHttpServer());
const cdn = kept(await startHttpServer());
const client = createHttpClient({ network: kept(createNetwork()), backoffMs: 1 });
const content = Buffer.from('the bytes of a model');

beforeEach(() => {
  for (const server of [a, cdn]) {
    server.requests.length = 0;
    server.faults.length = 0;
    server.put('/m.bin', content, { etag: '"v1"' });
  }
});

function context(signal = new AbortController().signal): ResolveContext {
  return {
    signal,
    http: client,
    resolve: () => Promise.reject(new Error('not needed')),
    scratch: () => Promise.reject(new Error('not needed')),
  };
}

const resolve = (uri: string, env: Env = {}) => fromEnv(env).resolve(parseRef(uri), context());

async function entryOf(fetcher: Fetcher): Promise<Entry> {
  const entries: Entry[] = [];
  for await (const entry of fetcher.list()) entries.push(entry);
  assert.equal(entries.length, 1);
  return entries[0]!;
}

async function locate(fetcher: Fetcher, failed?: FailedLocation): Promise<HttpLocation> {
  const location = await fetcher.locate(await entryOf(fetcher), failed ? { failed } : {});
  assert.equal(location.kind, 'http');
  return location;
}

async function failing(promise: Promise<unknown>, code: ErrorCode): Promise<ModelFetchError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof ModelFetchError, `expected ${code}, not ${String(error)}`);
  assert.equal(error.code, code, error.message);
  return error;
}

test('one GET of one byte says all: size, ranges, version, pin', async () => {
  const fetcher = await resolve(a.url('/m.bin'));
  assert.equal(fetcher.uri, a.url('/m.bin'));
  assert.equal(fetcher.revision, '"v1"');
  assert.deepEqual(await entryOf(fetcher), {
    path: 'm.bin',
    size: content.length,
    version: '"v1"',
  });
  assert.deepEqual(await locate(fetcher), {
    kind: 'http',
    url: a.url('/m.bin'),
    headers: {},
    pin: { request: { 'if-match': '"v1"' }, response: { etag: '"v1"' } },
  });
  assert.deepEqual(
    a.requests.map(({ method, headers }) => [method, headers['range']]),
    [['GET', 'bytes=0-0']],
  );
});

test('any content type but a web page will do', async () => {
  for (const type of [
    'application/json',
    'binary/octet-stream',
    'application/x-tar',
    'text/plain',
    '',
  ]) {
    a.put('/m.bin', content, { headers: { 'content-type': type } });
    assert.equal((await entryOf(await resolve(a.url('/m.bin')))).size, content.length);
  }
  a.put('/m.bin', '<html>', { headers: { 'content-type': 'text/html; charset=utf-8' } });
  assert.match((await failing(resolve(a.url('/m.bin')), 'BAD_RESPONSE')).hint ?? '', /login/);
  a.put('/page.html', '<html>', { headers: { 'content-type': 'text/html' } });
  assert.equal((await entryOf(await resolve(a.url('/page.html')))).path, 'page.html');
});

test('an empty file is a file of no bytes', async () => {
  a.put('/empty.bin', '', { etag: '"e"' });
  const fetcher = await resolve(a.url('/empty.bin'));
  assert.deepEqual(await entryOf(fetcher), {
    path: 'empty.bin',
    size: 0,
    version: '"e"',
    ranges: false,
  });
});

test('servers without ranges are read in one pass', async () => {
  a.put('/m.bin', content, { etag: '"v1"', ranges: false });
  const entry = await entryOf(await resolve(a.url('/m.bin')));
  assert.deepEqual(entry, { path: 'm.bin', size: content.length, version: '"v1"', ranges: false });
  a.faults.push({ kind: 'chunked', on: (request) => request.headers['range'] !== undefined });
  a.put('/m.bin', content, { etag: '"v1"', headers: {} });
  a.faults.splice(0, 1, {
    kind: 'raw',
    bytes:
      'HTTP/1.1 200 OK\r\nETag: "v1"\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n',
  });
  assert.deepEqual(await entryOf(await resolve(a.url('/m.bin'))), {
    path: 'm.bin',
    version: '"v1"',
    ranges: false,
  });
});

test('a server that passes the first byte off as the whole is asked again', async () => {
  a.faults.push({ kind: 'part-as-whole' });
  const entry = await entryOf(await resolve(a.url('/m.bin')));
  assert.deepEqual(entry, { path: 'm.bin', size: content.length, version: '"v1"', ranges: false });
});

test('without a strong ETag a settled Last-Modified pins, a fresh one does not', async () => {
  const old = new Date('2024-02-03T04:05:06Z');
  a.put('/m.bin', content, { etag: 'W/"weak"', lastModified: old });
  const fetcher = await resolve(a.url('/m.bin'));
  assert.equal(fetcher.revision, undefined);
  assert.deepEqual((await locate(fetcher)).pin, {
    request: { 'if-unmodified-since': old.toUTCString() },
    response: { 'last-modified': old.toUTCString() },
  });
  assert.equal((await entryOf(fetcher)).version, `${old.toUTCString()} ${content.length}`);
  for (const lastModified of [new Date(), false] as const) {
    a.put('/m.bin', content, { etag: false, lastModified });
    const loose = await resolve(a.url('/m.bin'));
    assert.equal((await locate(loose)).pin, undefined);
    assert.deepEqual(await entryOf(loose), { path: 'm.bin', size: content.length, ranges: false });
  }
});

test("the digest in the fragment is the user's word", async () => {
  const hex = 'a'.repeat(64);
  const fetcher = await resolve(`${a.url('/m.bin')}#sha256=${hex.toUpperCase()}`);
  assert.deepEqual((await entryOf(fetcher)).digests, [`sha256:${hex}`]);
  assert.equal(a.requests[0]?.target, '/m.bin');
  const two = await resolve(`${a.url('/m.bin')}#md5=${'0'.repeat(32)}&crc32c=00000000`);
  assert.deepEqual((await entryOf(two)).digests, [`md5:${'0'.repeat(32)}`, 'crc32c:00000000']);
  for (const fragment of ['section', 'sha256=abc', 'sha256', 'sha999=00', `sha256=${hex}&x`])
    await failing(resolve(`${a.url('/m.bin')}#${fragment}`), 'INVALID_URI');
});

test('queries are opaque, and not told', async () => {
  const query = '?X-Amz-Signature=sesame%2Bx%2F&X-Amz-Date=1&x=%D2';
  const fetcher = await resolve(a.url(`/m.bin${query}`));
  assert.equal(a.requests[0]?.target, `/m.bin${query}`);
  assert.equal((await locate(fetcher)).url, a.url(`/m.bin${query}`));
  assert.ok(!fetcher.uri.includes('sesame'));
});

test('Content-Disposition names the file', async () => {
  a.put('/download', content, {
    headers: { 'content-disposition': 'attachment; filename="my model.onnx"' },
  });
  assert.equal((await entryOf(await resolve(a.url('/download?id=1')))).path, 'my model.onnx');
});

test('redirects are followed to the end, and the name is the one that was asked for', async () => {
  a.faults.push({ kind: 'redirect', to: cdn.url('/m.bin?sig=1'), on: '/models/nice.onnx' });
  const fetcher = await resolve(a.url('/models/nice.onnx'));
  assert.equal((await entryOf(fetcher)).path, 'nice.onnx');
  const location = await locate(fetcher);
  assert.equal(location.url, cdn.url('/m.bin?sig=1'));
  assert.deepEqual(location.transport, { reach: 'loopback' });
});

test('credentials in the URI go to its origin only, and are in no text', async () => {
  const basic = `Basic ${Buffer.from('us@er:sesame').toString('base64')}`;
  const uri = a.url('/m.bin').replace('//', '//us%40er:sesame@');
  const fetcher = await resolve(uri);
  assert.equal(a.requests[0]?.headers['authorization'], basic);
  assert.deepEqual((await locate(fetcher)).headers, { authorization: basic });
  assert.equal(fetcher.uri, a.url('/m.bin'));
  a.faults.push({ kind: 'redirect', to: cdn.url('/m.bin') });
  const elsewhere = await resolve(uri);
  assert.deepEqual((await locate(elsewhere)).headers, {});
  assert.equal(cdn.requests[0]?.headers['authorization'], undefined);
  a.faults.splice(0, 1, { kind: 'status', status: 403 });
  const error = await failing(resolve(uri), 'PERMISSION_DENIED');
  assert.ok(!`${error.stack}${error.hint}${error.uri}`.includes('sesame'));
});

test('headers for a host come from its variable, as KServe has them', async () => {
  const env = {
    '127.0.0.1-headers': '{"Authorization":"Bearer t","X-Api-Key":"k","Accept-Encoding":"gzip"}',
    'other-headers': '{"x":"y"}',
  };
  const fetcher = await resolve(a.url('/m.bin'), env);
  const seen = a.requests[0]!.headers;
  assert.deepEqual(
    [seen['authorization'], seen['x-api-key'], seen['x'], seen['accept-encoding']],
    ['Bearer t', 'k', undefined, 'identity'],
  );
  assert.deepEqual((await locate(fetcher)).headers, {
    authorization: 'Bearer t',
    'x-api-key': 'k',
  });
  for (const bad of [
    'not json sesame',
    '["sesame"]',
    '"x"',
    'null',
    '{"a":{"b":"sesame"}}',
    '{"Host":"x"}',
    '{"Range":"bytes=0-1"}',
    '{"a":"x\\r\\nsesame: 1"}',
    '{"b ad":"x"}',
  ]) {
    const error = await failing(
      resolve(a.url('/m.bin'), { '127.0.0.1-headers': bad }),
      'INVALID_OPTION',
    );
    assert.ok(!`${error.stack}${error.hint}`.includes('sesame'), bad);
  }
});

test('refusals have their codes, and say what to do', async () => {
  const cases: [status: number, code: ErrorCode][] = [
    [401, 'UNAUTHENTICATED'],
    [403, 'PERMISSION_DENIED'],
    [404, 'NOT_FOUND'],
    [410, 'NOT_FOUND'],
    [400, 'BAD_RESPONSE'],
    [204, 'BAD_RESPONSE'],
    [302, 'BAD_RESPONSE'],
    [501, 'BAD_RESPONSE'],
    [503, 'UNAVAILABLE'],
  ];
  for (const [status, code] of cases) {
    a.faults.splice(0, 1, { kind: 'status', status });
    const error = await failing(resolve(a.url('/m.bin')), code);
    assert.ok(error.hint && error.uri, String(status));
  }
  a.faults.splice(0, 1, { kind: 'status', status: 403 });
  assert.match(
    (await failing(resolve(a.url('/m.bin?X-Amz-Signature=x')), 'PERMISSION_DENIED')).hint ?? '',
    /expired/,
  );
});

test('what cannot be a URL is INVALID_URI', async () => {
  for (const uri of ['http:/x', 'https://', 'http://[bad/x', 'https:m.bin'])
    await assert.rejects(async () => resolve(uri), { code: 'INVALID_URI' }, uri);
});

const failedAt = (location: HttpLocation, status?: number): FailedLocation => ({
  location,
  ...(status !== undefined && { status }),
});

test('a location whose signature expired is replaced', async () => {
  let issued = 0;
  const issuer = kept(
    await startHttpServer({
      handler: (_request, response) =>
        response.writeHead(302, { location: cdn.url(`/m.bin?sig=${++issued}`) }).end(),
    }),
  );
  const fetcher = await resolve(issuer.url('/nice.bin'));
  const first = await locate(fetcher);
  const [second, same] = await Promise.all([
    locate(fetcher, failedAt(first, 403)),
    locate(fetcher, failedAt(first, 403)),
  ]);
  assert.equal(second.url, cdn.url('/m.bin?sig=2'));
  assert.equal(same.url, second.url);
  assert.equal(
    (await locate(fetcher, failedAt(first, 403))).url,
    second.url,
    'a late report of the old place costs no request',
  );
  assert.equal(issued, 2);
});

test('a refusal that stays is believed the second time', async () => {
  const codes: [number, ErrorCode][] = [
    [401, 'UNAUTHENTICATED'],
    [403, 'PERMISSION_DENIED'],
    [404, 'NOT_FOUND'],
    [302, 'BAD_RESPONSE'],
  ];
  for (const [status, code] of codes) {
    const fetcher = await resolve(a.url('/m.bin'));
    const first = await locate(fetcher);
    const second = await locate(fetcher, failedAt(first, status));
    await failing(locate(fetcher, failedAt(second, status)), code);
  }
});

test('a refusal that the probe meets too is told at once', async () => {
  const faults: [Fault, ErrorCode][] = [
    [{ kind: 'status', status: 401 }, 'UNAUTHENTICATED'],
    [{ kind: 'status', status: 403 }, 'PERMISSION_DENIED'],
    [{ kind: 'status', status: 404 }, 'NOT_FOUND'],
  ];
  for (const [fault, code] of faults) {
    a.faults.length = 0;
    const fetcher = await resolve(a.url('/m.bin'));
    const first = await locate(fetcher);
    a.faults.push(fault);
    await failing(locate(fetcher, failedAt(first, 403)), code);
  }
});

test('a late redirect is resolved again', async () => {
  const fetcher = await resolve(a.url('/m.bin'));
  const first = await locate(fetcher);
  a.faults.push({ kind: 'redirect', to: cdn.url('/m.bin') });
  assert.equal((await locate(fetcher, failedAt(first, 302))).url, cdn.url('/m.bin'));
});

test('trouble that passes costs no request and no chance', async () => {
  const fetcher = await resolve(a.url('/m.bin'));
  const first = await locate(fetcher);
  const before = a.requests.length;
  for (const status of [undefined, 408, 429, 500, 503, 503, 503])
    assert.equal((await locate(fetcher, failedAt(first, status))).url, first.url);
  assert.equal(a.requests.length, before);
});

test('another version is SOURCE_CHANGED', async () => {
  for (const status of [412, 416, 403]) {
    a.put('/m.bin', content, { etag: '"v1"' });
    const fetcher = await resolve(a.url('/m.bin'));
    const first = await locate(fetcher);
    a.put('/m.bin', content, { etag: '"v2"' });
    await failing(locate(fetcher, failedAt(first, status)), 'SOURCE_CHANGED');
  }
});

test('explain tells the parts and where credentials would come from, and no secret', async () => {
  const explain = async (uri: string, env: Env = {}) =>
    fromEnv(env).explain!(parseRef(uri), context());
  const basic = await explain('https://user:sesame@models.test:8443/m.bin#crc32=00000000');
  assert.equal(basic.credentials, 'user and password from the URI');
  assert.equal(basic.endpoint, 'https://models.test:8443');
  assert.equal(basic.parts['digests'], 'crc32:00000000');
  const headers = await explain('https://models.test/m', {
    'models.test-headers': '{"Authorization":"Bearer sesame"}',
  });
  assert.equal(headers.credentials, 'headers for models.test: authorization');
  const signed = await explain('https://models.test/m?X-Amz-Signature=sesame');
  assert.equal(signed.credentials, 'signature in the URI');
  assert.equal((await explain('https://models.test/m')).credentials, 'none');
  assert.ok(!JSON.stringify([basic, headers, signed]).includes('sesame'));
});
