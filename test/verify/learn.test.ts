import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { digestsOf } from '../../src/verify/learn.ts';

/** Of the nine bytes `123456789`: the check values of the CRC catalogue, and what OpenSSL says. */
const BYTES = '123456789';
const CRC32 = { base64: 'y/Q5Jg==', hex: 'cbf43926' };
const CRC32C = { base64: '4waSgw==', hex: 'e3069283' };
const CRC64NVME = { base64: 'rosUhgoHmYg=', hex: 'ae8b14860a079988' };
const of = (algorithm: string) => {
  const digest = createHash(algorithm).update(BYTES).digest();
  return { base64: digest.toString('base64'), hex: digest.toString('hex') };
};
const [MD5, SHA1, SHA256, SHA512] = [of('md5'), of('sha1'), of('sha256'), of('sha512')] as const;
const GOOG = `crc32c=${CRC32C.base64},md5=${MD5.base64}`;
const PLAIN_ETAG = `"${MD5.hex}"`;
const MULTIPART_ETAG = `"${MD5.hex}-2"`;

type Row = [what: string, headers: Record<string, string>, whole: string[], part?: string[]];

function run(rows: readonly Row[]) {
  for (const [what, headers, whole, part = []] of rows)
    test(what, () => {
      assert.deepEqual(digestsOf(headers, true).sort(), whole.sort());
      assert.deepEqual(digestsOf(headers, false).sort(), part.sort());
    });
}

describe('x-amz-checksum-*', () => {
  run([
    [
      'each algorithm',
      {
        'x-amz-checksum-crc32': CRC32.base64,
        'x-amz-checksum-crc32c': CRC32C.base64,
        'x-amz-checksum-crc64nvme': CRC64NVME.base64,
        'x-amz-checksum-sha1': SHA1.base64,
        'x-amz-checksum-sha256': SHA256.base64,
        etag: PLAIN_ETAG,
      },
      [
        `crc32:${CRC32.hex}`,
        `crc32c:${CRC32C.hex}`,
        `crc64nvme:${CRC64NVME.hex}`,
        `sha1:${SHA1.hex}`,
        `sha256:${SHA256.hex}`,
      ],
    ],
    [
      'a full-object checksum of a multipart upload',
      {
        'x-amz-checksum-crc64nvme': CRC64NVME.base64,
        'x-amz-checksum-type': 'FULL_OBJECT',
        etag: MULTIPART_ETAG,
      },
      [`crc64nvme:${CRC64NVME.hex}`],
    ],
    [
      'a composite one, by its type',
      { 'x-amz-checksum-sha256': SHA256.base64, 'x-amz-checksum-type': 'COMPOSITE' },
      [],
    ],
    [
      'a composite one, by its suffix',
      { 'x-amz-checksum-sha256': `${SHA256.base64}-2`, etag: PLAIN_ETAG },
      [],
    ],
    [
      'a composite one with type and suffix',
      {
        'x-amz-checksum-crc32': `${CRC32.base64}-15`,
        'x-amz-checksum-type': 'COMPOSITE',
        etag: MULTIPART_ETAG,
      },
      [],
    ],
    [
      'a composite one passed off as a full one: the ETag tells',
      { 'x-amz-checksum-sha256': SHA256.base64, etag: MULTIPART_ETAG },
      [],
    ],
    [
      'an ETag without quotes tells as well',
      { 'x-amz-checksum-sha256': SHA256.base64, etag: `${MD5.hex}-12` },
      [],
    ],
    [
      'a type nobody knows',
      { 'x-amz-checksum-crc32': CRC32.base64, 'x-amz-checksum-type': 'PARTIAL' },
      [],
    ],
    [
      'a value of another length',
      { 'x-amz-checksum-sha256': SHA1.base64, 'x-amz-checksum-crc32': CRC64NVME.base64 },
      [],
    ],
    [
      'hex instead of base64',
      { 'x-amz-checksum-crc32': CRC32.hex, 'x-amz-checksum-sha256': SHA256.hex },
      [],
    ],
    ['sent twice', { 'x-amz-checksum-crc32': `${CRC32.base64}, ${CRC32.base64}` }, []],
    [
      'an algorithm that is not ours',
      { 'x-amz-checksum-xxhash64': CRC64NVME.base64, 'x-amz-checksum-type': 'FULL_OBJECT' },
      [],
    ],
  ]);
});

