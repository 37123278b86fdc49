import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { bootId } from '../src/boot.ts';
import { folder } from './publish/scene.ts';

suite('the boot of the kernel', () => {
  test('is a UUID, the same each time', (t) => {
    if (!existsSync('/proc/sys/kernel/random/boot_id')) return t.skip('no Linux /proc here');
    assert.match(bootId() ?? '', /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
    assert.equal(bootId(), bootId());
  });

  test('is unknown where it cannot be read, or is no UUID', (t) => {
    const file = join(folder(t), 'boot_id');
    assert.equal(bootId(file), undefined);
    for (const text of ['', '\n', 'unknown\n', '\0'.repeat(36)]) {
      writeFileSync(file, text);
      assert.equal(bootId(file), undefined, JSON.stringify(text));
    }
    writeFileSync(file, '5f0c7b1e-8f0a-4a3d-9c51-0a4b7f6a2d11\n');
    assert.equal(bootId(file), '5f0c7b1e-8f0a-4a3d-9c51-0a4b7f6a2d11');
  });
});
