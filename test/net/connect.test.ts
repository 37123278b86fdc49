import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { after, test } from 'node:test';
import { ModelFetchError, type ErrorCode } from '../../src/errors.ts';
import type { Transport } from '../../src/fetcher.ts';
import { createNetwork, type NetworkOptions } from '../../src/net/create-network.ts';
import { startHttpServer } from '../servers/http.ts';
import { startProxy } from '../servers/proxy.ts';
import { certificatePath, serverCertificate } from '../support/certs.ts';
import { freeAddress } from '../support/free-address.ts';

const closers: (() => unknown)[] = [];
after(async () => {
  for (const close of closers) await close();
});
const kept = <T extends { close(): unknown }>(one: T): T => {
  closers.push(() => one.close());
  return one;
};
const never = new AbortController().signal;
const CA = certificatePath('ca');

const plain = kept(await startHttpServer({ host: '0.0.0.0' }));
const secure = kept(await startHttpServer({ tls: serverCertificate(), host: '0.0.0.0' }));
plain.put('/m', 'plain bytes');
secure.put('/m', 'secure bytes');

function network(options: NetworkOptions = {}) {
  return kept(createNetwork(options));
}

/** One exchange by hand over a connected socket. */
async function get(socket: Socket, host = 'models.test'): Promise<string> {
  socket.write(`GET /m HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
  let text = '';
  socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
  await once(socket, 'close');
  return text;
}

async function failing(
  promise: Promise<unknown>,
  code: ErrorCode,
  systemCode?: string,
): Promise<ModelFetchError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof ModelFetchError, `expected ${code}, not ${String(error)}`);
  assert.equal(error.code, code, error.message);
  if (systemCode !== undefined)
    assert.equal((error.cause as { code?: string } | undefined)?.code, systemCode);
  return error;
}

async function allClosed(sockets: Socket[]): Promise<void> {
  for (const socket of sockets) if (!socket.destroyed) await once(socket.resume(), 'close');
}

async function listening(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closers.push(() => server.close());
  return (server.address() as AddressInfo).port;
}

test('reads land in the buffer of the caller, plain and with TLS', async () => {
  const net = network({ env: { SSL_CERT_FILE: CA } });
  for (const [server, expected] of [
    [plain, 'plain bytes'],
    [secure, 'secure bytes'],
  ] as const) {
    const seen: string[] = [];
    const url = new URL(server.origin.replace('0.0.0.0', '127.0.0.1'));
    const { socket, usesOnread } = await net.connect(url, {
      signal: never,
      onread: {
        buffer: Buffer.alloc(65536),
        callback: (size, buffer) => seen.push(Buffer.from(buffer.subarray(0, size)).toString()) > 0,
      },
    });
    assert.equal(usesOnread, true);
    socket.write('GET /m HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    await once(socket, 'close');
    assert.ok(seen.join('').endsWith(expected), seen.join(''));
  }
});

test('connections spread over all addresses of a name', async () => {
  const addresses = ['127.0.0.1', '127.0.0.2', '127.0.0.3'];
  const net = network({ lookup: async () => addresses });
  const used = await Promise.all(
    [1, 2, 3, 4, 5, 6].map(async () => {
      const { socket } = await net.connect(new URL(`http://models.test:${plain.port}`), {
        signal: never,
      });
      const { remoteAddress } = socket;
      socket.destroy();
      return remoteAddress;
    }),
  );
  assert.deepEqual(used.sort(), [...addresses, ...addresses].sort());
});

test('a dead address is passed over, and then tried last', async () => {
  // 127.9.9.9 has a listener on this port only if the server listens everywhere: so listen in one place.
  const server = createServer((socket) => socket.end());
  const port = await listening(server);
  const net = network({ lookup: async () => ['127.9.9.9', '127.0.0.1'] });
  for (let i = 0; i < 4; i++) {
    const { socket } = await net.connect(new URL(`http://models.test:${port}`), { signal: never });
    assert.equal(socket.remoteAddress, '127.0.0.1');
    socket.destroy();
  }
});

test('the address that was judged is the one connected to, whatever DNS says next', async () => {
  let asked = 0;
  const net = network({
    lookup: async () => (asked++ === 0 ? ['127.0.0.1'] : ['169.254.169.254']),
  });
  const { socket } = await net.connect(new URL(`http://rebind.test:${plain.port}`), {
    signal: never,
  });
  assert.equal(socket.remoteAddress, '127.0.0.1');
  assert.equal(asked, 1);
  socket.destroy();
});

