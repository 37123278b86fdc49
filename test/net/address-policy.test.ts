import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ModelFetchError } from '../../src/errors.ts';
import {
  addressClass,
  bareHost,
  checkHost,
  isAllowed,
  leastClass,
  presumedClass,
  stricter,
  type AddressClass,
} from '../../src/net/address-policy.ts';

const CLASSES: Record<AddressClass, string[]> = {
  unspecified: ['0.0.0.0', '0.1.2.3', '::', '::ffff:0.0.0.0', '64:ff9b::0.0.0.0'],
  multicast: ['224.0.0.1', '239.255.255.250', '255.255.255.255', 'ff02::1', '::ffff:224.0.0.1'],
  'link-local': [
    '169.254.0.1',
    '169.254.43.18',
    'fe80::1',
    'fe80::1%eth0',
    'febf::1',
    '::ffff:169.254.1.1',
  ],
  metadata: [
    '169.254.169.254',
    '169.254.170.2',
    '169.254.170.23',
    '100.100.100.200',
    '168.63.129.16',
    '192.0.0.192',
    'fd00:ec2::254',
    'fd20:ce::254',
    '::ffff:169.254.169.254',
    '::ffff:a9fe:a9fe',
    '::169.254.169.254',
    '::ffff:0:169.254.169.254',
    '64:ff9b::169.254.169.254',
    '64:ff9b::a9fe:a9fe',
    '64:ff9b:1::a9fe:a9fe',
    '2002:a9fe:a9fe::1',
    '2001:0:a9fe:a9fe::1',
    '2001:0:808:808:0:0:5601:5601',
  ],
  loopback: [
    '127.0.0.1',
    '127.255.255.254',
    '::1',
    '::ffff:127.0.0.1',
    '64:ff9b::7f00:1',
    '2002:7f00:1::',
  ],
  private: [
    '10.0.0.1',
    '172.16.0.1',
    '172.31.255.255',
    '192.168.1.1',
    '100.64.0.1',
    '100.127.255.255',
    '198.18.0.1',
    '192.0.2.1',
    '240.0.0.1',
    'fc00::1',
    'fd12:3456::1',
    'fec0::1',
    '2001:db8::1',
    '::ffff:10.0.0.1',
    '2002:a00:1::',
  ],
  public: [
    '1.1.1.1',
    '8.8.8.8',
    '100.63.255.255',
    '100.128.0.1',
    '172.15.0.1',
    '172.32.0.1',
    '169.253.1.1',
    '192.0.1.1',
    '223.255.255.255',
    '2606:4700::1111',
    '2a00:1450::1',
    '64:ff9b::808:808',
    '::ffff:8.8.8.8',
    '2002:808:808::',
  ],
};

test('every address has its class, hidden forms included', () => {
  for (const [is, addresses] of Object.entries(CLASSES))
    for (const address of addresses) assert.equal(addressClass(address), is, address);
});

test('names are no addresses', () => {
  for (const name of ['localhost', 'example.com', '1.2.3', 'x:y', ''])
    assert.equal(addressClass(name), undefined, name);
});

test('the spellings of one address that URLs allow are one address', () => {
  const spellings = [
    'http://0xA9FEA9FE/',
    'http://2852039166/',
    'http://0251.0376.0251.0376/',
    'http://169.254.43518/',
    'http://169.254.169.254./',
    'http://１６９.254.169.254/',
    'http://[::ffff:a9fe:a9fe]/',
    'http://METADATA.google.internal./',
  ];
  for (const href of spellings)
    assert.throws(() => checkHost(new URL(href), 'loopback', false), { code: 'REFUSED' }, href);
});

test('a refusal names the host and the class, and what to do', () => {
  assert.throws(
    () => checkHost(new URL('http://169.254.169.254/latest/meta-data'), 'loopback', false),
    (error) =>
      error instanceof ModelFetchError &&
      error.code === 'REFUSED' &&
      !error.retryable &&
      error.message.includes('169.254.169.254') &&
      error.message.includes('metadata') &&
      error.hint !== undefined,
  );
});

test('reach decides what is allowed, and the public policy narrows it for all but the operator', () => {
  const allowed = (
    policy: 'default' | 'public',
    reach?: 'any' | 'loopback' | 'private' | 'public',
  ) =>
    (['metadata', 'loopback', 'private', 'public'] as const).filter((is) =>
      isAllowed(is, leastClass(policy, reach && { reach })),
    );
  assert.deepEqual(allowed('default'), ['loopback', 'private', 'public']);
  assert.deepEqual(allowed('default', 'loopback'), ['loopback', 'private', 'public']);
  assert.deepEqual(allowed('default', 'private'), ['private', 'public']);
  assert.deepEqual(allowed('default', 'public'), ['public']);
  assert.deepEqual(allowed('default', 'any'), ['metadata', 'loopback', 'private', 'public']);
  for (const reach of [undefined, 'loopback', 'private', 'public'] as const)
    assert.deepEqual(allowed('public', reach), ['public']);
  assert.deepEqual(allowed('public', 'any'), ['metadata', 'loopback', 'private', 'public']);
});

test('the reach of a redirect is never less than where it came from', () => {
  assert.equal(stricter(undefined, 'public'), 'public');
  assert.equal(stricter('any', 'private'), 'private');
  assert.equal(stricter('any', 'link-local'), 'loopback');
  assert.equal(stricter('public', 'loopback'), 'public');
  assert.equal(stricter('private', 'loopback'), 'private');
  assert.equal(stricter('loopback', 'private'), 'private');
});

test('a host that only the proxy resolves is judged by its name', () => {
  const classes = {
    'minio.models.svc': 'private',
    minio: 'private',
    'a.cluster.local': 'private',
    localhost: 'loopback',
    'x.localhost': 'loopback',
    'metadata.google.internal': 'metadata',
    'example.com': 'public',
    '10.1.2.3': 'private',
  };
  for (const [name, is] of Object.entries(classes)) assert.equal(presumedClass(name), is, name);
  assert.throws(() => checkHost(new URL('http://minio.models.svc/'), 'public', true), {
    code: 'REFUSED',
  });
  checkHost(new URL('http://minio.models.svc/'), 'public', false);
});

test('hosts are bare: without brackets, dot at the end and capitals', () => {
  assert.equal(bareHost('[::1]'), '::1');
  assert.equal(bareHost('Example.COM.'), 'example.com');
});
