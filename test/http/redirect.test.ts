import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nextHop, type Hop } from '../../src/http/redirect.ts';

const hop = (more: Partial<Hop> = {}): Hop => ({
  url: new URL('https://a.test/models/m?x=1'),
  method: 'GET',
  headers: {
    authorization: 'Bearer t',
    cookie: 'c=1',
    'x-api-key': 'k',
    'x-amz-security-token': 't',
    accept: '*/*',
    'user-agent': 'u',
    range: 'bytes=0-0',
    'if-match': '"e"',
    'accept-encoding': 'identity',
  },
  transport: {},
  ...more,
});

test('another origin gets nothing but what says nothing', () => {
  for (const location of ['https://b.test/m', '//b.test/m', 'https://a.test:8443/m'])
    assert.deepEqual(
      Object.keys(nextHop(hop(), 302, location, 'public')!.headers).sort(),
      ['accept', 'accept-encoding', 'if-match', 'range', 'user-agent'],
      location,
    );
});

test('the same origin gets everything', () => {
  for (const location of ['/n', 'n', '?y=2', 'https://a.test/n', 'https://A.test:443/n'])
    assert.deepEqual(nextHop(hop(), 302, location, 'public')!.headers, hop().headers, location);
});

test('relative locations and queries are kept as they are', () => {
  assert.equal(
    nextHop(hop(), 307, '../n%20m?sig=a%2Bb&x=%2F#frag', 'public')!.url.href,
    'https://a.test/n%20m?sig=a%2Bb&x=%2F',
  );
  const utf8 = Buffer.from('/größe', 'utf8').toString('latin1');
  assert.equal(nextHop(hop(), 302, utf8, 'public')!.url.pathname, '/gr%C3%B6%C3%9Fe');
});

test('https never leads to http, nor to another scheme', () => {
  for (const location of [
    'http://a.test/m',
    'http://b.test/',
    'file:///etc/passwd',
    'ftp://a.test/',
    'data:text/plain,x',
  ])
    assert.throws(() => nextHop(hop(), 302, location, 'public'), { code: 'REFUSED' }, location);
  assert.ok(nextHop(hop({ url: new URL('http://a.test/') }), 302, 'https://a.test/', 'public'));
  assert.throws(() => nextHop(hop(), 302, 'https://[bad/', 'public'), { code: 'BAD_RESPONSE' });
});

test('what is no redirect is an answer', () => {
  for (const status of [200, 300, 304, 305, 404])
    assert.equal(nextHop(hop(), status, '/n', 'public'), undefined);
  assert.equal(nextHop(hop(), 302, undefined, 'public'), undefined);
  assert.equal(nextHop(hop(), 302, ' ', 'public'), undefined);
});

test('methods change as browsers change them', () => {
  const after = (method: Hop['method'], status: number) =>
    nextHop(hop({ method, body: 'b' }), status, '/n', 'public')!;
  assert.deepEqual(
    [301, 302, 303, 307, 308].map((status) => after('POST', status).method),
    ['GET', 'GET', 'GET', 'POST', 'POST'],
  );
  assert.deepEqual(
    [301, 303, 308].map(
      (status) => nextHop(hop({ method: 'HEAD' }), status, '/n', 'public')!.method,
    ),
    ['HEAD', 'HEAD', 'HEAD'],
  );
  assert.equal(after('PUT', 301).method, 'PUT');
  assert.equal(after('POST', 302).body, undefined);
  assert.equal(after('POST', 308).body, 'b');
});

test('a body is not sent to another origin', () => {
  assert.throws(
    () =>
      nextHop(hop({ method: 'POST', body: 'client_secret=s' }), 307, 'https://b.test/', 'public'),
    { code: 'REFUSED' },
  );
});

test('the reach becomes the class of where it came from, and stays', () => {
  const reach = (
    from: 'public' | 'private' | 'loopback',
    given?: 'any' | 'public',
    location = 'https://b.test/',
  ) =>
    nextHop(hop(given ? { transport: { reach: given } } : {}), 302, location, from)!.transport
      .reach;
  assert.equal(reach('public'), 'public');
  assert.equal(reach('private'), 'private');
  assert.equal(reach('loopback'), 'loopback');
  assert.equal(reach('loopback', 'public'), 'public');
  assert.equal(reach('private', 'any'), 'private');
  assert.equal(reach('private', 'any', '/same'), 'any');
  assert.equal(reach('public', undefined, '/same'), 'public');
});

test('another origin gets no client certificate and no blind trust', () => {
  const transport = {
    ca: 'ca.pem',
    cert: 'c.pem',
    key: 'k.pem',
    insecure: true,
    proxy: 'http://p:1',
  };
  assert.deepEqual(nextHop(hop({ transport }), 302, 'https://b.test/', 'private')!.transport, {
    ca: 'ca.pem',
    proxy: 'http://p:1',
    reach: 'private',
  });
  assert.deepEqual(nextHop(hop({ transport }), 302, '/same', 'private')!.transport, {
    ...transport,
    reach: 'private',
  });
});
