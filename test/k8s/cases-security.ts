/** Pod Security admission, `restricted` and enforced: pods are really created, and looser ones really refused. */
import assert from 'node:assert/strict';
import { manifest } from '../deploy/manifests.ts';
import { assertUnderstood, ours, type Container, type PodSpec } from './agreement.ts';
import { assertRefused, assertTaken, create, podOf, type Case, type Scene } from './scene.ts';
import { injected, recordedPods, withoutKserve } from './kserve.ts';
import { at, parse, withField, type Json } from './objects.ts';

const NAMESPACE = 'restricted';
const IN = `--namespace=${NAMESPACE}`;

const namespace: Case = {
  name: 'a namespace that enforces the Pod Security Standard `restricted`',
  run: (scene) =>
    create(scene, {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: {
        name: NAMESPACE,
        labels: {
          'pod-security.kubernetes.io/enforce': 'restricted',
          // Objects that make pods are not refused but warned about.
          'pod-security.kubernetes.io/warn': 'restricted',
        },
      },
    }),
};

const pods: Case[] = ['pods/restricted.yaml', 'pods/pvc.yaml'].map((file) => ({
  name: `deploy/${file} passes`,
  run: async (scene) => {
    await create(scene, await parse(scene.cluster, manifest(file).text), IN);
  },
}));

const job: Case = {
  name: 'deploy/pods/prefetch-job.yaml passes, and so does its pod',
  run: async (scene) => {
    const object = await parse(scene.cluster, manifest('pods/prefetch-job.yaml').text);
    await create(scene, object, IN);
    await create(scene, podWith('of-the-job', podOf(object)), IN);
  },
};

const initContainer: Case = {
  name: 'the init container of deploy/pods/deployment.yaml passes beside a server that would',
  run: async (scene) => {
    const pod = podOf(await parse(scene.cluster, manifest('pods/deployment.yaml').text));
    await create(scene, podWith('of-the-deployment', besideServer(pod)), IN);
  },
};

/** Each of these alone makes the difference. */
const looser: Case[] = (
  [
    ['as root', ['spec', 'securityContext', 'runAsUser'], 0, /runAsUser=0/],
    [
      'without a seccomp profile',
      ['spec', 'securityContext', 'seccompProfile'],
      null,
      /seccompProfile/,
    ],
    [
      'with escalation allowed',
      ['spec', 'initContainers', 0, 'securityContext', 'allowPrivilegeEscalation'],
      true,
      /allowPrivilegeEscalation/,
    ],
    [
      'with its capabilities kept',
      ['spec', 'initContainers', 0, 'securityContext', 'capabilities'],
      null,
      /unrestricted capabilities/,
    ],
  ] as const
).map(([how, path, value, reason]) => ({
  name: `deploy/pods/restricted.yaml ${how} is refused`,
  run: async ({ cluster }: Scene) => {
    const object = await parse(cluster, manifest('pods/restricted.yaml').text);
    const named = withField(object, ['metadata', 'name'], 'looser');
    const wrong = JSON.stringify(withField(named, path, value));
    const answer = await cluster.kubectl(['create', IN, '--filename=-'], wrong);
    assertRefused(answer, /violates PodSecurity "restricted/);
    assertRefused(answer, reason);
  },
}));

/** KServe's webhook gives its pods our container, its own arguments, secrets and mounts, and no security context. */
function recorded(): Case[] {
  if (withoutKserve)
    return [
      { name: 'pods as KServe makes them', skip: withoutKserve, run: () => Promise.resolve() },
    ];
  // The recorded configuration lists hf:// too; ours leaves it to KServe.
  const pods = [...recordedPods()].filter(([name]) => name !== 'hf');
  return pods.map(([name, pod]) => ({
    name: `a pod as KServe makes it of our container passes: ${name}`,
    run: async (scene: Scene) => {
      const { text } = manifest('kserve/cluster-storage-container.yaml');
      const container = at(await parse(scene.cluster, text), 'spec', 'container') as Json;
      const made = besideServer(injected(pod, container) as unknown as PodSpec);
      for (const one of ours(made)) assertUnderstood(one, made);
      await create(scene, podWith(`kserve-${name}`, made), IN);
    },
  }));
}

/** The pod's init containers, and in place of its containers one that passes. */
function besideServer(pod: PodSpec): PodSpec {
  const server: Container = {
    name: 'server',
    image: 'example.com/server:1',
    securityContext: {
      runAsNonRoot: true,
      allowPrivilegeEscalation: false,
      capabilities: { drop: ['ALL'] },
      seccompProfile: { type: 'RuntimeDefault' },
    },
  };
  return { ...pod, containers: [server] };
}

function podWith(name: string, spec: PodSpec): Json {
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name }, spec };
}

const kept: Case = {
  name: 'what was created is there, and waits for a node that never comes',
  run: async ({ cluster }) => {
    const answer = await cluster.kubectl(['get', 'pods', IN, '--output=json']);
    assertTaken(answer);
    const { items } = JSON.parse(answer.stdout) as { items: Json[] };
    const created = items.map((pod) => at(pod, 'metadata', 'name'));
    assert.ok(created.includes('iris-restricted') && !created.includes('looser'));
    for (const pod of items) assert.equal(at(pod, 'status', 'phase'), 'Pending');
  },
};

export const SECURITY_CASES: readonly Case[] = [
  namespace,
  ...pods,
  job,
  initContainer,
  ...looser,
  ...recorded(),
  kept,
];
