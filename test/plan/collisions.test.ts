import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { Collisions } from '../../src/plan/collisions.ts';

/** Adds all; the paths that were refused. */
function refused(paths: readonly string[]): string[] {
  const collisions = new Collisions();
  return paths.filter((path) => {
    try {
      collisions.add(path, 'x://y');
      return false;
    } catch (error) {
      assert.equal((error as { code?: string }).code, 'CONFLICT');
      return true;
    }
  });
}

describe('collisions', () => {
  test('one name twice, and a name that is a file and a folder', () => {
    assert.deepEqual(refused(['a', 'b', 'a/b2', 'c/d/e', 'c/d']), ['a/b2', 'c/d']);
    assert.deepEqual(refused(['a', 'a']), ['a']);
    assert.deepEqual(refused(['a/b', 'a/c', 'a/b/c', 'ab', 'a']), ['a/b/c', 'a']);
    assert.deepEqual(refused(['x/y/z', 'x']), ['x']);
  });

  test('are found exactly as by sets of names, among any names', () => {
    const segment = fc.constantFrom('a', 'b', 'c', 'aa', 'Ä');
    const path = fc.array(segment, { minLength: 1, maxLength: 4 }).map((all) => all.join('/'));
    fc.assert(
      fc.property(fc.array(path, { maxLength: 30 }), (paths) => {
        const files = new Set<string>();
        const folders = new Set<string>();
        const first = paths.findIndex((one) => {
          const parents = one.split('/').map((_, i, all) => all.slice(0, i).join('/'));
          const bad = files.has(one) || folders.has(one) || parents.some((p) => files.has(p));
          files.add(one);
          for (const parent of parents.slice(1)) folders.add(parent);
          return bad;
        });
        const until = first === -1 ? paths : paths.slice(0, first + 1);
        assert.deepEqual(refused(until).length, first === -1 ? 0 : 1);
      }),
    );
  });

  test('none among very many names', () => {
    const collisions = new Collisions();
    for (let i = 0; i < 50_000; i++) collisions.add(`d${String(i % 100)}/f${String(i)}`, 'x://y');
    assert.throws(() => collisions.add('d7/f49907', 'x://y'), { code: 'CONFLICT' });
    assert.throws(() => collisions.add('d7', 'x://y'), { code: 'CONFLICT' });
  });

  test('not with a file that turned out to be an archive', () => {
    const collisions = new Collisions();
    collisions.add('bert', 'x://y');
    collisions.release('bert');
    collisions.add('bert/config.json', 'x://y');
    assert.throws(() => collisions.add('bert', 'x://y'), { code: 'CONFLICT' });
    const other = new Collisions();
    other.add('bert', 'x://y');
    other.release('bert');
    other.add('bert', 'x://y');
    assert.throws(() => other.add('bert', 'x://y'), { code: 'CONFLICT' });
    assert.throws(() => other.add('bert/x', 'x://y'), { code: 'CONFLICT' });
  });
});
