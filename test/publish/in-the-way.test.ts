import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, test, type TestContext } from 'node:test';
import { obstacles } from '../../src/publish/in-the-way.ts';

const never = (): boolean => false;

function folder(t: TestContext): string {
  const made = mkdtempSync(join(tmpdir(), 'model-fetch-'));
  t.after(() => {
    rmSync(made, { recursive: true });
  });
  return made;
}

describe('what stands in the way', () => {
  test('is seen at the top, and in folders that were not there when they were first looked for', async (t) => {
    const target = folder(t);
    writeFileSync(join(target, 'a.bin'), 'foreign');
    const way = obstacles(target, new Map(), false);
    assert.throws(() => way.check('a.bin', never), { code: 'CONFLICT' });
    way.check('b.bin', never);
    for (const name of ['a', 'b']) way.check(`deep/er/${name}.bin`, never);
    mkdirSync(join(target, 'deep/er'), { recursive: true });
    writeFileSync(join(target, 'deep/er/a.bin'), 'foreign');
    await sleep(150);
    assert.throws(() => way.check('deep/er/a.bin', never), { code: 'CONFLICT' });
    way.check('deep/er/b.bin', never);
  });

  test('is also a file where a folder must be, whenever it comes', async (t) => {
    const target = folder(t);
    const way = obstacles(target, new Map(), false);
    way.check('deep/a.bin', never);
    writeFileSync(join(target, 'deep'), 'foreign');
    await sleep(150);
    assert.throws(() => way.check('deep/b.bin', never), { code: 'CONFLICT' });
  });
});