test('a name that leads to metadata or link-local addresses is refused, and no socket is opened', async () => {
  for (const addresses of [
    ['169.254.169.254'],
    ['fe80::1', 'fd00:ec2::254'],
    ['64:ff9b::a9fe:a9fe'],
  ]) {
    const net = network({ lookup: async () => addresses });
    const error = await failing(
      net.connect(new URL('http://innocent.test/'), { signal: never }),
      'REFUSED',
    );
    assert.match(error.message, /innocent\.test/);
  }
});

test('of several addresses only the allowed ones are used', async () => {
  const net = network({ lookup: async () => ['169.254.169.254', '127.0.0.1'] });
  const { socket } = await net.connect(new URL(`http://models.test:${plain.port}`), {
    signal: never,
  });
  assert.equal(socket.remoteAddress, '127.0.0.1');
  socket.destroy();
});

test('a reach of private or public keeps loopback out; any lets everything in', async () => {
  const net = network();
  const url = new URL(`http://127.0.0.1:${plain.port}`);
  for (const reach of ['private', 'public'] as const)
    await failing(net.connect(url, { signal: never, transport: { reach } }), 'REFUSED');
  const strict = network({ policy: 'public' });
  await failing(strict.connect(url, { signal: never }), 'REFUSED');
  const { socket } = await strict.connect(url, { signal: never, transport: { reach: 'any' } });
  socket.destroy();
});

test('a refused connection can be told by its cause', async () => {
  const { origin } = await freeAddress();
  const error = await failing(
    network().connect(new URL(origin), { signal: never }),
    'UNAVAILABLE',
    'ECONNREFUSED',
  );
  assert.ok(error.retryable && error.hint);
});

test('a name that does not exist is unavailable, with a word on DNS', async () => {
  const lookup = async () => {
    throw Object.assign(new Error('getaddrinfo ENOTFOUND nowhere.test'), { code: 'ENOTFOUND' });
  };
  const error = await failing(
    network({ lookup }).connect(new URL('http://nowhere.test'), { signal: never }),
    'UNAVAILABLE',
    'ENOTFOUND',
  );
  assert.match(error.hint ?? '', /DNS/);
});

test('a handshake that never comes runs into the time limit', async () => {
  const sockets: Socket[] = [];
  const port = await listening(
    createServer((socket) => void sockets.push(socket.on('error', () => undefined))),
  );
  const started = Date.now();
  await failing(
    network().connect(new URL(`https://127.0.0.1:${port}`), { signal: never, timeoutMs: 150 }),
    'UNAVAILABLE',
    'ETIMEDOUT',
  );
  assert.ok(Date.now() - started < 2000);
  await allClosed(sockets);
});

test('an abort ends connecting at once, as the reason it was given', async () => {
  const sockets: Socket[] = [];
  const port = await listening(
    createServer((socket) => void sockets.push(socket.on('error', () => undefined))),
  );
  const controller = new AbortController();
  const connecting = network().connect(new URL(`https://127.0.0.1:${port}`), {
    signal: controller.signal,
  });
  setTimeout(() => controller.abort(new ModelFetchError('DEADLINE', 'time is up')), 50);
  await failing(connecting, 'DEADLINE');
  await failing(
    network().connect(new URL(plain.origin), { signal: AbortSignal.abort() }),
    'ABORTED',
  );
  await allClosed(sockets);
});

test('a private authority is trusted when it is named, in addition to the usual ones', async () => {
  const url = new URL(`https://127.0.0.1:${secure.port}`);
  const error = await failing(network().connect(url, { signal: never }), 'BAD_RESPONSE');
  assert.match(error.hint ?? '', /SSL_CERT_FILE/);
  assert.equal(error.retryable, false);
  const environments: [Record<string, string>, Transport | undefined][] = [
    [{ SSL_CERT_FILE: CA }, undefined],
    [{ REQUESTS_CA_BUNDLE: CA }, undefined],
    [
      { CA_BUNDLE_CONFIGMAP_NAME: 'x', CA_BUNDLE_VOLUME_MOUNT_POINT: CA.replace(/\/ca\.pem$/, '') },
      undefined,
    ],
    [{}, { ca: CA }],
    [{}, { insecure: true }],
  ];
  for (const [env, transport] of environments) {
    const connecting = network({ env }).connect(url, {
      signal: never,
      ...(transport && { transport }),
    });
    if (env['CA_BUNDLE_CONFIGMAP_NAME']) {
      // KServe's bundle is called cabundle.crt: here it is missing, and that is told.
      assert.match((await failing(connecting, 'INVALID_OPTION')).message, /cabundle\.crt/);
      continue;
    }
    assert.match(await get((await connecting).socket), /secure bytes/);
  }
});

