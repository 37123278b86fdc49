/**
 * The base image where none can be pulled: Debian from its package archive, the `node` package's binary, this machine's
 * npm. Named as the Dockerfile names the official one, kept as a tar file in `.tools/image` for the next run.
 */
import { existsSync, mkdirSync, readFileSync, realpathSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { run } from './process.ts';
import type { Buildah } from './buildah.ts';

const SUITE = 'bookworm';

/** Installs Debian's `buildah` and `debootstrap` where they are missing. Answers why that cannot be, or nothing. */
export async function installBuilders(say: (line: string) => void): Promise<string | undefined> {
  const missing: string[] = [];
  for (const tool of ['buildah', 'debootstrap'])
    await run('sh', ['-c', `command -v ${tool}`]).catch(() => missing.push(tool));
  if (process.getuid?.() !== 0) return 'building an image without an engine needs root';
  if (!missing.length) return undefined;
  say(`installing ${missing.join(' and ')}`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  try {
    await run('apt-get', ['update'], { env });
    await run('apt-get', ['install', '--yes', '--no-install-recommends', ...missing], { env });
    return undefined;
  } catch (error) {
    return `${missing.join(' and ')} cannot be installed: ${(error as Error).message}`;
  }
}

/** Puts the image `name` into `store`. Minutes the first time. */
export async function provideBase(
  root: string,
  store: Buildah,
  name: string,
  say: (line: string) => void,
): Promise<void> {
  const node = realpathSync(join(root, 'node_modules/node/bin/node'));
  const version = await run(node, ['--version']);
  const tar = join(root, '.tools/image', `base-${SUITE}-${version}.tar`);
  if (!existsSync(tar)) {
    say('assembling the base image (once): Debian, node, npm');
    await assemble(tar, node);
  }
  const container = await store.call('from', ['scratch']);
  await store.call('add', ['--quiet', container, tar, '/']);
  await store.call('config', [
    '--env',
    'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    container,
  ]);
  await store.call('commit', ['--quiet', '--rm', container, name]);
}

async function assemble(tar: string, node: string): Promise<void> {
  const folder = `${tar}.new`;
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(dirname(folder), { recursive: true });
  const mirror = await debianMirror();
  await run('debootstrap', ['--variant=minbase', SUITE, folder, mirror]);
  await run('install', ['-m', '0755', node, join(folder, 'usr/local/bin/node')]);
  const npm = dirname(dirname(realpathSync(await run('sh', ['-c', 'command -v npm']))));
  mkdirSync(join(folder, 'usr/local/lib/node_modules'), { recursive: true });
  await run('cp', ['-a', npm, join(folder, 'usr/local/lib/node_modules/npm')]);
  await run('ln', [
    '-s',
    '../lib/node_modules/npm/bin/npm-cli.js',
    join(folder, 'usr/local/bin/npm'),
  ]);
  const rest = [
    'var/cache/apt',
    'var/lib/apt/lists',
    'var/log',
    'usr/share/doc',
    'usr/share/locale',
  ];
  for (const path of rest) await run('sh', ['-c', 'rm -rf "$1"/*', 'sh', join(folder, path)]);
  await run('tar', ['--directory', folder, '--create', '--file', `${tar}.part`, '.']);
  renameSync(`${tar}.part`, tar);
  rmSync(folder, { recursive: true, force: true });
}

/** Where this machine's own apt gets its packages from. */
async function debianMirror(): Promise<string> {
  const format = ['indextargets', '--format', '$(REPO_URI) $(RELEASE)', 'Created-By: Packages'];
  const targets = (await run('apt-get', format)).split('\n').map((line) => line.split(' '));
  const mirror = targets.find(([, release]) => release === SUITE)?.[0];
  if (!mirror) throw new Error(`this machine's apt has no source for Debian ${SUITE}`);
  return mirror;
}

/**
 * Build arguments that let `npm ci` inside the build reach what this machine's npm reaches: its configuration and its
 * certificates, as secrets that never become part of the image.
 */
export async function npmSecrets(
  folder: string,
  write: (path: string, text: string) => void,
): Promise<string[]> {
  const files = [
    await run('npm', ['config', 'get', 'globalconfig']),
    await run('npm', ['config', 'get', 'userconfig']),
  ];
  const lines = files
    .filter((file) => existsSync(file))
    .flatMap((file) => readFileSync(file, 'utf8').split('\n'));
  const own = /^\s*(cafile|prefix|cache|nodedir)\s*=/;
  const configured = await run('npm', ['config', 'get', 'cafile']);
  const ca = [configured, process.env['NODE_EXTRA_CA_CERTS'] ?? ''].find((file) =>
    existsSync(file),
  );
  const npmrc = lines.filter((line) => !own.test(line));
  if (ca) npmrc.push('cafile=/run/secrets/ca');
  const path = join(folder, 'npmrc');
  write(path, `${npmrc.join('\n')}\n`);
  return ['--secret', `id=npmrc,src=${path}`, ...(ca ? ['--secret', `id=ca,src=${ca}`] : [])];
}
