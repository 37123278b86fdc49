import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { Digest, DigestAlgorithm, PartDigest } from '../../src/fetcher.ts';
import { FileDigester, PieceLine } from '../../src/verify/digester.ts';
import {
  allOf,
  believable,
  cutAtParts,
  partsMustMatch,
  PartsLine,
} from '../../src/verify/parts.ts';
import { digestOf } from '../../src/testing/digest.ts';

const ALGORITHMS: DigestAlgorithm[] = [
  'crc32',
  'crc32c',
  'crc64nvme',
  'sha1',
  'sha256',
  'sha512',
  'md5',
];
const details = { uri: 's3://b/m', path: 'w.bin' };

/** Where `[0, size)` is cut by `cuts`: the ends, the last of them `size`. */
function endsOf(cuts: readonly number[], size: number): number[] {
  const inner = [...new Set(cuts)].filter((cut) => cut > 0 && cut < size).sort((a, b) => a - b);
  return size === 0 ? [] : [...inner, size];
}

function partsOf(bytes: Buffer, ends: readonly number[], algorithm: DigestAlgorithm): PartDigest[] {
  return ends.map((end, at) => ({
    end,
    digest: digestOf(algorithm, bytes.subarray(ends[at - 1] ?? 0, end)),
  }));
}

function hexOf({ digest }: PartDigest): string {
  return digest.split(':')[1]!;
}

const scene = fc.record({
  bytes: fc.uint8Array({ minLength: 1, maxLength: 2000 }).map((data) => Buffer.from(data)),
  cuts: fc.array(fc.nat(2000), { maxLength: 6 }),
  others: fc.array(fc.nat(2000), { maxLength: 6 }),
  algorithm: fc.constantFrom(...ALGORITHMS),
});

describe('digests of parts', () => {
  test('are found of bytes in order, whatever the chunks', () => {
    fc.assert(
      fc.property(scene, ({ bytes, cuts, others, algorithm }) => {
        const parts = partsOf(bytes, endsOf(cuts, bytes.length), algorithm);
        const line = new PartsLine(parts);
        let at = 0;
        for (const end of endsOf(others, bytes.length)) {
          line.update(bytes.subarray(at, end));
          at = end;
        }
        assert.deepEqual(line.found, parts.map(hexOf));
      }),
    );
  });

  test('are found of ranges in any order, each of which lies in one part', async () => {
    await fc.assert(
      fc.asyncProperty(
        scene,
        fc.infiniteStream(fc.nat()),
        async ({ bytes, cuts, others, algorithm }, choices) => {
          const parts = partsOf(bytes, endsOf(cuts, bytes.length), algorithm);
          const readBack = (into: Uint8Array, from: number): number =>
            bytes.copy(into, 0, from, from + into.length);
          const digester = new FileDigester(['sha256'], readBack, undefined, parts);
          const pieces = [];
          let start = 0;
          for (const end of endsOf(others, bytes.length)) {
            const line = new PieceLine(digester.crcs, { start, end }, parts);
            line.update(bytes.subarray(start, end));
            pieces.push(...line.done());
            start = end;
          }
          while (pieces.length > 0)
            digester.add(pieces.splice(choices.next().value % pieces.length, 1)[0]!);
          const whole = await digester.result();
          assert.deepEqual(digester.partsFound, parts.map(hexOf));
          assert.equal(whole.get('sha256'), createHash('sha256').update(bytes).digest('hex'));
          const [recorded] = digester.crcs;
          assert.equal(digester.recorded(whole), digestOf(recorded, bytes));
        },
      ),
      { numRuns: 60 },
    );
  });

  test('that are wrong name the first such part and its bytes', () => {
    const bytes = Buffer.from('0123456789');
    const parts = partsOf(bytes, [4, 8, 10], 'crc32');
    const right = parts.map(hexOf);
    partsMustMatch(parts, right, details);
    for (const [found, message] of [
      [
        [right[0]!, 'abad1dea', right[2]!],
        /^part 2 of 3 of w\.bin, bytes 4 to 7, does not match its digest: crc32 should be [0-9a-f]{8} and is abad1dea$/,
      ],
      [right.slice(0, 2), /^part 3 of 3 .* and is unknown$/],
    ] as const)
      assert.throws(
        () => {
          partsMustMatch(parts, found, details);
        },
        { code: 'DIGEST_MISMATCH', message },
      );
  });

  test('say it of the whole as S3 does', () => {
    // CRC-32 of the three raw CRC-32s of "0123", "4567" and "89", by zlib.
    const parts = partsOf(Buffer.from('0123456789'), [4, 8, 10], 'crc32');
    const raw = Buffer.from(parts.map(hexOf).join(''), 'hex');
    assert.deepEqual(allOf(['md5:00'], parts), ['md5:00', `${digestOf('crc32', raw)}-3`]);
    assert.deepEqual(allOf(['md5:00'], []), ['md5:00']);
  });
});

describe('ranges cut at parts', () => {
  test('are the range, and none reaches across an end', () => {
    fc.assert(
      fc.property(scene, fc.nat(2000), fc.nat(2000), ({ bytes, cuts }, one, other) => {
        const range = {
          start: Math.min(one, other, bytes.length),
          end: Math.min(Math.max(one, other), bytes.length),
        };
        const ends = endsOf(cuts, bytes.length);
        const pieces = cutAtParts(range, partsOf(bytes, ends, 'md5'));
        assert.equal(pieces[0]!.start, range.start);
        assert.equal(pieces.at(-1)!.end, range.end);
        for (const [at, { start, end }] of pieces.entries()) {
          assert.ok(start < end || range.start === range.end);
          if (at > 0) assert.equal(start, pieces[at - 1]!.end);
          assert.ok(!ends.some((cut) => cut > start && cut < end));
        }
      }),
    );
  });
});

describe('what a source says of parts', () => {
  const bytes = Buffer.from('0123456789');
  const digests = partsOf(bytes, [4, 8, 10], 'sha256');
  const raw = Buffer.from(digests.map(hexOf).join(''), 'hex');
  const digest: Digest = digestOf('sha256', raw);

  test('is believed where it fits together', () => {
    assert.deepEqual(believable({ digests, digest }, 10), digests);
    assert.deepEqual(believable({ digests }, 10), digests);
    assert.deepEqual(believable({ digests }, undefined), digests);
  });

  for (const [what, parts] of Object.entries({
    'a digest of other digests': { digests, digest: digestOf('sha256', bytes) },
    'parts of another size': { digests: digests.slice(0, 2) },
    'parts out of order': { digests: [digests[1]!, digests[0]!, digests[2]!] },
    'an empty part': { digests: [digests[0]!, ...digests] },
    'two algorithms': { digests: [...digests.slice(0, 2), ...partsOf(bytes, [10], 'md5')] },
    'nothing, with a digest of it': { digests: [], digest },
  }))
    test(`is not believed: ${what}`, () => {
      assert.deepEqual(believable(parts, 10), []);
    });
});
