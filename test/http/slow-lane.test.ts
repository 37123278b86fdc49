import assert from 'node:assert/strict';
import { after, beforeEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ModelFetchError, type ErrorCode } from '../../src/errors.ts';
import type { HttpLocation } from '../../src/fetcher.ts';
import { createSlowLane } from '../../src/http/slow-lane.ts';
import { createNetwork } from '../../src/net/create-network.ts';
import { RangeIgnored, Refusal, type Head, type LaneJob } from '../../src/transfer/lane.ts';
import { startHttpServer, type Fault, type HttpServer } from '../servers/http.ts';
import { startProxy } from '../servers/proxy.ts';
import { certificatePath, serverCertificate } from '../support/certs.ts';

const closers: (() => unknown)[] = [];
after(async () => {
  for (const close of closers) await close();
});
const kept = <T extends { close(): unknown }>(one: T): T => {
  closers.push(() => one.close());
  return one;
};

const SIZE = 300_000;
const bytes = Buffer.alloc(SIZE).map((_, index) => (index * 7) % 251);
const server = kept(await startHttpServer());
const url = server.put('/m', bytes, { etag: '"v1"' });
server.put('/empty', '');
const network = kept(createNetwork({ env: { SSL_CERT_FILE: certificatePath('ca') } }));
const lane = createSlowLane({ network });

beforeEach(() => {
  server.faults.length = 0;
  server.requests.length = 0;
});

const at = (more: Partial<HttpLocation> = {}): HttpLocation => ({
  kind: 'http',
  url,
  headers: {},
  ...more,
});

