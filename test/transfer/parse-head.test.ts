import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { NotForFastLane } from '../../src/transfer/lane.ts';
import { formatRequest, parseHead } from '../../src/transfer/parse-head.ts';

function headers(...lines: string[]): Record<string, string> {
  const text = ['HTTP/1.1 200 OK', ...lines].join('\r\n');
  return { ...parseHead(Buffer.from(text, 'latin1')).headers };
}

describe('the head of an answer', () => {
  test('is read anew each time, also where lines are those of the one before', () => {
    const common = ['Server: nginx', 'Content-Length: 5'];
    for (const etag of ['"a"', '"b"', '"b"'])
      assert.deepEqual(headers(...common, `ETag:\t ${etag} `), {
        server: 'nginx',
        'content-length': '5',
        etag,
      });
    assert.deepEqual(headers('Content-Length: 5', 'Server: nginx', 'x-a: \u00a0b\u00a0'), {
      'content-length': '5',
      server: 'nginx',
      'x-a': '\u00a0b\u00a0',
    });
  });

  test('joins what is repeated, and names nothing that objects inherit', () => {
    assert.deepEqual(headers('X-A: 1', 'x-a:', 'x-a: 3'), { 'x-a': '1, , 3' });
    assert.equal(parseHead(Buffer.from('HTTP/1.1 200 OK')).headers['constructor'], undefined);
  });

  test('is left alone when a line is odd, again and again', () => {
    for (const line of [
      'no colon',
      ': no name',
      ' folded: b',
      'a b: c',
      'a: b\rc',
      'a: b\nc',
      '\ra: b',
      'a: b\r',
      'ä: b',
      '',
    ])
      for (let i = 0; i < 2; i++)
        assert.throws(() => headers('server: nginx', line), NotForFastLane, JSON.stringify(line));
  });
});

describe('a request', () => {
  test('holds what it is given, and a host of its own', () => {
    assert.equal(
      formatRequest('/a?b', 'host:1', { range: 'bytes=0-1' }),
      'GET /a?b HTTP/1.1\r\nhost: host:1\r\nrange: bytes=0-1\r\n\r\n',
    );
    assert.doesNotMatch(formatRequest('/', 'a', { host: 'b' }), /host: a/);
  });

  test('cannot be split by what it is given', () => {
    for (const [name, value] of [
      ['a', 'b\r\nc: d'],
      ['a', 'b\n'],
      ['a', '\u0000'],
      ['a', '\u20ac'],
      ['a\r\nb', 'c'],
      ['a:', 'c'],
      ['', 'c'],
    ] as const)
      assert.throws(() => formatRequest('/', 'h', { [name]: value }), NotForFastLane);
    assert.match(formatRequest('/', 'h', { a: 'b\tc\u00e9' }), /a: b\tc\u00e9\r\n/);
  });
});
