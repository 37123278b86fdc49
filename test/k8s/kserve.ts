/** What KServe does with our container: which URIs it sends there, and the pods that its webhook makes of it. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../deploy/manifests.ts';
import type { Container, PodSpec } from './agreement.ts';
import { at, type Json } from './objects.ts';

/** KServe's own definition, and pods as its webhook made them. They are not part of this repository. */
const VECTORS = join(ROOT, '..', 'shared', 'vectors', 'kserve');
export const KSERVE_CRD = join(VECTORS, 'crd-clusterstoragecontainers.yaml');

/** Why cases that need them cannot run, or nothing. */
export const withoutKserve = existsSync(KSERVE_CRD) ? undefined : `${KSERVE_CRD} is not there`;

interface Recorded {
  readonly annotations: Json;
  readonly initContainers: readonly Container[];
  readonly podSecurityContext: Json;
  readonly volumes: NonNullable<PodSpec['volumes']>;
}

/** Recorded pods whose initializer came from a ClusterStorageContainer, by the name of the case. */
export function recordedPods(): ReadonlyMap<string, Recorded> {
  const all = JSON.parse(readFileSync(join(VECTORS, 'pods.json'), 'utf8')) as Record<
    string,
    Recorded
  >;
  const initialized = Object.entries(all).filter(([, { initContainers }]) =>
    initContainers.some(
      ({ name, image }) => name === 'storage-initializer' && image.startsWith('example.com/'),
    ),
  );
  assert.ok(initialized.length > 5, 'recorded pods');
  return new Map(initialized);
}

/** The recorded pod, had `container` been the one it was made from: KServe lays it over what it generates. */
export function injected(
  { initContainers, podSecurityContext, volumes }: Recorded,
  container: Json,
) {
  const [generated] = initContainers;
  const { env = [], ...overlay } = container as Json & { env?: Json[] };
  return {
    securityContext: podSecurityContext,
    initContainers: [{ ...generated, ...overlay, env: [...env, ...(generated!.env ?? [])] }],
    volumes,
  };
}

/** The first container, by name, that takes `uri`: a prefix, else a pattern that is not anchored. */
export function chosen(containers: readonly Json[], uri: string): string | undefined {
  const byName = containers
    .map((one) => ({
      name: at(one, 'metadata', 'name') as string,
      formats: at(one, 'spec', 'supportedUriFormats') as { prefix?: string; regex?: string }[],
    }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  return byName.find(({ formats }) =>
    formats.some(({ prefix, regex }) =>
      prefix === undefined ? new RegExp(regex!).test(uri) : uri.startsWith(prefix),
    ),
  )?.name;
}