async function take(job: Partial<LaneJob> = {}): Promise<{ body: Buffer; head: Head }> {
  const chunks: Buffer[] = [];
  const head = await lane({
    location: at(),
    sink: (chunk) => void chunks.push(Buffer.from(chunk)),
    signal: new AbortController().signal,
    stallMs: 5000,
    ...job,
  });
  return { body: Buffer.concat(chunks), head };
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

async function quiet(one: HttpServer): Promise<void> {
  for (let i = 0; i < 200 && one.connections() > 0; i++) await sleep(5);
  assert.equal(one.connections(), 0);
}

const raw = (head: string, body = ''): Fault => ({
  kind: 'raw',
  bytes: `${head.replaceAll('\n', '\r\n')}\r\n\r\n${body}`,
});

test('takes the whole, a range, and an empty file', async () => {
  assert.deepEqual((await take({ size: SIZE })).body, bytes);
  assert.deepEqual((await take()).body, bytes);
  const { body, head } = await take({ range: { start: 1000, end: 1100 }, size: SIZE });
  assert.deepEqual(body, bytes.subarray(1000, 1100));
  assert.equal(head.status, 206);
  assert.equal(head.headers['content-range'], `bytes 1000-1099/${SIZE}`);
  assert.equal(
    (await take({ location: at({ url: server.url('/empty') }), size: 0 })).body.length,
    0,
  );
});

test('asks as the location says, and for identity', async () => {
  await take({
    location: at({
      headers: { 'x-key': 'k' },
      pin: { request: { 'if-match': '"v1"' }, response: { etag: '"v1"' } },
    }),
    range: { start: 0, end: 1 },
  });
  const { headers } = server.requests[0]!;
  assert.deepEqual(
    [headers['x-key'], headers['if-match'], headers['range'], headers['accept-encoding']],
    ['k', '"v1"', 'bytes=0-0', 'identity'],
  );
});

test('the head is told once, before the first byte, and only when it is right', async () => {
  const order: string[] = [];
  await take({
    onHead: (head) => order.push(`head ${head.status}`),
    sink: () => void order.push('chunk'),
  });
  assert.equal(order[0], 'head 200');
  assert.equal(order.filter((one) => one.startsWith('head')).length, 1);
  server.faults.push({ kind: 'wrong-range' });
  await failing(
    take({ range: { start: 0, end: 9 }, onHead: () => assert.fail('told of a wrong answer') }),
    'BAD_RESPONSE',
  );
});

test('copes with chunked bodies', async () => {
  server.faults.push({ kind: 'chunked' });
  assert.deepEqual((await take()).body, bytes);
  assert.deepEqual((await take({ size: SIZE })).body, bytes);
  assert.deepEqual((await take({ range: { start: 5, end: 50 } })).body, bytes.subarray(5, 50));
});

test('a body that ends with the connection is whole only when its length is known and reached', async () => {
  server.faults.push({ kind: 'close-delimited' });
  assert.deepEqual((await take({ size: SIZE })).body, bytes);
  await failing(take({ sink: () => assert.fail('took bytes that prove nothing') }), 'BAD_RESPONSE');
  server.faults.length = 0;
  server.faults.push({ kind: 'close-delimited', cutAfter: 1000 });
  await failing(take({ size: SIZE }), 'TRUNCATED');
});

test('too few bytes are TRUNCATED, and those that came have been given', async () => {
  const faults: Fault[] = [
    { kind: 'cut', after: 1000 },
    { kind: 'chunked', cutAfter: 1000 },
  ];
  for (const fault of faults) {
    server.faults.splice(0, 1, fault);
    let got = 0;
    const error = await failing(
      take({ size: SIZE, sink: (chunk) => void (got += chunk.length) }),
      'TRUNCATED',
    );
    assert.ok(error.retryable);
    assert.equal(got, 1000, fault.kind);
  }
  server.faults.splice(0, 1, { kind: 'chunked', cutAfter: 1000 });
  await failing(take(), 'TRUNCATED');
});

test('too many bytes are BAD_RESPONSE, and none of the surplus is given', async () => {
  server.faults.push({ kind: 'chunked', extra: 'surplus' });
  let got = 0;
  await failing(take({ size: SIZE, sink: (chunk) => void (got += chunk.length) }), 'BAD_RESPONSE');
  assert.ok(got <= SIZE);
  await failing(take({ range: { start: 0, end: 10 } }), 'BAD_RESPONSE');
});

test('liars are found out before a byte is given', async () => {
  const sink = () => assert.fail('a byte was given');
  const range = { start: 10, end: 20 };
  const cases: [Fault, Partial<LaneJob>, ErrorCode][] = [
    [{ kind: 'wrong-range' }, { range }, 'BAD_RESPONSE'],
    [{ kind: 'encoded' }, {}, 'BAD_RESPONSE'],
    [{ kind: 'part-as-whole' }, { size: SIZE - 1 }, 'SOURCE_CHANGED'],
    [
      { kind: 'other-version', etag: '"v2"' },
      { location: at({ pin: { response: { etag: '"v1"' } } }) },
      'SOURCE_CHANGED',
    ],
  ];
  for (const [fault, job, code] of cases) {
    server.faults.splice(0, 1, fault);
    await failing(take({ ...job, sink }), code);
  }
  for (const kind of ['whole-for-range', 'part-as-whole'] as const) {
    server.faults.splice(0, 1, { kind });
    await assert.rejects(take({ range, sink }), RangeIgnored);
  }
});

test('anything but 2xx is a Refusal with status, headers and at most 64 KiB of body', async () => {
  server.faults.push({
    kind: 'status',
    status: 403,
    headers: { 'x-reason': 'expired' },
    body: 'x'.repeat(200_000),
  });
  const error = await take().then(
    () => undefined,
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof Refusal);
  assert.equal(error.head.status, 403);
  assert.equal(error.head.headers['x-reason'], 'expired');
  assert.equal(error.body.length, 65_536);
  for (const status of [301, 304, 404, 412, 416, 503]) {
    server.faults.splice(0, 1, { kind: 'status', status, headers: { location: '/x' } });
    await assert.rejects(
      take(),
      (reason) => reason instanceof Refusal && reason.head.status === status,
    );
  }
});

test('redirects are not followed', async () => {
  server.faults.push({ kind: 'redirect', to: '/m', on: '/moved' });
  await assert.rejects(
    take({ location: at({ url: server.url('/moved') }) }),
    (reason) => reason instanceof Refusal && reason.head.headers['location'] === '/m',
  );
  assert.equal(server.requests.length, 1);
});

test('interim answers are passed over; repeated fields are joined', async () => {
  server.faults.push(
    raw(
      'HTTP/1.1 100 Continue\n\nHTTP/1.1 103 Early Hints\nLink: </x>\n\nHTTP/1.1 200 OK\nContent-Length: 4\nX-Goog-Hash: crc32c=a\nX-Goog-Hash: md5=b\nX-Long: one',
      'abcd',
    ),
  );
  const { body, head } = await take({ location: at() });
  assert.equal(body.toString(), 'abcd');
  assert.equal(head.headers['x-goog-hash'], 'crc32c=a, md5=b');
});

test('a head that could be read in two ways is never taken', async () => {
  const heads = [
    'HTTP/1.1 200 OK\nContent-Length: 4\nContent-Length: 5',
    'HTTP/1.1 200 OK\nContent-Length: 4\nTransfer-Encoding: chunked',
    'HTTP/1.1 200 OK\nContent-Length: -4',
    'HTTP/1.1 200 OK\nContent-Length : 4',
  ];
  for (const head of heads) {
    server.faults.splice(0, 1, raw(head, 'abcdefgh'));
    await assert.rejects(
      take({ sink: () => assert.fail(`took bytes after ${head}`) }),
      ModelFetchError,
      head,
    );
  }
});

test('folded fields are either unfolded or refused', async () => {
  server.faults.push(raw('HTTP/1.1 200 OK\nX-Folded: one\n two\nContent-Length: 4', 'abcd'));
  const outcome = await take().catch((error: unknown) => error);
  if (outcome instanceof Error) assert.ok(outcome instanceof ModelFetchError);
  else assert.equal((outcome as { body: Buffer }).body.toString(), 'abcd');
});

test('silence is STALLED, before the head and in the body', async () => {
  const one = kept(await startHttpServer());
  const location = at({ url: one.put('/m', bytes) });
  for (const fault of [
    { kind: 'silence' },
    { kind: 'stall', after: 500 },
    { kind: 'stall', after: 0 },
  ] as Fault[]) {
    one.faults.splice(0, 1, fault);
    const started = performance.now();
    const error = await failing(take({ location, stallMs: 100 }), 'STALLED');
    assert.ok(error.retryable);
    assert.ok(performance.now() - started < 1500);
  }
  await quiet(one);
});

test('a pause of the sink is no stall, and holds the server back', async () => {
  const one = kept(await startHttpServer());
  let made = 0;
  const huge = {
    size: 2 ** 30,
    slice: (start: number, end: number) => {
      made = Math.max(made, end);
      return new Uint8Array(end - start);
    },
  };
  const controller = new AbortController();
  let calls = 0;
  const taking = take({
    location: at({ url: one.put('/huge', huge) }),
    signal: controller.signal,
    stallMs: 500,
    sink: async () => {
      if (++calls === 2) await sleep(1200);
      if (calls === 3) controller.abort();
    },
  });
  await failing(taking, 'ABORTED');
  assert.equal(calls, 3);
  assert.ok(made < 64 * 2 ** 20, `${made} bytes were made`);
  await quiet(one);
});

test('what the sink throws ends the exchange and comes out as it is', async () => {
  const one = kept(await startHttpServer());
  const location = at({ url: one.put('/m', bytes) });
  const full = new Error('disk full');
  await assert.rejects(
    take({
      location,
      sink: () => {
        throw full;
      },
    }),
    (error) => error === full,
  );
  await assert.rejects(
    take({ location, sink: () => Promise.reject(full) }),
    (error) => error === full,
  );
  await quiet(one);
});

test('an abort is prompt, leaves no socket, and does not wait for the sink', async () => {
  const one = kept(await startHttpServer());
  const location = at({ url: one.put('/m', bytes) });
  const stuck: Partial<LaneJob>[] = [{}, { sink: () => new Promise<void>(() => undefined) }];
  for (const [index, job] of stuck.entries()) {
    if (index === 0) one.faults.push({ kind: 'stall', after: 500, times: 1 });
    const controller = new AbortController();
    setTimeout(() => controller.abort(new ModelFetchError('DEADLINE', 'late')), 80);
    const started = performance.now();
    await failing(take({ location, signal: controller.signal, ...job }), 'DEADLINE');
    assert.ok(performance.now() - started < 1000);
    await quiet(one);
  }
  await failing(take({ location, signal: AbortSignal.abort() }), 'ABORTED');
});

test('connections that break before the head are UNAVAILABLE, refused ones by their cause', async () => {
  server.faults.push({ kind: 'reset' });
  await failing(take(), 'UNAVAILABLE');
  const gone = await startHttpServer();
  await gone.close();
  const error = await failing(take({ location: at({ url: gone.url('/m') }) }), 'UNAVAILABLE');
  assert.equal((error.cause as { code?: string }).code, 'ECONNREFUSED');
});

test('goes through forward proxies and tunnels', async () => {
  const proxy = kept(await startProxy({ credentials: { user: 'u', password: 'p' } }));
  const secure = kept(await startHttpServer({ tls: serverCertificate() }));
  const env = {
    http_proxy: proxy.url,
    https_proxy: proxy.url,
    SSL_CERT_FILE: certificatePath('ca'),
  };
  const through = createSlowLane({ network: kept(createNetwork({ env })) });
  for (const one of [url, secure.put('/m', bytes)]) {
    let got = 0;
    await through({
      location: at({ url: one }),
      range: { start: 0, end: 1000 },
      size: SIZE,
      sink: (chunk) => void (got += chunk.length),
      signal: new AbortController().signal,
      stallMs: 5000,
    });
    assert.equal(got, 1000);
  }
  assert.deepEqual(proxy.seen, [`GET ${url}`, `CONNECT 127.0.0.1:${secure.port}`]);
});

test('offset and length in the query are understood', async () => {
  const { requests } = server;
  server.faults.push({
    kind: 'status',
    status: 200,
    headers: { 'content-length': '10' },
    body: '0123456789',
  });
  const { body } = await take({
    location: at({ range: 'offset-length' }),
    range: { start: 5, end: 15 },
    size: SIZE,
  });
  assert.equal(body.length, 10);
  assert.equal(requests[0]?.target, '/m?offset=5&length=10');
});
