import assert from 'node:assert/strict';
import { test } from 'node:test';
import { basicCredentials, noProxy, Proxies } from '../../src/net/proxy.ts';

const proxyOf = (env: Record<string, string>, url: string) =>
  new Proxies(env).for(new URL(url))?.href;

test('the protocol of the URL decides, then ALL_PROXY, and lower case wins', () => {
  const env = { HTTP_PROXY: 'http://h:1', HTTPS_PROXY: 'http://s:2' };
  assert.equal(proxyOf(env, 'http://a/'), 'http://h:1/');
  assert.equal(proxyOf(env, 'https://a/'), 'http://s:2/');
  assert.equal(proxyOf({ ...env, https_proxy: 'http://low:3' }, 'https://a/'), 'http://low:3/');
  assert.equal(proxyOf({ ALL_PROXY: 'http://all:4' }, 'https://a/'), 'http://all:4/');
  assert.equal(proxyOf({ HTTP_PROXY: 'http://h:1' }, 'https://a/'), undefined);
  assert.equal(proxyOf({ HTTPS_PROXY: '' }, 'https://a/'), undefined);
  assert.equal(proxyOf({}, 'https://a/'), undefined);
});

test('an empty lower-case variable switches the upper-case one off', () => {
  assert.equal(proxyOf({ HTTPS_PROXY: 'http://s:2', https_proxy: '' }, 'https://a/'), undefined);
});

test('HTTP_PROXY in a CGI program is a header of some client', () => {
  assert.equal(
    proxyOf({ HTTP_PROXY: 'http://evil:1', REQUEST_METHOD: 'GET' }, 'http://a/'),
    undefined,
  );
  assert.equal(
    proxyOf({ http_proxy: 'http://good:1', REQUEST_METHOD: 'GET' }, 'http://a/'),
    'http://good:1/',
  );
});

test('a proxy without scheme is http; other kinds are refused; its password is in no message', () => {
  assert.equal(proxyOf({ HTTPS_PROXY: 'proxy:3128' }, 'https://a/'), 'http://proxy:3128/');
  assert.equal(proxyOf({ HTTPS_PROXY: 'u:p@proxy:3128' }, 'https://a/'), 'http://u:p@proxy:3128/');
  assert.throws(
    () => proxyOf({ ALL_PROXY: 'socks5://u:secret@p:1' }, 'https://a/'),
    (error: Error & { code?: string }) =>
      error.code === 'UNSUPPORTED' && !error.message.includes('secret'),
  );
  assert.throws(
    () => proxyOf({ HTTPS_PROXY: 'http://u:secret@p:port' }, 'https://a/'),
    (error: Error & { code?: string }) =>
      error.code === 'INVALID_OPTION' && !error.message.includes('secret'),
  );
});

test('the source has its own word', () => {
  const proxies = new Proxies({ HTTPS_PROXY: 'http://s:2', NO_PROXY: 'a' });
  assert.equal(
    proxies.for(new URL('https://a/'), { proxy: 'http://own:5' })?.href,
    'http://own:5/',
  );
  assert.equal(proxies.for(new URL('https://b/'), { proxy: '' }), undefined);
  assert.equal(proxies.for(new URL('https://b/'), {})?.href, 'http://s:2/');
});

const CASES: [list: string, exempt: string[], not: string[]][] = [
  ['*', ['http://a/', 'https://10.0.0.1/'], []],
  [
    'example.com',
    ['http://example.com/', 'http://a.example.com/', 'http://EXAMPLE.com./'],
    ['http://notexample.com/', 'http://example.com.evil/'],
  ],
  ['.example.com', ['http://a.example.com/', 'http://example.com/'], ['http://notexample.com/']],
  ['*.example.com', ['http://a.example.com/'], ['http://b.org/']],
  [
    'example.com:8443',
    ['https://example.com:8443/'],
    ['https://example.com/', 'http://example.com/'],
  ],
  ['example.com:443', ['https://example.com/'], ['http://example.com/']],
  [
    '10.1.2.3',
    ['http://10.1.2.3/', 'http://0x0a010203/', 'http://[::ffff:10.1.2.3]/'],
    ['http://10.1.2.4/'],
  ],
  ['10.0.0.0/8', ['http://10.255.1.1/'], ['http://11.0.0.1/', 'http://ten.example/']],
  [
    '192.168.1.0/25, fd00::/8',
    ['http://192.168.1.127/', 'http://[fd12::1]/'],
    ['http://192.168.1.128/', 'http://[fe00::1]/'],
  ],
  ['[::1]:8080', ['http://[::1]:8080/'], ['http://[::1]/']],
  ['::1', ['http://[::1]:99/', 'http://[0:0::1]/'], ['http://[::2]/']],
  ['a b,c\td', ['http://a/', 'http://b/', 'http://c/', 'http://d/'], ['http://e/']],
  [
    '.svc,.cluster.local',
    ['http://minio.ns.svc:9000/', 'http://x.svc.cluster.local/'],
    ['http://svc.example/'],
  ],
  ['', [], ['http://a/']],
  ['10.0.0.0/99', [], ['http://10.0.0.1/']],
];

test('NO_PROXY takes names, suffixes, ports, addresses and blocks', () => {
  for (const [list, exempt, not] of CASES) {
    const isExempt = noProxy(list);
    for (const href of exempt)
      assert.equal(isExempt(new URL(href)), true, `${list} covers ${href}`);
    for (const href of not)
      assert.equal(isExempt(new URL(href)), false, `${list} does not cover ${href}`);
  }
});

test('credentials are percent-decoded', () => {
  assert.equal(
    basicCredentials(new URL('http://us%40er:p%3A%2Fss@proxy/')),
    `Basic ${Buffer.from('us@er:p:/ss').toString('base64')}`,
  );
  assert.equal(
    basicCredentials(new URL('http://token@proxy/')),
    `Basic ${Buffer.from('token:').toString('base64')}`,
  );
  assert.equal(basicCredentials(new URL('http://proxy/')), undefined);
});
