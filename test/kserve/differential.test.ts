/** A few of the random sources in every test run; `npm run test:real` compares more, and `differential.ts` as many as are wanted. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compareSources, SKIP } from './differential.ts';

for (const scheme of ['s3', 'gs', 'http', 'file', 'pvc'] as const)
  test(
    `${scheme}: with --compat kserve the tree is the one that KServe itself makes, without it every difference is known`,
    { skip: SKIP },
    async () => {
      const { sources, trees, differences } = await compareSources(scheme, 12, 'test');
      assert.deepEqual(differences, [], 'seed: test');
      assert.ok(sources >= 12 && trees > 3, `${sources} sources, ${trees} trees`);
    },
  );
