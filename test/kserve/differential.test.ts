/** A few of the random trees in every test run; `node test/kserve/differential.ts 500` compares as many as are wanted. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compareTrees, SKIP } from './differential.ts';

test(
  'with --compat kserve the tree is the one that KServe itself makes',
  { skip: SKIP },
  async () => {
    const { sources, trees, differences } = await compareTrees(3, 'test');
    assert.deepEqual(differences, []);
    assert.ok(sources > 10 && trees > 5, `${sources} sources, ${trees} trees`);
  },
);
