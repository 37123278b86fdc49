/** What the image promises, each case on a fresh volume. */
import assert from 'node:assert/strict';
import { chmodSync, chownSync, existsSync, globSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Buildah } from './buildah.ts';
import { MODEL, type Origin } from './origin.ts';
import type { Ran } from './process.ts';
import { runSandboxed, type Sandbox } from './sandbox.ts';

/** A built image and a container made of it. */
export interface Image {
  readonly name: string;
  readonly version: string;
  readonly container: string;
  /** The unpacked root file system of `container`. */
  readonly rootfs: string;
  readonly store: Buildah;
}

export interface Scene {
  readonly image: Image;
  readonly origin: Origin;
  /** An empty folder of the host, to be mounted at /mnt/models. */
  readonly volume: string;
}

const USER = 65532;
export const ENTRYPOINT = [
  '/usr/local/bin/node',
  '--no-warnings',
  '--max-semi-space-size=4',
  '--heap-growing-percent=60',
  '/app/main.js',
];
/** A uid such as OpenShift picks: in no passwd file, with group 0. */
const ARBITRARY = { uid: 1_000_730_000, gid: 0 };

export const cases: Readonly<Record<string, (scene: Scene) => Promise<void>>> = {
  'the image is configured for a restricted pod: non-root, exec-form entrypoint, labels': async ({
    image,
  }) => {
    const { Docker } = JSON.parse(
      await image.store.call('inspect', ['--type', 'image', image.name]),
    ) as {
      Docker: {
        config: {
          User: string;
          Entrypoint: string[];
          Volumes: object;
          Labels: Record<string, string>;
        };
      };
    };
    const { config } = Docker;
    assert.equal(config.User, `${String(USER)}:${String(USER)}`);
    assert.deepEqual(config.Entrypoint, ENTRYPOINT);
    assert.deepEqual(Object.keys(config.Volumes), ['/mnt/models']);
    assert.equal(config.Labels['org.opencontainers.image.version'], image.version);
  },

  'it holds no shell, no package manager and nothing writable but /tmp and /mnt/models': async ({
    image,
  }) => {
    const files = globSync('**/*', { cwd: image.rootfs, withFileTypes: true });
    const names = new Set(files.filter((file) => !file.isDirectory()).map((file) => file.name));
    for (const tool of ['sh', 'bash', 'busybox', 'dash', 'npm', 'apt', 'dpkg', 'npmrc', '.npmrc'])
      assert.ok(!names.has(tool), tool);
    const open = files.filter(
      (file) => !file.isSymbolicLink() && statSync(join(file.parentPath, file.name)).mode & 0o022,
    );
    assert.deepEqual(
      open.map((file) => join(file.parentPath, file.name).slice(image.rootfs.length)).sort(),
      ['/mnt/models', '/tmp'],
    );
    assert.equal(statSync(join(image.rootfs, 'mnt/models')).uid, USER);
  },

  'it says what it is made of: an SBOM and the licences, without paths of the build': async ({
    image,
  }) => {
    const bom = JSON.parse(readFileSync(join(image.rootfs, 'app/sbom.cdx.json'), 'utf8')) as {
      bomFormat: string;
      components: { name: string }[];
    };
    assert.equal(bom.bomFormat, 'CycloneDX');
    const names = bom.components.map(({ name }) => name);
    for (const name of ['node', 'got', 'commander', '@aws-sdk/client-s3', 'tar'])
      assert.ok(names.includes(name), name);
    assert.doesNotMatch(JSON.stringify(bom), /\/src\/|file:|resolved|registry/);
    const licences = readFileSync(join(image.rootfs, 'app/THIRD_PARTY_LICENSES'), 'utf8');
    for (const name of names) if (name !== 'node') assert.ok(licences.includes(`${name} `), name);
    const packages = globSync('*', { cwd: join(image.rootfs, 'var/lib/dpkg/status.d') });
    assert.ok(packages.includes('libc6') && packages.includes('libstdc++6'), String(packages));
  },

  'buildah runs it as its own user: the model arrives, unpacked, and nothing else is written':
    async (scene) => {
      writable(scene.volume);
      const { status, stderr } = await runImage(scene, [
        `${scene.origin.url}/model.tar.gz`,
        '/mnt/models',
      ]);
      assert.equal(status, 0, stderr);
      assertModel(scene.volume);
      assert.equal(statSync(join(scene.volume, 'config.json')).uid, USER);
      assert.ok(existsSync(join(scene.volume, '.model-fetch/manifest.jsonl')));
    },

  'several pairs go to several folders': async (scene) => {
    writable(scene.volume);
    const { status, stderr } = await runImage(scene, [
      `${scene.origin.url}/model.tar.gz`,
      '/mnt/models/a',
      `${scene.origin.url}/weights.bin`,
      '/mnt/models/b',
    ]);
    assert.equal(status, 0, stderr);
    assertModel(join(scene.volume, 'a'));
    assert.deepEqual(readFileSync(join(scene.volume, 'b/weights.bin')), MODEL['1/weights.bin']);
  },

  'a second run downloads nothing': async (scene) => {
    writable(scene.volume);
    const args = [`${scene.origin.url}/model.tar.gz`, '/mnt/models'];
    assert.equal((await runImage(scene, args)).status, 0);
    const { status, stdout, stderr } = await runImage(scene, ['--output', 'json', ...args]);
    assert.equal(status, 0, stderr);
    assert.match(stdout, /"unchanged": ?true/);
  },

  '--version is the bare version': async (scene) => {
    const { status, stdout } = await runImage(scene, ['--version']);
    assert.deepEqual([status, stdout.trim()], [0, scene.image.version]);
  },

  'exit codes tell what went wrong': async (scene) => {
    writable(scene.volume);
    const { url } = scene.origin;
    const expected: [number, string[]][] = [
      [2, []],
      [2, ['--no-such-flag', `${url}/weights.bin`, '/mnt/models']],
      [10, [`${url}/missing.bin`, '/mnt/models']],
      [11, [`${url}/denied/x.bin`, '/mnt/models']],
      [14, ['--net-policy', 'public', `${url}/weights.bin`, '/mnt/models']],
      [15, [`${url}/weights.bin`, '/app']],
      [16, [`${url}/broken.tar.gz`, '/mnt/models']],
      [17, ['nosuch://bucket/key', '/mnt/models']],
    ];
    for (const [code, args] of expected) {
      const { status, stderr } = await runImage(scene, args);
      assert.equal(status, code, `${args.join(' ')}\n${stderr}`);
    }
    assert.deepEqual(visible(scene.volume), []);
  },

  'a read-only root file system, an arbitrary uid with group 0, no HOME': async (scene) => {
    chownSync(scene.volume, 0, 0);
    chmodSync(scene.volume, 0o775);
    const { status, stderr } = await sandboxed(scene, { ...ARBITRARY, env: {} }, [
      `${scene.origin.url}/model.tar.gz`,
      '/mnt/models',
    ]).done;
    assert.equal(status, 0, stderr);
    assertModel(scene.volume);
    assert.equal(statSync(join(scene.volume, 'config.json')).uid, ARBITRARY.uid);
  },

  'the same for object stores, whose libraries look for a home folder: a clear answer, not a crash':
    async (scene) => {
      writable(scene.volume);
      const expected: [string, Record<string, string>, number[]][] = [
        [
          's3://bucket/denied/',
          { AWS_ENDPOINT_URL: scene.origin.url, AWS_EC2_METADATA_DISABLED: 'true' },
          [10, 11],
        ],
        ['gs://bucket/denied/', { STORAGE_EMULATOR_HOST: scene.origin.url }, [10, 11]],
      ];
      for (const [uri, env, codes] of expected) {
        const { status, stderr } = await sandboxed(scene, { ...ARBITRARY, env }, [
          uri,
          '/mnt/models',
        ]).done;
        assert.ok(codes.includes(status), `${uri}: ${String(status)}\n${stderr}`);
      }
    },

  'SIGTERM stops it as process 1 within 5 s, with 143 and nothing visible': async (scene) => {
    writable(scene.volume);
    const { done, terminate } = sandboxed(scene, {}, [
      `${scene.origin.url}/slow.bin`,
      '/mnt/models',
    ]);
    const before = scene.origin.sent.length;
    for (let waited = 0; scene.origin.sent.length === before && waited < 100; waited += 1)
      await sleep(100);
    await sleep(500);
    const asked = performance.now();
    await terminate();
    const { status, stderr } = await done;
    assert.equal(status, 143, stderr);
    assert.ok(performance.now() - asked < 5000);
    assert.deepEqual(visible(scene.volume), []);
  },
};