test('a bundle that is missing or no PEM is an error of configuration', async () => {
  const url = new URL(`https://127.0.0.1:${secure.port}`);
  await failing(
    network({ env: { SSL_CERT_FILE: '/does/not/exist.pem' } }).connect(url, { signal: never }),
    'INVALID_OPTION',
  );
  await failing(
    network().connect(url, {
      signal: never,
      transport: { ca: import.meta.filename.replace(/connect\.test\.ts$/, 'proxy.test.ts') },
    }),
    'INVALID_OPTION',
  );
});

test('a certificate for another name, or from another time, is refused and says so', async () => {
  const env = { SSL_CERT_FILE: CA };
  const other = await failing(
    network({ env, lookup: async () => ['127.0.0.1'] }).connect(
      new URL(`https://elsewhere.test:${secure.port}`),
      { signal: never },
    ),
    'BAD_RESPONSE',
    'ERR_TLS_CERT_ALTNAME_INVALID',
  );
  assert.match(other.hint ?? '', /another name/);
  const old = kept(await startHttpServer({ tls: serverCertificate('expired') }));
  const expired = await failing(
    network({ env }).connect(new URL(old.origin), { signal: never }),
    'BAD_RESPONSE',
    'CERT_HAS_EXPIRED',
  );
  assert.match(expired.hint ?? '', /clock/);
  await failing(
    network({ env }).connect(new URL(`https://127.0.0.1:${plain.port}`), { signal: never }),
    'BAD_RESPONSE',
  );
});

test('SNI carries the name, and the certificate is checked against it', async () => {
  const names: (string | false | null)[] = [];
  const server = kept(
    await startHttpServer({
      tls: {
        ...serverCertificate(),
        SNICallback: (name, done) => {
          names.push(name);
          done(null);
        },
      },
    }),
  );
  const net = network({ env: { SSL_CERT_FILE: CA }, lookup: async () => ['127.0.0.1'] });
  const { socket } = await net.connect(new URL(`https://eu.models.test:${server.port}`), {
    signal: never,
  });
  assert.deepEqual(names, ['eu.models.test']);
  assert.ok('authorized' in socket && socket.authorized === true);
  socket.destroy();
});

test('a client certificate is shown to servers that want one', async () => {
  const { readFileSync } = await import('node:fs');
  const server = kept(
    await startHttpServer({
      tls: {
        ...serverCertificate(),
        ca: readFileSync(CA),
        requestCert: true,
        rejectUnauthorized: true,
        maxVersion: 'TLSv1.2',
      },
    }),
  );
  server.put('/m', 'for members');
  const net = network({ env: { SSL_CERT_FILE: CA } });
  const transport = { cert: certificatePath('client'), key: certificatePath('client', 'key') };
  const { socket } = await net.connect(new URL(server.origin), { signal: never, transport });
  assert.match(await get(socket), /for members/);
  await assert.rejects(net.connect(new URL(server.origin), { signal: never }), ModelFetchError);
});

test('https goes through the proxy by CONNECT; the proxy resolves the name', async () => {
  const proxy = kept(
    await startProxy({
      credentials: { user: 'us@er', password: 'p:/ss' },
      hosts: { 'models.test': '127.0.0.1' },
    }),
  );
  const lookup = async (host: string) => {
    throw Object.assign(new Error(`who asks for ${host}?`), { code: 'ENOTFOUND' });
  };
  const net = network({ env: { HTTPS_PROXY: proxy.url, SSL_CERT_FILE: CA }, lookup });
  const onread = { buffer: Buffer.alloc(100), callback: () => true };
  const { socket, usesOnread } = await net.connect(new URL(`https://models.test:${secure.port}`), {
    signal: never,
    onread,
  });
  assert.equal(usesOnread, false);
  assert.match(await get(socket), /secure bytes/);
  assert.deepEqual(proxy.seen, [`CONNECT models.test:${secure.port}`]);
});

