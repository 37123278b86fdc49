import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Digest } from '../../src/fetcher.ts';
import { chooseDigests, mustMatch, parts } from '../../src/verify/expected.ts';

describe('which digests are checked', () => {
  test('what a person asked for, always', () => {
    assert.deepEqual(chooseDigests(['md5:00', 'sha1:11'], []), ['md5:00', 'sha1:11']);
    assert.deepEqual(chooseDigests(['md5:00'], ['crc32:22']), ['md5:00', 'crc32:22']);
    assert.deepEqual(chooseDigests(['sha256:00'], ['sha256:00']), ['sha256:00']);
  });

  test('every strong one of the source, and none beside them', () => {
    assert.deepEqual(chooseDigests([], ['md5:1', 'sha512:2', 'crc32c:3', 'sha256:4']), [
      'sha512:2',
      'sha256:4',
    ]);
  });

  test('else the cheapest one', () => {
    const all: Digest[] = ['md5:1', 'sha1:2', 'crc32c:3', 'crc64nvme:4', 'crc32:5'];
    assert.deepEqual(chooseDigests([], all), ['crc32:5']);
    assert.deepEqual(chooseDigests([], all.slice(0, 4)), ['crc64nvme:4']);
    assert.deepEqual(chooseDigests([], all.slice(0, 2)), ['sha1:2']);
    assert.deepEqual(chooseDigests([], ['md5:1']), ['md5:1']);
    assert.deepEqual(chooseDigests([], []), []);
  });

  test('two of one algorithm that contradict each other can never both hold', () => {
    const chosen = chooseDigests(['sha256:aa'], ['sha256:bb']);
    assert.equal(chosen.length, 2);
    assert.throws(() =>
      mustMatch(chosen, new Map([['sha256', 'aa']]), { uri: 'x://y', path: 'p' }),
    );
  });
});

describe('a mismatch', () => {
  test('names the file, the algorithm, and both digests', () => {
    const found = new Map([['crc32', '00000001']] as const);
    mustMatch(['crc32:00000001'], found, { uri: 'x://y', path: 'p' });
    assert.throws(() => mustMatch(['crc32:00000002'], found, { uri: 'x://y', path: 'p' }), {
      code: 'DIGEST_MISMATCH',
      path: 'p',
      uri: 'x://y',
      message: /p does not match.*crc32 should be 00000002 and is 00000001/,
    });
    assert.throws(() => mustMatch(['md5:0'], found, { uri: 'x://y', path: 'p' }), /unknown/);
  });

  test('a digest is its algorithm and its hex', () => {
    assert.deepEqual(parts('sha256:ab'), { algorithm: 'sha256', hex: 'ab' });
  });
});
