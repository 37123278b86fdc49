import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { after, test } from 'node:test';
import { createNetwork, type NetworkOptions } from '../../src/net/create-network.ts';
import { isProxys } from '../../src/net/proxy-refusal.ts';
import { startHttpServer } from '../servers/http.ts';
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
const network = (options: NetworkOptions) => kept(createNetwork(options));

const plain = kept(await startHttpServer());
const secure = kept(await startHttpServer({ tls: serverCertificate() }));
plain.put('/m', 'plain bytes');
secure.put('/m', 'secure bytes');

async function fetchText(url: string, options: RequestOptions): Promise<string> {
  const request = (url.startsWith('https:') ? httpsRequest : httpRequest)(url, options);
  request.end();
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  let text = '';
  for await (const chunk of response) text += String(chunk);
  return text;
}

test('agents carry requests over our connections, and use them again', async () => {
  const { http, https } = network({ env: { SSL_CERT_FILE: certificatePath('ca') } }).agents();
  for (const server of [plain, secure]) {
    const before = server.accepted();
    const agent = server === plain ? http : https;
    for (let i = 0; i < 3; i++) assert.match(await fetchText(server.url('/m'), { agent }), /bytes/);
    assert.equal(server.accepted() - before, 1);
  }
});

test('agents are kept per transport', () => {
  const net = network({});
  assert.equal(net.agents(), net.agents({}));
  assert.equal(net.agents({ ca: 'a', reach: 'any' }), net.agents({ reach: 'any', ca: 'a' }));
  assert.notEqual(net.agents({ reach: 'any' }), net.agents());
});

test('plain http goes to a forward proxy in absolute form, with credentials', async () => {
  const proxy = kept(
    await startProxy({
      credentials: { user: 'u', password: 'p' },
      hosts: { 'models.test': '127.0.0.1' },
    }),
  );
  const { http } = network({ env: { http_proxy: proxy.url } }).agents();
  assert.equal(
    await fetchText(`http://models.test:${plain.port}/m?a=1`, { agent: http }),
    'plain bytes',
  );
  assert.equal(
    await fetchText(`http://models.test:${plain.port}/m`, { agent: http }),
    'plain bytes',
  );
  assert.deepEqual(proxy.seen, [
    `GET http://models.test:${plain.port}/m?a=1`,
    `GET http://models.test:${plain.port}/m`,
  ]);
});

test('what a forward proxy refuses by itself is an error that names it', async () => {
  const proxy = kept(await startProxy({ credentials: { user: 'u', password: 'p' } }));
  const { http } = network({ env: { http_proxy: `http://127.0.0.1:${proxy.port}` } }).agents();
  await assert.rejects(fetchText(plain.url('/m'), { agent: http }), {
    code: 'UNAUTHENTICATED',
    message: `the proxy http://127.0.0.1:${proxy.port} answers 407 to GET http://127.0.0.1:${plain.port}`,
    hint: /user:password@/,
  });
});

test('answers of an origin are told from those of a proxy by their marks', () => {
  assert.ok(isProxys(407, {}));
  assert.ok(isProxys(401, { server: 'tinyproxy/1.11.1' }));
  assert.ok(isProxys(403, { 'x-squid-error': 'ERR_ACCESS_DENIED 0' }));
  assert.ok(!isProxys(401, { server: 'nginx', 'www-authenticate': 'Basic' }));
  assert.ok(!isProxys(403, {}));
  assert.ok(!isProxys(200, { server: 'tinyproxy/1.11.1' }));
});

test('https goes through a tunnel', async () => {
  const proxy = kept(await startProxy());
  const { https } = network({
    env: { https_proxy: proxy.url, SSL_CERT_FILE: certificatePath('ca') },
  }).agents();
  assert.equal(await fetchText(secure.url('/m'), { agent: https }), 'secure bytes');
  assert.deepEqual(proxy.seen, [`CONNECT 127.0.0.1:${secure.port}`]);
});

test('agents obey the address policy, behind a forward proxy too', async () => {
  await assert.rejects(fetchText('http://169.254.169.254/', { agent: network({}).agents().http }), {
    code: 'REFUSED',
  });
  const proxy = kept(await startProxy());
  const { http } = network({ env: { http_proxy: proxy.url } }).agents();
  await assert.rejects(fetchText('http://169.254.169.254/', { agent: http }), { code: 'REFUSED' });
  assert.deepEqual(proxy.seen, []);
});

test('closing the network closes idle connections and refuses new ones', async () => {
  const server = kept(await startHttpServer());
  server.put('/m', 'x');
  const net = createNetwork();
  const { http } = net.agents();
  await fetchText(server.url('/m'), { agent: http });
  assert.equal(server.connections(), 1);
  net.close();
  for (let i = 0; i < 100 && server.connections() > 0; i++)
    await new Promise((resolve) => setTimeout(resolve, 5));
  assert.equal(server.connections(), 0);
  await assert.rejects(fetchText(server.url('/m'), { agent: http }), { code: 'ABORTED' });
});
