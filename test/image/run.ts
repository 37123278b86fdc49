/**
 * Builds the Dockerfile without a container engine and runs what came out, as its own user, against a real server:
 * `npm run test:image`. Needs root and Debian's packages; says what it skips. Leaves nothing but the base image's tar
 * file in `.tools/image`.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { installBuilders, npmSecrets, provideBase } from './base.ts';
import { Buildah } from './buildah.ts';
import { cases, type Image } from './cases.ts';
import { manifestCases } from './cases-manifests.ts';
import { podCases } from './cases-pods.ts';
import { measure } from './measure.ts';
import { startOrigin } from './origin.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const BASE = 'localhost/node:24-bookworm-slim';
const IMAGE = 'localhost/model-fetch:test';

/** `node test/image/run.ts WORDS`: the cases whose names have them. */
const ONLY = process.argv[2] ?? '';

const say = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

const why = await installBuilders(say);
if (why) {
  say(`skipped: ${why}`);
  say('0 passed, 0 failed, 1 skipped');
} else {
  mkdirSync(join(ROOT, '.tools/image'), { recursive: true });
  const folder = mkdtempSync(join(ROOT, '.tools/image/run-'));
  const store = new Buildah(folder);
  try {
    await provideBase(ROOT, store, BASE, say);
    process.exitCode = await test(await build(store, folder), folder);
  } finally {
    await store.removeAll();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function build(store: Buildah, folder: string): Promise<Image> {
  say('building the Dockerfile');
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
    version: string;
  };
  const secrets = await npmSecrets(folder, writeFileSync);
  const begun = performance.now();
  await store.call('build', [
    '--isolation',
    'chroot',
    '--pull-never',
    '--no-cache',
    '--quiet',
    '--format',
    'docker',
    ...secrets,
    '--build-arg',
    `NODE_IMAGE=${BASE}`,
    '--build-arg',
    `VERSION=${version}`,
    '--tag',
    IMAGE,
    '--file',
    join(ROOT, 'Dockerfile'),
    ROOT,
  ]);
  say(`built in ${((performance.now() - begun) / 1000).toFixed(1)} s`);
  const container = await store.call('from', ['--pull-never', IMAGE]);
  const rootfs = await store.call('mount', [container]);
  return { name: IMAGE, version, container, rootfs, store };
}

/** Answers the exit status. */
async function test(image: Image, folder: string): Promise<number> {
  const origin = await startOrigin();
  let passed = 0;
  let failed = 0;
  try {
    const all = { ...cases, ...manifestCases, ...podCases };
    for (const [name, check] of Object.entries(all)) {
      if (!name.includes(ONLY)) continue;
      const volume = mkdtempSync(join(folder, 'models-'));
      try {
        const begun = performance.now();
        const note = await check({ image, origin, volume });
        const seconds = ((performance.now() - begun) / 1000).toFixed(1);
        say(`ok ${name} (${seconds} s)${typeof note === 'string' ? `: ${note}` : ''}`);
        passed += 1;
      } catch (error) {
        say(`not ok ${name}\n    ${(error as Error).message.replaceAll('\n', '\n    ')}`);
        failed += 1;
      }
    }
    for (const line of await measure(image, folder)) say(line);
  } finally {
    await origin.close();
  }
  say(`${String(passed)} passed, ${String(failed)} failed`);
  return failed ? 1 : 0;
}
