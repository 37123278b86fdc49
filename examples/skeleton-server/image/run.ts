/**
 * The whole path in real images, without a container engine: the initializer's image fills a volume, the server's image
 * serves it, a second version is published while clients ask. `npm run test:image`. Needs root and Debian's packages;
 * says what it skips. It borrows the tools of the repository's own image test, which also says how they work.
 */
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { installBuilders, npmSecrets, provideBase } from '../../../test/image/base.ts';
import { Buildah } from '../../../test/image/buildah.ts';
import { run } from '../../../test/image/process.ts';
import { cases, type Images } from './cases.ts';
import { startOrigin } from './origin.ts';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const OWN = fileURLToPath(new URL('..', import.meta.url));
const BASE = 'localhost/node:24-bookworm-slim';
const CONTEXT = [
  'package.json',
  'package-lock.json',
  '.npmrc',
  '.dockerignore',
  'Dockerfile',
  'src',
  'models',
  'vendor',
];

const say = (line: string): void => console.log(line);

const why = await installBuilders(say);
if (why) {
  say(`skipped: ${why}`);
} else {
  mkdirSync(join(ROOT, '.tools/image'), { recursive: true });
  const folder = mkdtempSync(join(ROOT, '.tools/image/skeleton-'));
  const store = new Buildah(folder);
  try {
    await provideBase(ROOT, store, BASE, say);
    process.exitCode = await test(await buildBoth(store, folder), folder);
  } finally {
    await store.removeAll();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function buildBoth(store: Buildah, folder: string): Promise<Images> {
  const secrets = await npmSecrets(folder, writeFileSync);
  const build = async (name: string, context: string): Promise<Images['server']> => {
    say(`building ${name}`);
    const tag = `localhost/${name}:test`;
    const fixed = [
      '--isolation',
      'chroot',
      '--pull-never',
      '--no-cache',
      '--quiet',
      '--format',
      'docker',
    ];
    const args = [...fixed, ...secrets, '--build-arg', `NODE_IMAGE=${BASE}`, '--tag', tag];
    await store.call('build', [...args, '--file', join(context, 'Dockerfile'), context]);
    const { Docker } = JSON.parse(await store.call('inspect', ['--type', 'image', tag])) as {
      Docker: {
        config: {
          Env: string[];
          Cmd: string[];
          Entrypoint: string[];
          User: string;
          WorkingDir: string;
        };
      };
    };
    const container = await store.call('from', ['--pull-never', tag]);
    const rootfs = await store.call('mount', [container]);
    const { Env, Cmd, Entrypoint, User, WorkingDir } = Docker.config;
    const [uid, gid] = User.split(':').map(Number);
    assert.ok(uid && gid, `${name} runs as ${User}`);
    return {
      rootfs,
      uid,
      gid,
      env: Env ?? [],
      command: [...(Entrypoint ?? []), ...(Cmd ?? [])],
      workdir: WorkingDir,
    };
  };
  return {
    initializer: await build('model-fetch', ROOT),
    server: await build('skeleton-server', await contextOf(folder)),
  };
}

/** A copy of this folder, with the library in it as a package. */
async function contextOf(folder: string): Promise<string> {
  const context = join(folder, 'context');
  for (const name of CONTEXT) cpSync(join(OWN, name), join(context, name), { recursive: true });
  await run('npm', ['pack', '--pack-destination', join(context, 'vendor')], { cwd: ROOT });
  return context;
}

/** Answers the exit status. */
async function test(images: Images, folder: string): Promise<number> {
  await using origin = await startOrigin(join(ROOT, 'fixtures/models/iris-onnx'));
  let failed = 0;
  for (const [name, check] of Object.entries(cases)) {
    const volume = mkdtempSync(join(folder, 'models-'));
    try {
      await check({ images, origin, volume });
      say(`ok ${name}`);
    } catch (error) {
      say(`not ok ${name}\n    ${(error as Error).stack?.replaceAll('\n', '\n    ')}`);
      failed += 1;
    }
  }
  say(`${Object.keys(cases).length - failed} passed, ${failed} failed`);
  return failed ? 1 : 0;
}
