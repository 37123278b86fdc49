/** Ordered digests on another thread. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { createHashThread } from '../../src/verify/hash-thread.ts';

const folder = mkdtempSync(join(tmpdir(), 'model-fetch-hash-'));
const bytes = randomBytes(5_000_000);
const path = join(folder, 'file');
writeFileSync(path, bytes);
after(() => {
  rmSync(folder, { recursive: true });
});

const expected = (algorithm: string): string => createHash(algorithm).update(bytes).digest('hex');

describe('the hash thread', () => {
  test('gives the digests of files that take turns', async () => {
    const thread = createHashThread();
    const fd = openSync(path, 'r');
    try {
      const [a, b] = [thread.file(fd, ['sha256', 'md5']), thread.file(fd, ['sha512'])];
      for (let start = 0; start < bytes.length; start += 1_500_000) {
        const range = { start, end: Math.min(bytes.length, start + 1_500_000) };
        await Promise.all([a.range(range), b.range(range)]);
      }
      const [one, two] = [await a.digests(), await b.digests()];
      assert.equal(one.get('sha256'), expected('sha256'));
      assert.equal(one.get('md5'), expected('md5'));
      assert.equal(two.get('sha512'), expected('sha512'));
    } finally {
      closeSync(fd);
      await thread.close();
    }
  });

  test('says so when the bytes are gone, and goes on with other files', async () => {
    const thread = createHashThread();
    const fd = openSync(path, 'r');
    try {
      await assert.rejects(
        thread.file(fd, ['sha256']).range({ start: 0, end: bytes.length + 1 }),
        /are gone/,
      );
      const good = thread.file(fd, ['sha256']);
      await good.range({ start: 0, end: bytes.length });
      await good.idle();
      assert.equal((await good.digests()).get('sha256'), expected('sha256'));
    } finally {
      closeSync(fd);
      await thread.close();
    }
  });

  test('costs nothing when it is not used', async () => {
    await createHashThread().close();
  });
});
