/** What is no object of its own: KServe's kustomization, and the patches of what KServe installs. */
import assert from 'node:assert/strict';
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { IMAGE, manifest, ROOT } from '../deploy/manifests.ts';
import { chosen, withoutKserve } from './kserve.ts';
import { at, parse, settings, withField, type Json } from './objects.ts';
import { assertRefused, assertTaken, create, dryRun, type Case, type Scene } from './scene.ts';

const CONTAINER = 'kserve/cluster-storage-container.yaml';

export const KSERVE_CASES: readonly Case[] = [
  {
    name: 'deploy/kserve/kustomization.yaml is taken, and its image reaches every container',
    skip: withoutKserve,
    run: async (scene) => {
      assertTaken(await dryRun(scene, await kustomized(scene, 'as-it-is', (text) => text)));
      const built = await kustomized(scene, 'other-tag', (text) => text.replace("'0.1'", "'9.9'"));
      const images = built.match(/image: \S+/g) ?? [];
      assert.deepEqual(
        images,
        images.map(() => 'image: example.com/model-fetch:9.9'),
      );
      assert.equal(images.length, 2);
    },
  },
  {
    name: 'deploy/kserve/inferenceservice-config.patch.yaml replaces one text, of settings that KServe knows',
    run: async (scene) => {
      const before = { deploy: '{}', storageInitializer: '{"image":"example.com/other:1"}' };
      const map = {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name: 'inferenceservice-config' },
        data: before,
      };
      assertTaken(await scene.cluster.kubectl(['create', 'namespace', 'kserve']));
      await create(scene, map, '--namespace=kserve');
      const what = ['configmap', 'inferenceservice-config', '--namespace=kserve'];
      const after = await patched(scene, what, 'inferenceservice-config.patch.yaml');
      const { storageInitializer, ...rest } = at(after, 'data') as Record<string, string>;
      assert.deepEqual(rest, { deploy: '{}' });
      const set = JSON.parse(storageInitializer!) as Json;
      assert.equal(set['image'], IMAGE);
      assertTaken(await dryRun(scene, settings('StorageInitializer', set)));
      const wrong = settings('StorageInitializer', { ...set, images: IMAGE });
      assertRefused(await dryRun(scene, wrong), /unknown field "spec\.images"/);
    },
  },
  {
    name: 'deploy/kserve/default-container.patch.yaml leaves ours to us and the rest to KServe',
    skip: withoutKserve,
    run: async (scene) => {
      const own = await parse(scene.cluster, manifest(CONTAINER).text);
      const other = withField(own, ['metadata', 'name'], 'default');
      const standard = withField(other, ['spec', 'container', 'image'], 'example.com/other:1');
      await create(scene, standard);
      const what = ['clusterstoragecontainer', 'default'];
      const after = await patched(scene, what, 'default-container.patch.yaml');
      assert.equal(at(after, 'spec', 'container', 'image'), 'example.com/other:1');
      for (const [uri, name] of Object.entries({
        's3://models/iris': 'model-fetch',
        's3a://models/iris': 'model-fetch',
        'gs://models/iris': 'model-fetch',
        'https://models.example.com/iris.tar.gz': 'model-fetch',
        'http://models.example.com/iris/model.joblib?signature=1': 'model-fetch',
        'hf://owner/model': 'default',
        'modelscope://owner/model': 'default',
        'hdfs://models/iris': 'default',
        'https://account.blob.core.windows.net/container/iris': 'default',
        '<scheme-placeholder>://iris': undefined,
      }))
        assert.equal(chosen([own, after], uri), name, uri);
      // What the patch is for.
      assert.equal(chosen([own, standard], 's3://models/iris'), 'default');
    },
  },
];

/** The kustomization's output, after `change` of its own file. */
async function kustomized(
  { cluster, folder }: Scene,
  name: string,
  change: (text: string) => string,
): Promise<string> {
  const copy = join(folder, name);
  cpSync(join(ROOT, 'deploy', 'kserve'), copy, { recursive: true });
  const file = join(copy, 'kustomization.yaml');
  writeFileSync(file, change(readFileSync(file, 'utf8')));
  const { ok, stdout, stderr } = await cluster.kubectl(['kustomize', copy]);
  assert.ok(ok && stderr === '', stderr);
  return stdout;
}

async function patched({ cluster }: Scene, what: readonly string[], file: string): Promise<Json> {
  const answer = await cluster.kubectl([
    'patch',
    ...what,
    '--type=merge',
    `--patch-file=${join(ROOT, 'deploy', 'kserve', file)}`,
    '--dry-run=server',
    '--output=json',
  ]);
  assertTaken(answer);
  return JSON.parse(answer.stdout) as Json;
}