test('a socket for plain http goes through the proxy by CONNECT as well', async () => {
  const proxy = kept(await startProxy());
  const net = network({ env: { HTTP_PROXY: proxy.url } });
  const { socket } = await net.connect(new URL(`http://127.0.0.1:${plain.port}`), {
    signal: never,
  });
  assert.match(await get(socket), /plain bytes/);
  assert.deepEqual(proxy.seen, [`CONNECT 127.0.0.1:${plain.port}`]);
});

test('a proxy may itself speak TLS', async () => {
  const proxy = kept(await startProxy({ tls: serverCertificate() }));
  const net = network({ env: { HTTPS_PROXY: proxy.url, SSL_CERT_FILE: CA } });
  const { socket } = await net.connect(new URL(`https://127.0.0.1:${secure.port}`), {
    signal: never,
  });
  assert.match(await get(socket), /secure bytes/);
});

test('proxies that refuse are told apart, and their credentials are never told', async () => {
  const wants = kept(await startProxy({ credentials: { user: 'user', password: 'sesame' } }));
  const url = new URL(`https://127.0.0.1:${secure.port}`);
  const wrong = wants.url.replace('sesame', 'wrong-sesame');
  const error = await failing(
    network({ env: { HTTPS_PROXY: wrong } }).connect(url, { signal: never }),
    'UNAUTHENTICATED',
  );
  assert.ok(!`${error.message}${error.hint}${error.uri}${error.stack}`.includes('sesame'));
  const forbids = kept(await startProxy({ refuse: 403 }));
  await failing(
    network({ env: { HTTPS_PROXY: forbids.url } }).connect(url, { signal: never }),
    'PERMISSION_DENIED',
  );
  const tired = kept(await startProxy({ refuse: 503 }));
  await failing(
    network({ env: { HTTPS_PROXY: tired.url } }).connect(url, { signal: never }),
    'UNAVAILABLE',
  );
  const gone = kept(await startProxy());
  await gone.close();
  const dead = await failing(
    network({ env: { HTTPS_PROXY: `http://user:sesame@127.0.0.1:${gone.port}` } }).connect(url, {
      signal: never,
    }),
    'UNAVAILABLE',
    'ECONNREFUSED',
  );
  assert.ok(!`${dead.message}${dead.hint}${dead.uri}${dead.stack}`.includes('sesame'));
  assert.match(dead.message, /proxy/);
});

test('a proxy is no way around the address policy', async () => {
  const proxy = kept(await startProxy());
  const net = network({ env: { HTTPS_PROXY: proxy.url, HTTP_PROXY: proxy.url } });
  await failing(net.connect(new URL('https://169.254.169.254/'), { signal: never }), 'REFUSED');
  await failing(
    net.connect(new URL('https://metadata.google.internal/'), { signal: never }),
    'REFUSED',
  );
  await failing(
    net.connect(new URL('https://minio.models.svc/'), {
      signal: never,
      transport: { reach: 'public' },
    }),
    'REFUSED',
  );
  assert.deepEqual(proxy.seen, []);
});

test('plain http is for forward proxies, and NO_PROXY is honoured', async () => {
  const net = network({
    env: {
      HTTP_PROXY: 'http://proxy.test:1',
      HTTPS_PROXY: 'http://proxy.test:1',
      NO_PROXY: '127.0.0.0/8',
    },
  });
  assert.equal(net.needsForwardProxy(new URL('http://a.test/')), true);
  assert.equal(net.needsForwardProxy(new URL('https://a.test/')), false);
  assert.equal(net.needsForwardProxy(new URL('http://127.0.0.1/')), false);
  assert.equal(net.proxyFor(new URL('https://a.test/'))?.host, 'proxy.test:1');
  const { socket } = await net.connect(new URL(`http://127.0.0.1:${plain.port}`), {
    signal: never,
  });
  socket.destroy();
});

test('a proxy that says nothing runs into the time limit and leaves no socket', async () => {
  const sockets: Socket[] = [];
  const port = await listening(
    createServer((socket) => void sockets.push(socket.on('error', () => undefined).resume())),
  );
  const net = network({ env: { HTTPS_PROXY: `http://127.0.0.1:${port}` } });
  await failing(
    net.connect(new URL('https://a.test'), { signal: never, timeoutMs: 100 }),
    'UNAVAILABLE',
  );
  await allClosed(sockets);
});
