import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { isPlainPath, urlParts } from '../src/plain-url.ts';

const PATHS = [
  '/',
  '/a',
  '/bucket/model/weights-00001.bin',
  '/a~b/c_d/e-f',
  '/a%20b/%C3%A4',
  '/a/../b',
  '/a/./b',
  '/a/.hidden',
  '/a/%2e%2E/b',
  '/a/x%2e',
  '//a',
  '/a//b',
  '/a/',
  '/a b',
  '/ä',
  '/a\\b',
  '/a?b=c',
  '/a#b',
  '/a|b',
  '/a\tb',
  '',
];

describe('a plain path', () => {
  test('is none that a URL would change, or take apart', () => {
    const plain = PATHS.filter(isPlainPath);
    assert.deepEqual(plain, PATHS.slice(1, 5));
    for (const path of plain) assert.equal(new URL(`http://host${path}`).pathname, path);
  });
});

describe('the parts of a URL', () => {
  test('are those of a parser, again and again', () => {
    const origins = [
      'http://a.example',
      'https://b.example:8443',
      'http://[::1]:80',
      'HTTP://A.example',
    ];
    for (const origin of [...origins, ...origins])
      for (const path of PATHS) {
        const { href, host, pathname, search } = new URL(origin + path);
        const parts = urlParts(origin + path);
        assert.equal(parts.origin.host, host, href);
        assert.equal(parts.rest, pathname + search, href);
      }
  });

  test('are no place for credentials', () => {
    const { origin, rest } = urlParts('http://user:secret@a.example/x');
    assert.equal(origin.href + rest, 'http://a.example//x');
  });

  test('of what is none are an error', () => {
    assert.throws(() => urlParts('no url'), TypeError);
  });
});
