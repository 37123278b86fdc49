/** The short form of `npm run test:kill`: a few kills, from the sources. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { killRuns } from './kill.ts';

test(
  'runs that are killed leave no torn file, and no manifest beside anything but a whole model',
  { timeout: 400_000 },
  async () => {
    const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
    const { kills, watcher } = await killRuns([process.execPath, main], 8);
    assert.equal(watcher.violation, undefined);
    assert.equal(kills, 8);
    assert.ok(watcher.looks > 100, `${String(watcher.looks)} looks`);
  },
);
