import assert from 'node:assert/strict';
import { after, beforeEach, test } from 'node:test';
import { ModelFetchError, type ErrorCode } from '../../src/errors.ts';
import { createHttpClient } from '../../src/http/client.ts';
import { createNetwork } from '../../src/net/create-network.ts';
import { startHttpServer, type HttpServer } from '../servers/http.ts';
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

const a = kept(await startHttpServer());
const b = kept(await startHttpServer());
const secure = kept(await startHttpServer({ tls: serverCertificate() }));
beforeEach(() => {
  for (const server of [a, b, secure]) {
    server.requests.length = 0;
    server.faults.length = 0;
  }
});
for (const server of [a, b, secure]) server.put('/m', 'the bytes');

const network = kept(createNetwork({ env: { SSL_CERT_FILE: certificatePath('ca') } }));
const client = createHttpClient({ network, backoffMs: 2, responseMs: 300 });

async function failing(promise: Promise<unknown>, code: ErrorCode): Promise<ModelFetchError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof ModelFetchError, `expected ${code}, not ${String(error)}`);
  assert.equal(error.code, code, error.message);
  return error;
}

async function quiet(server: HttpServer, open = 0): Promise<void> {
  for (let i = 0; i < 200 && server.connections() > open; i++)
    await new Promise((resolve) => setTimeout(resolve, 5));
  assert.equal(server.connections(), open);
}

