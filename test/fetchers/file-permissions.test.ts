/** In a file, and so a process, of its own: it gives up being root, for whom everything is readable. */
import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { ModelFetchError } from '../../src/errors.ts';
import type { Entry, Fetcher, ResolveContext } from '../../src/fetcher.ts';
import { file } from '../../src/fetchers/file.ts';
import { parseRef } from '../../src/ref.ts';

const NOBODY = 65534;

const resolve = (uri: string): Promise<Fetcher> =>
  file().resolve(parseRef(uri), {
    signal: new AbortController().signal,
  } as unknown as ResolveContext);

function denied(path: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof ModelFetchError, String(error));
    assert.equal(error.code, 'PERMISSION_DENIED');
    assert.equal(error.exitStatus, 11);
    assert.match(error.message, path);
    assert.match(error.hint ?? '', /fsGroup/);
    return true;
  };
}

test('says PERMISSION_DENIED for what this user may not read, and names it', async () => {
  if (process.getuid?.() === 0) process.setuid!(NOBODY);
  const home = await mkdtemp(join(tmpdir(), 'model-fetch-denied-'));
  const folder = join(home, 'model', 'sub');
  const weights = join(home, 'model', 'a.bin');
  try {
    await mkdir(folder, { recursive: true });
    await writeFile(weights, 'secret', { mode: 0 });
    await chmod(folder, 0);

    const fetcher = await resolve(join(home, 'model'));
    const entries = fetcher.list()[Symbol.asyncIterator]();
    const first = (await entries.next()).value as Entry;
    await assert.rejects(fetcher.locate(first), denied(/a\.bin/));
    await assert.rejects(entries.next(), denied(/sub/));
    await assert.rejects(resolve(join(folder, 'deeper')), denied(/sub/));
  } finally {
    await chmod(folder, 0o700);
    await rm(home, { recursive: true });
  }
});
