import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { DigestAlgorithm } from '../../src/fetcher.ts';
import {
  crcsOnDisk,
  FileDigester,
  rangeDigester,
  type ReadBack,
} from '../../src/verify/digester.ts';
import { large } from '../publish/scene.ts';

const from =
  (bytes: Buffer): ReadBack =>
  (into, at) =>
    bytes.copy(into, 0, at, at + into.length);

/** What is asked for, and a CRC in any case. */
function asked(algorithms: readonly DigestAlgorithm[]): readonly DigestAlgorithm[] {
  return algorithms.some((name) => name.startsWith('crc')) ? algorithms : [...algorithms, 'crc32'];
}

describe('digests of a file that comes in ranges', () => {
  test('are those of the whole, in whatever order the ranges come', async () => {
    const ALL: DigestAlgorithm[] = [
      'sha256',
      'md5',
      'sha1',
      'sha512',
      'crc32c',
      'crc64nvme',
      'crc32',
    ];
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ maxLength: 2000 }),
        fc.uniqueArray(fc.nat(2000), { maxLength: 6 }),
        fc.subarray(ALL),
        fc.infiniteStream(fc.nat()),
        async (data, cuts, algorithms, choices) => {
          const bytes = Buffer.from(data);
          const bounds = [
            0,
            ...cuts.filter((cut) => cut < bytes.length).sort((a, b) => a - b),
            bytes.length,
          ];
          const ranges = bounds.slice(1).map((end, i) => ({ start: bounds[i]!, end }));
          const digester = new FileDigester(algorithms, from(bytes));
          while (ranges.length > 0) {
            const [range] = ranges.splice(choices.next().value % ranges.length, 1);
            if (range!.start === range!.end && bytes.length > 0) continue;
            const state = rangeDigester(digester.crcs);
            state.update(bytes.subarray(range!.start, range!.end));
            digester.add({ ...range!, crcs: state.values() });
          }
          const found = await digester.result();
          const whole = rangeDigester(['crc32', 'crc32c', 'crc64nvme']);
          whole.update(bytes);
          assert.deepEqual([...found.keys()].sort(), [...asked(algorithms)].sort());
          assert.match(digester.recorded(found), /^crc(32|32c|64nvme):[0-9a-f]+$/);
          for (const name of asked(algorithms)) {
            const expected = name.startsWith('crc')
              ? whole.values().get(name as 'crc32')!
              : createHash(name).update(bytes).digest('hex');
            assert.equal(
              typeof expected === 'bigint' ? BigInt(`0x${found.get(name)!}`) : found.get(name),
              expected,
              name,
            );
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  test('a range that is missing on disk has none', async () => {
    const bytes = large(5_000_000);
    assert.equal(await crcsOnDisk({ start: 0, end: bytes.length + 1 }, [], from(bytes)), undefined);
    const crcs = await crcsOnDisk({ start: 1000, end: bytes.length }, ['crc32c'], from(bytes));
    const state = rangeDigester(['crc32c']);
    state.update(bytes.subarray(1000));
    assert.deepEqual(crcs, state.values());
  });

  test('a file that cannot be read back is an error, not a digest', async () => {
    const digester = new FileDigester(['sha256'], () => 0);
    digester.add({ start: 0, end: 10, crcs: new Map([['crc32', 0n]]) });
    await assert.rejects(digester.result(), RangeError);
  });
});
