/** YAML becomes plain data by kubectl's own parser, and goes back to the API server as JSON. */
import type { Cluster } from './cluster.ts';

export type Json = Record<string, unknown>;

/** Fields one below the other; throws where one is missing. */
export function at(object: unknown, ...path: readonly (string | number)[]): unknown {
  return path.reduce<unknown>((value, key) => {
    const next = (value as Record<string | number, unknown> | undefined)?.[key];
    if (next === undefined) throw new Error(`there is no ${path.join('.')}`);
    return next;
  }, object);
}

/** A copy in which the field at `path` is `value`. */
export function withField(object: Json, path: readonly (string | number)[], value: unknown): Json {
  const copy = structuredClone(object);
  const parent = at(copy, ...path.slice(0, -1)) as Record<string | number, unknown>;
  parent[path.at(-1)!] = value;
  return copy;
}

/** The one object that `text` describes. */
export async function parse(cluster: Cluster, text: string): Promise<Json> {
  // --local asks no server; the label is only there because a command has to be given.
  const args = ['label', '--local', '--dry-run=client', '--filename=-', '--output=json', 'read=1'];
  const { ok, stdout, stderr } = await cluster.kubectl(args, text);
  if (!ok) throw new Error(stderr.trim());
  const object = JSON.parse(stdout) as Json;
  const labels = at(object, 'metadata', 'labels') as Json;
  delete labels['read'];
  if (Object.keys(labels).length === 0) delete (object['metadata'] as Json)['labels'];
  return object;
}

/** YAML that is no object, as the `spec` of one of a kind of `crd-settings.yaml`. */
export async function parseSettings(cluster: Cluster, kind: string, text: string): Promise<Json> {
  const head = Object.entries(settings(kind)).map(
    ([key, value]) => `${key}: ${JSON.stringify(value)}`,
  );
  return parse(
    cluster,
    [...head, 'spec:', ...text.split('\n').map((line) => `  ${line}`)].join('\n'),
  );
}

/** An object of a kind of `crd-settings.yaml`. */
export function settings(kind: string, spec?: unknown): Json {
  return {
    apiVersion: 'settings.model-fetch.test/v1',
    kind,
    metadata: { name: 'settings' },
    ...(spec !== undefined && { spec }),
  };
}
