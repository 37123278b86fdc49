/** The cases for every object and every chart's values, in the order in which they run; the first install what the rest uses. */
import { join } from 'node:path';
import { IMAGE, manifest, MANIFESTS } from '../deploy/manifests.ts';
import type { Cluster } from './cluster.ts';
import { KSERVE_CRD, withoutKserve } from './kserve.ts';
import { parse, parseSettings, withField } from './objects.ts';
import { assertRefused, assertTaken, dryRun, type Case, type Scene } from './scene.ts';

const HERE = import.meta.dirname;
const CONTAINER = 'kserve/cluster-storage-container.yaml';
const isKserve = (file: string): boolean => file.startsWith('deploy/kserve/');
const objects = MANIFESTS.filter(({ kind }) => kind === 'object');

const installs: Case[] = [
  ...['crd-seldondeployments.yaml', 'crd-settings.yaml'].map((file) => ({
    name: `${file} is a valid definition`,
    run: ({ cluster }: Scene) => install(cluster, join(HERE, file)),
  })),
  {
    name: "KServe's definition of ClusterStorageContainer is a valid one",
    skip: withoutKserve,
    run: ({ cluster }) => install(cluster, KSERVE_CRD),
  },
];

async function install(cluster: Cluster, file: string): Promise<void> {
  assertTaken(await cluster.kubectl(['create', '--filename', file]));
  assertTaken(
    await cluster.kubectl([
      'wait',
      '--for=condition=Established',
      '--timeout=30s',
      '--filename',
      file,
    ]),
  );
}

const applied: Case[] = objects.flatMap(({ file, text }) => {
  const skip = isKserve(file) ? withoutKserve : undefined;
  return [
    {
      name: `${file} is taken`,
      skip,
      run: async (scene: Scene) => {
        assertTaken(await dryRun(scene, text));
      },
    },
    {
      name: `${file} with a field too many is refused`,
      skip,
      run: async (scene: Scene) => {
        const object = await parse(scene.cluster, text);
        const wrong = withField(object, ['spec', 'modelUrl'], 's3://models/iris');
        assertRefused(await dryRun(scene, wrong), /unknown field "spec\.modelUrl"/);
      },
    },
  ];
});

/** Mistakes that only a real server knows: how fields depend on each other. */
const mistakes: Case[] = [
  {
    name: 'a ClusterStorageContainer with a word for a truth value is refused',
    skip: withoutKserve,
    run: (scene) =>
      refused(scene, CONTAINER, ['spec', 'supportsMultiModelDownload'], 'yes', /boolean/),
  },
  {
    name: 'a prefetch job whose rule names another container is refused',
    run: (scene) =>
      refused(
        scene,
        'pods/prefetch-job.yaml',
        ['spec', 'podFailurePolicy', 'rules', 1, 'onExitCodes', 'containerName'],
        'storage-initializer',
        /podFailurePolicy.*storage-initializer/,
      ),
  },
  {
    name: 'a prefetch job whose pods restart in place is refused',
    run: (scene) =>
      refused(
        scene,
        'pods/prefetch-job.yaml',
        ['spec', 'template', 'spec', 'restartPolicy'],
        'OnFailure',
        /restartPolicy/,
      ),
  },
  {
    name: 'a graph whose initializer is misspelt is refused',
    run: (scene) =>
      refused(
        scene,
        'seldon/graph.yaml',
        ['spec', 'predictors', 0, 'graph', 'storageInitialiserImage'],
        IMAGE,
        /storageInitialiserImage/,
      ),
  },
];

async function refused(
  scene: Scene,
  file: string,
  path: readonly (string | number)[],
  value: unknown,
  reason: RegExp,
): Promise<void> {
  const object = await parse(scene.cluster, manifest(file).text);
  assertRefused(await dryRun(scene, withField(object, path, value)), reason);
}

const charts: Case[] = [
  ['seldon/values.yaml', 'SeldonValues', ['storageInitializer', 'image']] as const,
  [
    'primehub/values.yaml',
    'PrimeHubValues',
    ['modelDeployment', 'modelStorageInitializer'],
  ] as const,
].map(([file, kind, path]) => ({
  name: `deploy/${file} sets what the chart knows, and a misspelt value is refused`,
  run: async (scene: Scene) => {
    const values = await parseSettings(scene.cluster, kind, manifest(file).text);
    assertTaken(await dryRun(scene, values));
    const wrong = withField(values, ['spec', ...path.slice(0, -1), `${path.at(-1)!}s`], {});
    assertRefused(await dryRun(scene, wrong), new RegExp(`unknown field ".*${path.at(-1)!}s"`));
  },
}));

export const CASES: readonly Case[] = [...installs, ...applied, ...mistakes, ...charts];
