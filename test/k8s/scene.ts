/** What the cases share: the cluster, and what may be asked of it. */
import assert from 'node:assert/strict';
import type { PodSpec } from './agreement.ts';
import type { Answer, Cluster } from './cluster.ts';
import { at, type Json } from './objects.ts';

export interface Scene {
  readonly cluster: Cluster;
  /** A temporary folder. */
  readonly folder: string;
}

export interface Case {
  readonly name: string;
  /** Why it cannot run here. */
  readonly skip?: string | undefined;
  readonly run: (scene: Scene) => Promise<void>;
}

/** Succeeded, and without a warning. */
export function assertTaken({ ok, stderr }: Answer): void {
  assert.ok(ok && stderr === '', stderr.trim());
}

/** Was refused, for that reason. */
export function assertRefused({ ok, stderr }: Answer, reason: RegExp): void {
  assert.ok(!ok, 'it was accepted');
  assert.match(stderr, reason);
}

/** Server-side, strict, and nothing is kept. */
export function dryRun({ cluster }: Scene, object: Json | string): Promise<Answer> {
  const text = typeof object === 'string' ? object : JSON.stringify(object);
  return cluster.kubectl(['apply', '--dry-run=server', '--validate=strict', '--filename=-'], text);
}

/** Really creates it. */
export async function create({ cluster }: Scene, object: Json, ...args: string[]): Promise<void> {
  assertTaken(
    await cluster.kubectl(
      ['create', '--validate=strict', '--filename=-', ...args],
      JSON.stringify(object),
    ),
  );
}

/** The pod that an object is, or makes. */
export function podOf(object: Json): PodSpec {
  return at(
    object,
    ...(object['kind'] === 'Pod' ? ['spec'] : ['spec', 'template', 'spec']),
  ) as PodSpec;
}
