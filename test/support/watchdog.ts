/**
 * Ends a test file that does not end: something it started (a server, a timer, a thread) was never closed. The limit on each test
 * does not see this, for it comes after the last one. Loaded before every file by `npm test`.
 */
import { getActiveResourcesInfo } from 'node:process';

const LIMIT_MS = 10 * 60_000;

// The runner itself, which loads this too, has no such variable.
if (process.env['NODE_TEST_CONTEXT'] !== undefined)
  setTimeout(() => {
    const open = [...new Set(getActiveResourcesInfo())].join(', ');
    console.error(`watchdog: not done after ${String(LIMIT_MS / 1000)} s; still open: ${open}`);
    process.exit(1);
  }, LIMIT_MS).unref();
