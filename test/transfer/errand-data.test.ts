import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ModelFetchError } from '../../src/errors.ts';
import type { HttpLocation } from '../../src/fetcher.ts';
import {
  packErrand,
  packOutcome,
  unpackErrand,
  unpackOutcome,
} from '../../src/transfer/errand-data.ts';
import type { Errand, Outcome, Place } from '../../src/transfer/errand.ts';

const LOCATIONS: readonly HttpLocation[] = [
  { kind: 'http', url: 'http://a/b', headers: {} },
  {
    kind: 'http',
    url: 'https://a/b?c=d',
    headers: { authorization: 'Bearer "x",\ny', 'x-a': '' },
    range: 'offset-length',
    pin: { request: { 'if-match': '"v,1"' }, response: { etag: '"v,1"' } },
    transport: { ca: '/ca.pem', reach: 'private' },
  },
];
const PLACES: readonly Place[] = [
  { kind: 'new', path: '/t/a,b' },
  { kind: 'file', fd: 0, path: '/t/c' },
  { kind: 'memory', bytes: new SharedArrayBuffer(8) },
];

describe('errands and outcomes', () => {
  test('are the same after they have crossed', () => {
    for (const location of LOCATIONS)
      for (const place of PLACES)
        for (const more of [
          { range: undefined, size: undefined, crcs: [] },
          { range: { start: 0, end: 5 }, size: 10, crcs: ['crc32', 'crc64nvme'] as const },
          { range: undefined, size: 0, crcs: ['crc32c'] as const },
        ]) {
          const errand: Errand = { location, place, stallMs: 5, at: 7, ...more };
          assert.deepEqual(unpackErrand(structuredClone(packErrand(errand))), errand);
        }
    const outcomes: readonly Outcome[] = [
      { bytes: 0, crcs: new Map(), digests: [] },
      {
        bytes: 5,
        crcs: new Map([
          ['crc32', 0n],
          ['crc64nvme', 2n ** 64n - 1n],
        ]),
        digests: ['sha256:00', 'md5:ff'],
        mark: { mtimeNs: '1796061195216995817', ino: '1' },
      },
    ];
    for (const outcome of outcomes)
      assert.deepEqual(unpackOutcome(structuredClone(packOutcome(outcome))), outcome);
  });

  test('keep what is needed of a location on a thread, and leave what only the main thread judges', () => {
    const location: HttpLocation = { ...LOCATIONS[1]!, expiresAt: 1, digests: ['md5:00'] };
    const errand: Errand = { location, place: PLACES[0]!, stallMs: 1, at: 0, crcs: [] };
    assert.deepEqual(unpackErrand(packErrand(errand)).location, LOCATIONS[1]);
  });

  test('bring what went wrong beside what went well', () => {
    const error = new ModelFetchError('TRUNCATED', 'the body ended', { path: 'a' });
    const back = unpackOutcome(packOutcome({ bytes: 3, crcs: new Map(), digests: [], error }));
    assert.equal(back.bytes, 3);
    assert.ok(back.error instanceof ModelFetchError && back.error.code === 'TRUNCATED');
  });
});