describe('x-goog-hash', () => {
  const both = [`crc32c:${CRC32C.hex}`, `md5:${MD5.hex}`];
  run([
    ['both, on wholes and parts', { 'x-goog-hash': GOOG }, both, both],
    [
      'as two fields joined',
      { 'x-goog-hash': GOOG.replace(',', ', '), 'x-goog-stored-content-encoding': 'identity' },
      both,
      both,
    ],
    [
      'a composite object has no MD5',
      { 'x-goog-hash': `crc32c=${CRC32C.base64}` },
      [both[0]!],
      [both[0]!],
    ],
    ['inflated on the way', { 'x-goog-hash': GOOG, 'x-goog-stored-content-encoding': 'gzip' }, []],
    [
      'gzip, sent as it is stored',
      { 'x-goog-hash': GOOG, 'x-goog-stored-content-encoding': 'gzip', 'content-encoding': 'gzip' },
      both,
      both,
    ],
    [
      'one that contradicts itself',
      { 'x-goog-hash': `crc32c=${CRC32C.base64},crc32c=${CRC32.base64},md5=${MD5.base64}` },
      [both[1]!],
      [both[1]!],
    ],
    ['cut short', { 'x-goog-hash': `crc32c=${CRC32C.base64.slice(0, -1)},md5=` }, []],
    [
      'names that every object has',
      { 'x-goog-hash': `constructor=${CRC32C.base64},__proto__=${MD5.base64},toString=x` },
      [],
    ],
  ]);
});

describe('RFC 9530', () => {
  const sha256 = `sha256:${SHA256.hex}`;
  const sha512 = `sha512:${SHA512.hex}`;
  const field = `sha-256=:${SHA256.base64}:, sha-512=:${SHA512.base64}:`;
  run([
    [
      'repr-digest is of the whole, whatever was sent',
      { 'repr-digest': field },
      [sha256, sha512],
      [sha256, sha512],
    ],
    ['content-digest is of what was sent', { 'content-digest': field }, [sha256, sha512]],
    [
      'both say the same once',
      { 'content-digest': field, 'repr-digest': field },
      [sha256, sha512],
      [sha256, sha512],
    ],
    [
      'parameters and strangers beside it',
      {
        'repr-digest': `md5=:${MD5.base64}:, x="a, sha-512=:${SHA512.base64}:", sha-256=:${SHA256.base64}:;q=1`,
      },
      [sha256],
      [sha256],
    ],
    ['without the colons', { 'repr-digest': `sha-256=${SHA256.base64}` }, []],
    ['in capitals: not a key', { 'repr-digest': `SHA-256=:${SHA256.base64}:` }, []],
    [
      'twice, differently',
      {
        'repr-digest': `sha-256=:${SHA256.base64}:, sha-256=:${Buffer.alloc(32).toString('base64')}:`,
      },
      [],
    ],
    [
      'not quite base64',
      { 'repr-digest': `sha-256=:${SHA256.base64.replace('=', '')}:, sha-512=:*:` },
      [],
    ],
  ]);
});

describe('older fields describe what was sent', () => {
  run([
    ['content-md5', { 'content-md5': MD5.base64 }, [`md5:${MD5.hex}`]],
    ['content-md5 in hex', { 'content-md5': MD5.hex }, []],
    [
      'digest',
      {
        digest: `SHA-256=${SHA256.base64},md5=${MD5.base64}, sha=${SHA1.base64},crc32c=${CRC32C.base64},UNIXsum=30637`,
      },
      [`sha256:${SHA256.hex}`, `md5:${MD5.hex}`, `sha1:${SHA1.hex}`, `crc32c:${CRC32C.hex}`],
    ],
    ['digest with empty and nameless members', { digest: `,=,==,sha-256=,=${SHA256.base64}` }, []],
    [
      'an ETag is no digest',
      { etag: PLAIN_ETAG, 'last-modified': 'Mon, 01 Jan 2024 00:00:00 GMT' },
      [],
    ],
    ['nothing', {}, []],
  ]);
});

test('base64 with stray bits is not taken for another value', () => {
  // The last character before the padding carries four bits that belong to nothing.
  assert.deepEqual(
    digestsOf(
      { 'content-md5': `${MD5.base64.slice(0, 21)}${MD5.base64[21] === 'w' ? 'x' : 'B'}==` },
      true,
    ),
    [],
  );
});

test('whatever a server sends, the answer is well-formed digests and no error', () => {
  const names = [
    'x-goog-hash',
    'repr-digest',
    'content-digest',
    'content-md5',
    'digest',
    'etag',
    'x-amz-checksum-sha256',
    'x-amz-checksum-type',
    'x-goog-stored-content-encoding',
  ];
  const value = fc.oneof(
    fc.string(),
    fc.base64String(),
    fc.constantFrom(GOOG, SHA256.base64, `sha-256=:${SHA256.base64}:`, 'FULL_OBJECT'),
  );
  fc.assert(
    fc.property(fc.dictionary(fc.constantFrom(...names), value), fc.boolean(), (headers, whole) => {
      for (const digest of digestsOf(headers, whole))
        assert.match(
          digest,
          /^(?:sha512:\w{128}|sha256:\w{64}|sha1:\w{40}|md5:\w{32}|crc64nvme:\w{16}|crc32c?:\w{8})$/,
        );
    }),
    { numRuns: 300 },
  );
});

test('a very long field is read in a moment', () => {
  const started = performance.now();
  const long = '"\\'.repeat(30_000);
  for (const headers of [
    { 'repr-digest': long },
    { 'repr-digest': `sha-256=:${'A'.repeat(60_000)}` },
    { digest: '='.repeat(60_000) },
    { etag: '-1'.repeat(30_000) },
  ])
    digestsOf(headers, true);
  assert.ok(performance.now() - started < 500);
});
