/** Whether the objects, as the API server reads them, agree with the Dockerfile and with the command. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseWords } from '../../src/cli/program.ts';
import { IMAGE, MANIFESTS, ROOT } from '../deploy/manifests.ts';
import { assertConfined, assertUnderstood, ours, type Container } from './agreement.ts';
import { at, parse, type Json } from './objects.ts';
import { assertTaken, podOf, type Case, type Scene } from './scene.ts';

const objects = MANIFESTS.filter(({ kind }) => kind === 'object');

const agreed: Case[] = objects
  .filter(({ text }) => /^kind: (Pod|Job|Deployment)$/m.test(text))
  .map(({ file, text }) => ({
    name: `${file} agrees with the image and the command line`,
    run: async ({ cluster }: Scene) => {
      const pod = podOf(await parse(cluster, text));
      for (const container of ours(pod)) {
        assertConfined(container, pod.securityContext);
        assertUnderstood(container, pod);
        assert.equal(container.terminationMessagePolicy, 'FallbackToLogsOnError');
      }
    },
  }));

const agreedContainers: Case[] = objects
  .filter(({ text }) => /^kind: ClusterStorageContainer$/m.test(text))
  .map(({ file, text }) => ({
    name: `${file} agrees with the image`,
    run: async ({ cluster }: Scene) => {
      const container = at(await parse(cluster, text), 'spec', 'container') as Container;
      assert.equal(container.name, 'storage-initializer');
      assert.equal(container.image, IMAGE);
      assert.equal(container.command, undefined);
      assertConfined(container);
    },
  }));

const doctor: Case = {
  name: 'the doctor of docs/kubernetes.md is started as it says',
  run: async ({ cluster }) => {
    const text = readFileSync(join(ROOT, 'docs', 'kubernetes.md'), 'utf8');
    const [, shown] = /```sh\nkubectl ([^`]+)```/.exec(text) ?? [];
    const words = (shown ?? '')
      .replaceAll('\\\n', ' ')
      .match(/(?:'[^']*'|[^\s'])+/g)!
      .map((word) => word.replaceAll("'", ''))
      // Nothing is to be waited for here.
      .filter((word) => word !== '--rm' && word !== '-i');
    words.splice(words.indexOf('--'), 0, '--dry-run=server', '--output=json');
    const answer = await cluster.kubectl(words);
    assertTaken(answer);
    const pod = podOf(JSON.parse(answer.stdout) as Json);
    assert.equal(at(pod, 'serviceAccountName'), 'models-reader');
    const invocation = parseWords(ours(pod)[0]!.args!, { color: false, columns: 100 });
    assert.ok('command' in invocation && invocation.command === 'doctor');
  },
};

export const AGREEMENT_CASES: readonly Case[] = [...agreed, ...agreedContainers, doctor];
