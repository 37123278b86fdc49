/** What a case works with: a server, its store, and the two programs pointed at it. */
import assert from 'node:assert/strict';
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { unexplained } from './compare.ts';
import { kserve, modelFetch, type Outcome, type Tree } from './programs.ts';
import type { RealServer, ServerKind } from './servers.ts';
import { credentials, type Store } from './store.ts';
import type { StoredObject } from './trees.ts';

/** What must hold on every store; one that cannot show it says so in `needs`. */
export interface Case {
  readonly name: string;
  readonly needs?: (kind: ServerKind) => boolean;
  readonly run: (scene: Scene) => Promise<void>;
}

export interface FetchHow {
  readonly dest?: string;
  /** Replaces the right credentials. */
  readonly env?: Readonly<Record<string, string>>;
  readonly flags?: readonly string[];
}

/** What is run: our command as the package has it, as the image has it, and an interpreter with KServe's package. */
export interface Programs {
  readonly main: string;
  readonly bundle: string;
  readonly python: string;
}

export class Scene {
  readonly server: RealServer;
  readonly store: Store;
  readonly #programs: Programs;
  readonly #objects = new Map<string, Map<string, number>>();
  #count = 0;

  constructor(server: RealServer, store: Store, programs: Programs) {
    this.server = server;
    this.store = store;
    this.#programs = programs;
  }

  get scheme(): 's3' | 'gs' {
    return this.server.kind.scheme;
  }

  get env(): Record<string, string> {
    return credentials(this.server);
  }

  /** A bucket of its own, with these objects; answers its URI and those that the store accepted. */
  async bucket(
    objects: readonly StoredObject[],
    prefix = '',
  ): Promise<{ bucket: string; uri: string; stored: StoredObject[] }> {
    const bucket = `models-${String((this.#count += 1))}`;
    await this.store.createBucket(bucket);
    const stored = await this.put(bucket, prefix, objects);
    return { bucket, uri: `${this.scheme}://${bucket}`, stored };
  }

  async put(
    bucket: string,
    prefix: string,
    objects: readonly StoredObject[],
  ): Promise<StoredObject[]> {
    const stored = await this.store.put(bucket, prefix, objects);
    const known = this.#objects.get(bucket) ?? new Map<string, number>();
    this.#objects.set(bucket, known);
    for (const { path, body } of stored) known.set(prefix + path, body.length);
    return stored;
  }

  async remove(bucket: string, key: string): Promise<void> {
    await this.store.remove(bucket, key);
    this.#objects.get(bucket)?.delete(key);
  }

  folder(): string {
    return join(mkdtempSync(join(this.server.folder, 'run-')), 'model');
  }

  fetch(
    uri: string,
    { dest = this.folder(), env = this.env, flags = [] }: FetchHow = {},
  ): Promise<Outcome> {
    return modelFetch(this.#programs.main, [...flags, uri, dest], dest, env);
  }

  /** Any other command of ours. */
  command(args: readonly string[]): Promise<Outcome> {
    return modelFetch(this.#programs.main, args, '', this.env);
  }

  /** The image's program instead. */
  bundle(args: readonly string[], dest: string): Promise<Outcome> {
    return modelFetch(this.#programs.bundle, args, dest, this.env);
  }

  /** Fetches and checks that exactly `expected` is published. */
  async fetched(uri: string, expected: Tree, how: FetchHow = {}): Promise<Outcome> {
    const outcome = await this.fetch(uri, how);
    assert.equal(outcome.status, 0, `${uri}\n${outcome.stderr.trim()}`);
    assertTree(outcome.tree, expected);
    return outcome;
  }

  /** Fetches, and checks that it fails as it should and shows nothing. */
  async refused(uri: string, status: number, how: FetchHow = {}): Promise<void> {
    const outcome = await this.fetch(uri, how);
    assert.equal(outcome.status, status, `${uri}\n${outcome.stderr.trim()}`);
    assert.deepEqual([...outcome.tree.keys()], []);
  }

  /** Holds our outcome on `uri` against KServe's. `into` continues in a folder that KServe has already filled. */
  async sameAsKServe(
    uri: string,
    ours: Outcome,
    into: { dest?: string; before?: Tree } = {},
  ): Promise<string> {
    const { dest = this.folder(), before } = into;
    const theirs = await kserve(this.#programs.python, uri, dest, this.env);
    const objects = this.#objects.get(uri.split('/')[2] ?? '') ?? new Map<string, number>();
    const source = {
      scheme: this.scheme,
      uri,
      objects,
      ...(before && { before: new Set(before.keys()) }),
    };
    assert.deepEqual(
      unexplained(source, ours, theirs),
      [],
      theirs.stderr.trim().split('\n').at(-1) ?? '',
    );
    return dest;
  }
}

/** Objects as the files they should become. */
export function treeOf(objects: readonly StoredObject[]): Tree {
  return new Map(objects.map(({ path, body }) => [path, body]));
}

/** The same paths with the same bytes; says which differ, not their contents. */
export function assertTree(actual: Tree, expected: Tree): void {
  assert.deepEqual([...actual.keys()].sort(), [...expected.keys()].sort());
  const wrong = [...expected]
    .filter(([path, body]) => actual.get(path)?.equals(body) !== true)
    .map(([path]) => path);
  assert.deepEqual(wrong, [], 'files with other bytes');
}
