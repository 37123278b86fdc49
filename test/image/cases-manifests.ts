/** The container of each manifest in `deploy/`, run as it is written, with what its platform fills in. */
import assert from 'node:assert/strict';
import {
  chmodSync,
  chownSync,
  cpSync,
  globSync,
  mkdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { IMAGE, imageFacts, manifest, MANIFESTS } from '../deploy/manifests.ts';
import { parseYaml } from '../deploy/yaml.ts';
import type { Container, PodSpec } from '../k8s/agreement.ts';
import { startHttpServer } from '../servers/http.ts';
import { startS3 } from '../servers/s3.ts';
import { certificatePath, serverCertificate } from '../support/certs.ts';
import { ENTRYPOINT, type Scene } from './cases.ts';
import type { Limits } from './cgroup.ts';
import { runContainer, type Mount } from './container.ts';
import { MODEL, tarOf } from './origin.ts';

const KEYS = { accessKeyId: 'reader', secretAccessKey: 'a-secret-of-the-test' };
const TARGET = '/mnt/models';

/** What stands around a container: stores, and folders of the node. */
interface World {
  readonly scene: Scene;
  readonly s3: string;
  readonly web: string;
  /** Makes a folder for a volume; `group`: of a claim that belongs to `fsGroup`, else anybody's. */
  readonly volume: (name: string, group?: number) => string;
}

interface Filled {
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly mounts: readonly Mount[];
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
  readonly groups?: readonly number[];
  readonly limits: Limits;
  /** Where the model must be, in the container. Default: the target. */
  readonly dest?: string;
}

/** The keys of the secret that the manifests call `model-store`. */
const secret = ({ s3 }: World): Record<string, string> => ({
  AWS_ACCESS_KEY_ID: KEYS.accessKeyId,
  AWS_SECRET_ACCESS_KEY: KEYS.secretAccessKey,
  AWS_REGION: 'us-east-1',
  AWS_ENDPOINT_URL: s3,
});

const limitsOf = (memory: string, cpu: string): Limits => ({
  memory: Number(/^(\d+)Mi$/.exec(memory)![1]) * 1024 * 1024,
  cpu: Number(cpu),
});

interface Deployed {
  readonly spec: PodSpec & { readonly template?: { readonly spec: PodSpec } };
}
interface StorageContainer {
  readonly spec: { readonly container: Container };
}

/** A pod that the manifest has as a whole: volumes, variables and user are taken from it. */
function wholePod(file: string): (world: World) => Filled {
  return (world) => {
    const { spec } = parseYaml(manifest(file).text) as unknown as Deployed;
    const pod = spec.template?.spec ?? spec;
    const found = [...(pod.initContainers ?? []), ...pod.containers];
    const [container] = found.filter(({ image }) => image === IMAGE);
    const context = { ...pod.securityContext, ...container!.securityContext } as Record<
      string,
      number
    >;
    const { fsGroup } = context;
    const { limits = {} } = container!.resources ?? {};
    const words = container!.args!.map((word) =>
      word.replace('https://models.example.com', world.web),
    );
    return {
      args: words,
      env: {
        ...('envFrom' in container! && secret(world)),
        ...Object.fromEntries((container!.env ?? []).map(({ name, value = '' }) => [name, value])),
      },
      mounts: container!.volumeMounts!.map(({ name, mountPath, readOnly = false }) => ({
        from: volumeOf(pod, name, world, readOnly, fsGroup),
        at: mountPath,
        readOnly,
      })),
      uid: context['runAsUser'],
      gid: context['runAsGroup'],
      ...(fsGroup !== undefined && { groups: [fsGroup] }),
      limits: limitsOf(limits['memory']!, limits['cpu']!),
      dest: words[1]!,
    };
  };
}

/** A volume of a pod: what is read holds the model, or the authority. */
function volumeOf(
  pod: PodSpec,
  name: string,
  { volume }: World,
  readOnly: boolean,
  group: number | undefined,
): string {
  const kind = pod.volumes?.find((one) => one.name === name);
  assert.ok(kind, `a volume called ${name}`);
  if ('configMap' in kind) {
    const folder = volume(name, 0);
    cpSync(certificatePath('ca'), join(folder, 'ca.crt'));
    return folder;
  }
  if (!kind.persistentVolumeClaim) return volume(name);
  const folder = volume(name, readOnly ? 0 : (group ?? 0));
  if (readOnly) writeModel(join(folder, 'iris/v1'));
  return folder;
}

function writeModel(folder: string): void {
  for (const [path, body] of Object.entries(MODEL)) {
    mkdirSync(join(folder, path, '..'), { recursive: true });
    writeFileSync(join(folder, path), body);
  }
}

/** A container that KServe completes: arguments, credentials and the mount. */
function storageContainer(file: string, job = false): (world: World) => Filled {
  return (world) => {
    const { spec } = parseYaml(manifest(file).text) as unknown as StorageContainer;
    const { resources, image, securityContext } = spec.container;
    assert.equal(image, IMAGE);
    assert.equal(securityContext?.readOnlyRootFilesystem, true);
    return {
      args: ['s3://models/iris/v1', TARGET],
      env: { ...secret(world), S3_USE_HTTPS: '0', S3_VERIFY_SSL: '0' },
      // A job fills a folder of the node for group 1000.
      mounts: [{ from: world.volume('models', job ? 1000 : undefined), at: TARGET }],
      ...(job && { groups: [1000] }),
      limits: limitsOf(resources!.limits!['memory']!, resources!.limits!['cpu']!),
    };
  };
}

const RUNS: Readonly<Record<string, (world: World) => Filled>> = {
  'pods/prefetch-job.yaml': wholePod('pods/prefetch-job.yaml'),
  'pods/deployment.yaml': wholePod('pods/deployment.yaml'),
  'pods/pvc.yaml': wholePod('pods/pvc.yaml'),
  'pods/restricted.yaml': wholePod('pods/restricted.yaml'),
  'kserve/cluster-storage-container.yaml': storageContainer(
    'kserve/cluster-storage-container.yaml',
  ),
  'kserve/local-model-cache.yaml': storageContainer('kserve/local-model-cache.yaml', true),

  'kserve/inferenceservice-config.patch.yaml': (world) => {
    const { data } = parseYaml(manifest('kserve/inferenceservice-config.patch.yaml').text) as {
      data: { storageInitializer: string };
    };
    const config = JSON.parse(data.storageInitializer) as Record<string, string>;
    assert.equal(config['image'], IMAGE);
    const storage = {
      type: 's3',
      access_key_id: KEYS.accessKeyId,
      secret_access_key: KEYS.secretAccessKey,
      endpoint_url: world.s3,
      region: 'us-east-1',
    };
    return {
      args: ['s3://models/iris/v1', TARGET],
      env: {
        STORAGE_CONFIG: JSON.stringify(storage),
        STORAGE_OVERRIDE_CONFIG: '{"bucket":"models"}',
      },
      mounts: [{ from: world.volume('models'), at: TARGET }],
      limits: limitsOf(config['memoryLimit']!, config['cpuLimit']!),
    };
  },

  'seldon/values.yaml': (world) => {
    const { storageInitializer: chart } = parseYaml(manifest('seldon/values.yaml').text) as {
      storageInitializer: Record<string, string>;
    };
    assert.equal(chart['image'], IMAGE);
    return {
      args: ['store:models/iris/v1', TARGET],
      env: {
        RCLONE_CONFIG_STORE_TYPE: 's3',
        RCLONE_CONFIG_STORE_PROVIDER: 'Minio',
        RCLONE_CONFIG_STORE_ENV_AUTH: 'false',
        RCLONE_CONFIG_STORE_ACCESS_KEY_ID: KEYS.accessKeyId,
        RCLONE_CONFIG_STORE_SECRET_ACCESS_KEY: KEYS.secretAccessKey,
        RCLONE_CONFIG_STORE_ENDPOINT: world.s3,
      },
      mounts: [{ from: world.volume('models'), at: TARGET }],
      // Seldon's own user, where the chart is left as it is.
      uid: 8888,
      gid: 0,
      limits: limitsOf(chart['memoryLimit']!, chart['cpuLimit']!),
    };
  },

  'seldon/graph.yaml': (world) => {
    const { spec } = parseYaml(manifest('seldon/graph.yaml').text) as {
      spec: { predictors: { graph: Record<string, string> }[] };
    };
    const { graph } = spec.predictors[0]!;
    assert.deepEqual(
      [graph['storageInitializerImage'], graph['envSecretRefName']],
      [IMAGE, 'model-store'],
    );
    return {
      args: [graph['modelUri']!, TARGET],
      env: secret(world),
      mounts: [{ from: world.volume('models'), at: TARGET }],
      uid: 8888,
      gid: 0,
      limits: limitsOf('512Mi', '1'),
    };
  },

  'primehub/values.yaml': (world) => {
    const { modelDeployment } = parseYaml(manifest('primehub/values.yaml').text) as {
      modelDeployment: { modelStorageInitializer: { image: Record<string, string> } };
    };
    const { repository, tag } = modelDeployment.modelStorageInitializer.image;
    assert.equal(`${repository!}:${tag!}`, IMAGE);
    const shared = world.volume('phfs', 0);
    writeModel(join(shared, 'models/iris'));
    return {
      args: ['file:///phfs/models/iris'],
      env: { OUTPUT_PATH: TARGET },
      mounts: [
        { from: shared, at: '/phfs', readOnly: true },
        { from: world.volume('models'), at: TARGET },
      ],
      limits: limitsOf('512Mi', '1'),
    };
  },
};

/** Without a container of ours: patches of other objects, and what kustomize reads. */
const NONE = [
  'kserve/default-container.patch.yaml',
  'kserve/image-fields.yaml',
  'kserve/kustomization.yaml',
];

/** Name and body of each case; a note that it answers is printed. */
export const manifestCases: Readonly<
  Record<string, (scene: Scene) => Promise<string | undefined>>
> = {
  'every manifest is run here, or has no container of ours': () => {
    const known = [...Object.keys(RUNS), ...NONE].map((file) => `deploy/${file}`);
    assert.deepEqual(known.sort(), MANIFESTS.map(({ file }) => file).sort());
    return Promise.resolve(undefined);
  },
  ...Object.fromEntries(
    Object.entries(RUNS).map(([file, fill]) => [
      `deploy/${file}: its container puts the model where the server looks for it`,
      (scene: Scene) => runManifest(fill, scene),
    ]),
  ),
};

async function runManifest(
  fill: (world: World) => Filled,
  scene: Scene,
): Promise<string | undefined> {
  const s3 = await startS3({ credentials: [KEYS] });
  const web = await startHttpServer({ tls: serverCertificate() });
  try {
    for (const prefix of ['iris', 'iris/v1'])
      for (const [path, body] of Object.entries(MODEL))
        if (prefix === 'iris/v1') s3.put('models', `${prefix}/${path}`, body);
    web.put('/iris.tar.gz', gzipSync(tarOf(MODEL)));
    const filled = fill({
      scene,
      s3: s3.url,
      web: `https://localhost:${String(web.port)}`,
      volume: (name, group) => {
        const folder = join(scene.volume, name);
        mkdirSync(folder);
        if (group !== undefined) chownSync(folder, 0, group);
        chmodSync(folder, group === undefined ? 0o777 : group === 0 ? 0o755 : 0o2775);
        return folder;
      },
    });
    return await check(filled, scene);
  } finally {
    await s3.close();
    await web.close();
  }
}

async function check(filled: Filled, { image, volume }: Scene): Promise<string | undefined> {
  const { uid, gid } = imageFacts();
  const log = join(volume, 'termination-log');
  const { args, env, mounts, groups = [], limits, dest = TARGET } = filled;
  const ended = await runContainer({
    rootfs: image.rootfs,
    command: [...ENTRYPOINT, ...args],
    env: { KUBERNETES_SERVICE_HOST: '10.0.0.1', ...env },
    mounts,
    uid: filled.uid ?? uid,
    gid: filled.gid ?? gid,
    groups,
    limits,
    terminationLog: log,
  });
  assert.equal(ended.status, 0, ended.stderr);
  assert.match(ended.message, /^\{[^\n]*"status":"done"[^\n]*\}\n$/);
  assert.equal(ended.oomKills ?? 0, 0);
  const mount = mounts.find(({ at }) => `${dest}/`.startsWith(`${at}/`))!;
  const place = join(mount.from, dest.slice(mount.at.length));
  const files = globSync('**/*', { cwd: place, exclude: ['.model-fetch/**', '.model-fetch'] });
  const below = dest === TARGET && args[0] === 's3://models/iris' ? 'v1/' : '';
  for (const [path, body] of Object.entries(MODEL)) {
    assert.ok(files.includes(below + path), `${path} in ${files.join(' ')}`);
    assert.ok(body.equals(readFileSync(join(place, below + path))), path);
  }
  return ended.unlimited;
}