function runImage({ image, volume }: Scene, args: readonly string[]): Promise<Ran> {
  return image.store.attempt('run', [
    '--isolation',
    'chroot',
    '--volume',
    `${volume}:/mnt/models`,
    image.container,
    ...ENTRYPOINT,
    ...args,
  ]);
}

function sandboxed(
  { image, volume }: Scene,
  who: Partial<Pick<Sandbox, 'uid' | 'gid' | 'env'>>,
  args: readonly string[],
) {
  return runSandboxed({
    rootfs: image.rootfs,
    volume,
    uid: USER,
    gid: USER,
    env: { HOME: '/' },
    ...who,
    command: [...ENTRYPOINT, ...args],
  });
}

/** As a kubelet makes an emptyDir. */
function writable(volume: string): void {
  chmodSync(volume, 0o777);
}

/** What a model server would see. */
function visible(folder: string): string[] {
  return globSync('**/*', { cwd: folder, exclude: ['.model-fetch/**', '.model-fetch'] }).sort();
}

function assertModel(folder: string): void {
  assert.deepEqual(visible(folder), ['1', '1/empty.marker', '1/weights.bin', 'config.json']);
  for (const [path, body] of Object.entries(MODEL))
    assert.ok(body.equals(readFileSync(join(folder, path))), path);
}
