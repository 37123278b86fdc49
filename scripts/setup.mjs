// Makes a fresh clone ready: installs the locked dependencies once, and checks that the project's own Node is there.
// Plain JavaScript, because it is what the machine's own, possibly older, Node runs.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createHash } from 'node:crypto';

const root = new URL('..', import.meta.url).pathname;
const stamp = `${root}node_modules/.model-fetch-setup`;
const node = `${root}node_modules/.bin/node`;
const wanted = createHash('sha256')
  .update(readFileSync(`${root}package-lock.json`))
  .digest('hex');

if (!ready()) {
  process.stderr.write('model-fetch: installing dependencies (once)…\n');
  const npm = spawnSync('npm', ['ci', '--loglevel=error', '--no-progress'], {
    cwd: root,
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, npm_config_omit: '' },
  });
  if (npm.status !== 0) fail('npm ci failed; its message is above.');
  if (!existsSync(node))
    fail(
      "the package 'node' did not install its binary: run `npm ci` with install scripts allowed for it.",
    );
  writeFileSync(stamp, wanted);
}
const version = execFileSync(node, ['--version'], { encoding: 'utf8' }).trim();
if (Number(version.slice(1).split('.')[0]) < 24)
  fail(`node_modules/.bin/node is ${version}, not 24 or newer.`);

function ready() {
  return (
    existsSync(node) &&
    existsSync(stamp) &&
    statSync(stamp).isFile() &&
    readFileSync(stamp, 'utf8') === wanted
  );
}

function fail(why) {
  process.stderr.write(`model-fetch: set-up failed: ${why}\n`);
  process.exit(1);
}