test('answers with status, headers, body, place and transport', async () => {
  const answer = await client.request(a.url('/m'), { headers: { 'X-Custom': 'yes' } });
  assert.equal(answer.status, 200);
  assert.equal(answer.body.toString(), 'the bytes');
  assert.equal(answer.headers['content-length'], '9');
  assert.equal(answer.url, a.url('/m'));
  assert.deepEqual(answer.transport, {});
  const { headers } = a.requests[0]!;
  assert.equal(headers['x-custom'], 'yes');
  assert.equal(headers['accept-encoding'], 'identity');
  assert.match(headers['user-agent'] ?? '', /^model-fetch\//);
});

test('queries and odd characters reach the server as they are', async () => {
  for (const target of [
    '/m?X-Amz-Signature=a%2Bb%2F&x=%D2&y=1+2&z',
    '/a%20b%23c%3Fd',
    '/%E6%A8%A1;v=1,2',
  ]) {
    await client.request(a.url(target));
    assert.equal(a.requests.at(-1)?.target, target);
  }
});

test('other statuses are answers', async () => {
  for (const status of [204, 304, 400, 401, 403, 404, 409, 416, 501]) {
    a.faults.push({ kind: 'status', status, times: 1 });
    assert.equal((await client.request(a.url('/m'))).status, status);
  }
});

test('methods and bodies', async () => {
  const echo = kept(
    await startHttpServer({
      handler: (request, response) => {
        request
          .on('data', (chunk: Buffer) => response.write(chunk))
          .on('end', () => response.end(`|${request.method}`));
      },
    }),
  );
  const sent = async (method: 'POST' | 'PUT' | 'GET', body?: string | Uint8Array) =>
    (
      await client.request(echo.url('/'), { method, ...(body !== undefined && { body }) })
    ).body.toString();
  assert.equal(await sent('POST', 'a=1'), 'a=1|POST');
  assert.equal(await sent('PUT', Buffer.from('bytes')), 'bytes|PUT');
  assert.equal(await sent('POST'), '|POST');
  assert.equal(
    (await client.request(a.url('/m'), { method: 'HEAD' })).headers['content-length'],
    '9',
  );
});

test('encoded bodies are left as they are', async () => {
  a.faults.push({ kind: 'encoded', times: 1 });
  const answer = await client.request(a.url('/m'));
  assert.equal(answer.headers['content-encoding'], 'gzip');
  assert.equal(answer.body.toString(), 'the bytes');
});

test('what passes is tried again, four times', async () => {
  for (const status of [408, 429, 500, 502, 503, 504]) {
    a.requests.length = 0;
    a.faults.push({ kind: 'status', status, times: 4 });
    assert.equal((await client.request(a.url('/m'))).status, 200);
    assert.equal(a.requests.length, 5, String(status));
  }
  a.requests.length = 0;
  a.faults.push({ kind: 'status', status: 503, headers: { 'retry-after': '0' } });
  const error = await failing(client.request(a.url('/m')), 'UNAVAILABLE');
  assert.equal(error.retryAfterMs, 0);
  assert.equal(a.requests.length, 5);
});

test('broken connections and silence are tried again', async () => {
  a.faults.push(
    { kind: 'reset', times: 1 },
    { kind: 'cut', after: 3, times: 1 },
    { kind: 'silence', times: 1 },
  );
  assert.equal((await client.request(a.url('/m'))).body.toString(), 'the bytes');
  assert.equal(a.requests.length, 4);
});

test('Retry-After is waited for', async () => {
  a.faults.push({ kind: 'status', status: 429, headers: { 'retry-after': '1' }, times: 1 });
  const started = performance.now();
  await client.request(a.url('/m'));
  assert.ok(performance.now() - started >= 990);
});

test('a POST is repeated only when it has done nothing', async () => {
  const post = (status: number) => {
    a.requests.length = 0;
    a.faults.push({ kind: 'status', status, times: 1 });
    return client.request(a.url('/m'), { method: 'POST', body: 'x' });
  };
  assert.equal((await post(503)).status, 200);
  assert.equal(a.requests.length, 2);
  assert.equal((await post(500)).status, 500);
  a.requests.length = 0;
  a.faults.push({ kind: 'reset', times: 1 });
  await failing(client.request(a.url('/m'), { method: 'POST', body: 'x' }), 'UNAVAILABLE');
  assert.equal(a.requests.length, 1);
});

test('an abort ends a request, and a wait, at once', async () => {
  a.faults.push({ kind: 'silence', times: 1 });
  await failing(client.request(a.url('/m'), { signal: AbortSignal.timeout(50) }), 'ABORTED');
  a.faults.push({ kind: 'status', status: 503, headers: { 'retry-after': '50' } });
  const started = performance.now();
  await failing(client.request(a.url('/m'), { signal: AbortSignal.timeout(100) }), 'ABORTED');
  assert.ok(performance.now() - started < 1500);
  a.faults.length = 0;
  a.faults.push({ kind: 'stall', after: 2, times: 1 });
  await failing(client.request(a.url('/m'), { signal: AbortSignal.timeout(50) }), 'ABORTED');
  await failing(client.request(a.url('/m'), { signal: AbortSignal.abort() }), 'ABORTED');
});

test('an abort while connecting takes the connection with it', async () => {
  const { createServer } = await import('node:net');
  const open = new Set<unknown>();
  const mute = createServer((socket) => {
    open.add(socket);
    socket
      .on('error', () => undefined)
      .resume()
      .once('close', () => open.delete(socket));
  });
  await new Promise<void>((resolve) => mute.listen(0, '127.0.0.1', resolve));
  closers.push(() => mute.close());
  const { port } = mute.address() as { port: number };
  await failing(
    client.request(`https://127.0.0.1:${port}/`, { signal: AbortSignal.timeout(60) }),
    'ABORTED',
  );
  for (let i = 0; i < 100 && open.size > 0; i++)
    await new Promise((resolve) => setTimeout(resolve, 5));
  assert.equal(open.size, 0);
});

test('discard answers with the head of a body that would take for ever, and lets go of it', async () => {
  const server = kept(await startHttpServer());
  const url = server.put('/huge', {
    size: 2 ** 40,
    slice: (start: number, end: number) => new Uint8Array(end - start),
  });
  const answer = await client.request(url, { answer: 'discard' });
  assert.equal(answer.headers['content-length'], String(2 ** 40));
  assert.equal(answer.body.length, 0);
  await quiet(server);
});

test('a body longer than maxBytes is an error, and is let go of', async () => {
  const server = kept(await startHttpServer());
  const url = server.put('/huge', {
    size: 2 ** 40,
    slice: (start: number, end: number) => new Uint8Array(end - start),
  });
  await failing(client.request(url, { maxBytes: 1000 }), 'BAD_RESPONSE');
  await quiet(server);
  assert.equal((await client.request(a.url('/m'), { maxBytes: 9 })).body.length, 9);
  await failing(client.request(a.url('/m'), { maxBytes: 8 }), 'BAD_RESPONSE');
});

test('credentials in the URL become a header, and leave the URL', async () => {
  const url = a.url('/m').replace('//', '//us%40er:p%3Ass@');
  const answer = await client.request(url);
  assert.equal(answer.url, a.url('/m'));
  assert.equal(
    a.requests[0]?.headers['authorization'],
    `Basic ${Buffer.from('us@er:p:ss').toString('base64')}`,
  );
});

test('redirects are followed, relative ones too, without carrying secrets to another origin', async () => {
  a.faults.push(
    { kind: 'redirect', to: './n/../hop?x=%2F', on: '/start' },
    { kind: 'redirect', status: 307, to: b.url('/m'), on: '/hop' },
  );
  const answer = await client.request(a.url('/start'), {
    headers: { Authorization: 'Bearer t', 'X-Api-Key': 'k', Cookie: 'c', Range: 'bytes=0-2' },
  });
  assert.equal(answer.url, b.url('/m'));
  assert.equal(answer.body.toString(), 'the');
  assert.deepEqual(answer.transport, { reach: 'loopback' });
  assert.equal(a.requests[1]?.target, '/hop?x=%2F');
  assert.equal(a.requests[1].headers['authorization'], 'Bearer t');
  const seen = b.requests[0]!.headers;
  for (const name of ['authorization', 'x-api-key', 'cookie'])
    assert.equal(seen[name], undefined, name);
  assert.equal(seen['range'], 'bytes=0-2');
});

test('secrets do not come back when the way leads back', async () => {
  a.faults.push({ kind: 'redirect', to: b.url('/back'), on: '/start' });
  b.faults.push({ kind: 'redirect', to: a.url('/m'), on: '/back' });
  await client.request(a.url('/start'), { headers: { authorization: 'Bearer t' } });
  assert.equal(a.requests[1]?.headers['authorization'], undefined);
});

test('manual leaves redirects to the caller', async () => {
  a.faults.push({ kind: 'redirect', to: b.url('/m') });
  const answer = await client.request(a.url('/start'), { redirect: 'manual' });
  assert.equal(answer.status, 302);
  assert.equal(answer.headers['location'], b.url('/m'));
  assert.equal(b.requests.length, 0);
});

test('circles and long chains end', async () => {
  a.faults.push(
    { kind: 'redirect', to: '/two', on: '/one' },
    { kind: 'redirect', to: '/one', on: '/two' },
    { kind: 'redirect', to: '/self', on: '/self' },
  );
  assert.match((await failing(client.request(a.url('/one')), 'BAD_RESPONSE')).message, /circle/);
  await failing(client.request(a.url('/self')), 'BAD_RESPONSE');
  a.requests.length = 0;
  for (let i = 0; i < 20; i++)
    a.faults.push({ kind: 'redirect', to: `/hop${i + 1}`, on: `/hop${i}` });
  assert.match(
    (await failing(client.request(a.url('/hop0')), 'BAD_RESPONSE')).message,
    /10 redirects/,
  );
  assert.equal(a.requests.length, 11);
});

test('https never becomes http, and http may become https', async () => {
  secure.faults.push({ kind: 'redirect', to: a.url('/m') });
  await failing(client.request(secure.url('/m')), 'REFUSED');
  assert.equal(a.requests.length, 0);
  secure.faults.length = 0;
  a.faults.push({ kind: 'redirect', to: secure.url('/m'), times: 1 });
  assert.equal((await client.request(a.url('/m'))).url, secure.url('/m'));
});

test('redirects do not lead to metadata, nor to less public places than they come from', async () => {
  a.faults.push({ kind: 'redirect', to: 'http://169.254.169.254/latest/', on: '/evil' });
  await failing(client.request(a.url('/evil')), 'REFUSED');
  await failing(client.request(a.url('/evil'), { transport: { reach: 'any' } }), 'REFUSED');
  const pub = createHttpClient({
    network: kept(createNetwork({ policy: 'public' })),
    backoffMs: 1,
  });
  await failing(pub.request(a.url('/m')), 'REFUSED');
  a.faults.push({ kind: 'redirect', to: b.url('/m'), on: '/operator' });
  await failing(pub.request(a.url('/operator'), { transport: { reach: 'any' } }), 'REFUSED');
  assert.equal((await pub.request(a.url('/m'), { transport: { reach: 'any' } })).status, 200);
});

test('certificates that do not fit are not tried again', async () => {
  const before = secure.accepted();
  const bare = createHttpClient({ network: kept(createNetwork()), backoffMs: 1 });
  await failing(bare.request(secure.url('/m')), 'BAD_RESPONSE');
  assert.equal(secure.accepted() - before, 1);
});

test('a forward proxy that wants credentials is not tried again, and they are not told', async () => {
  const proxy = kept(await startProxy({ credentials: { user: 'u', password: 'sesame' } }));
  const through = (url: string) =>
    createHttpClient({ network: kept(createNetwork({ env: { http_proxy: url } })), backoffMs: 1 });
  const error = await failing(
    through(proxy.url.replace('sesame', 'wrong-sesame')).request(a.url('/m')),
    'UNAUTHENTICATED',
  );
  assert.ok(!`${error.stack}${error.hint}${error.uri}`.includes('sesame'));
  assert.equal(proxy.seen.length, 1);
  assert.equal((await through(proxy.url).request(a.url('/m'))).body.toString(), 'the bytes');
});

test('a proxy that cannot be used is told by its code', async () => {
  const socks = createHttpClient({
    network: kept(createNetwork({ env: { ALL_PROXY: 'socks5://u:sesame@p:1' } })),
    backoffMs: 1,
  });
  await failing(socks.request(a.url('/m')), 'UNSUPPORTED');
  await failing(socks.request(secure.url('/m')), 'UNSUPPORTED');
});

test('errors hold no secrets, whatever prints them', async () => {
  const { inspect } = await import('node:util');
  const gone = await startHttpServer();
  await gone.close();
  const url = `http://user:sesame-1@127.0.0.1:${gone.port}/m?X-Amz-Signature=sesame-2`;
  const error = await failing(
    client.request(url, { headers: { authorization: 'Bearer sesame-3' } }),
    'UNAVAILABLE',
  );
  assert.equal((error.cause as { code?: string }).code, 'ECONNREFUSED');
  assert.ok(!inspect(error, { depth: 10, showHidden: true }).includes('sesame'));
  a.faults.push({ kind: 'reset' });
  const reset = await failing(
    client.request(`${a.url('/m')}?sig=sesame-2`, {
      headers: { authorization: 'Bearer sesame-3' },
    }),
    'UNAVAILABLE',
  );
  assert.ok(!inspect(reset, { depth: 10, showHidden: true }).includes('sesame'));
});

test('what is no http URL is refused before anything is sent', async () => {
  for (const url of ['ftp://a/', 'file:///etc/passwd', 'nonsense'])
    await failing(client.request(url), 'INVALID_URI');
});

test('agents come from the network', async () => {
  assert.equal((await client.agents()).http, network.agents().http);
});
