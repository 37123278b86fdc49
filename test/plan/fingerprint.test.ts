import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { Entry } from '../../src/fetcher.ts';
import { Fingerprint } from '../../src/plan/fingerprint.ts';

function of(entries: readonly Entry[]): string {
  const fingerprint = new Fingerprint();
  for (const entry of entries) fingerprint.add(entry);
  assert.equal(fingerprint.count, entries.length);
  return fingerprint.value();
}

const entry: fc.Arbitrary<Entry> = fc
  .record(
    {
      path: fc.string(),
      size: fc.nat(),
      version: fc.string(),
      digests: fc.array(fc.constantFrom('md5:00', 'sha256:11'), { minLength: 1, maxLength: 2 }),
    },
    { requiredKeys: ['path'] },
  )
  .map((one) => one as Entry);

describe('the fingerprint of a listing', () => {
  test('does not depend on the order', () => {
    const pair = fc
      .array(entry, { maxLength: 20 })
      .chain((all) =>
        fc.tuple(fc.constant(all), fc.shuffledSubarray(all, { minLength: all.length })),
      );
    fc.assert(fc.property(pair, ([all, shuffled]) => assert.equal(of(all), of(shuffled))));
  });

  test('changes with every field that says something about the content', () => {
    const base: Entry = { path: 'a', size: 1, version: 'v' };
    const others: Entry[] = [
      { ...base, path: 'b' },
      { ...base, size: 2 },
      { ...base, version: 'w' },
      { path: 'a', version: 'v' },
      { path: 'a', size: 1 },
      { path: 'a', size: 1, digests: ['md5:00'] },
      { path: 'a', size: 1, digests: ['md5:01'] },
    ];
    assert.equal(new Set([base, ...others].map((one) => of([one]))).size, others.length + 1);
  });

  test('changes when an entry is added, left out or there twice', () => {
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 10 }), entry, (all, one) => {
        const values = new Set([of(all), of([...all, one]), of([...all, one, one])]);
        assert.equal(values.size, 3);
      }),
    );
    assert.match(of([]), /^[0-9a-f]{32}$/);
  });

  test('does not change with what the fetcher needs for itself', () => {
    const base: Entry = { path: 'a', size: 1, version: 'v' };
    assert.equal(of([{ ...base, source: 'key' }]), of([base]));
    assert.equal(of([{ ...base, digests: ['md5:00'] }]), of([base]));
  });
});
