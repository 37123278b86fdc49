/** What the cases that bring their own servers work with: our command, a model, and whatever has to be ended again. */
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { modelFetch, type Outcome } from './programs.ts';
import { assertTree, treeOf, type Programs } from './scene.ts';
import { SECRET_KEY, startServer, type RealServer, type ServerKind } from './servers.ts';
import { openStore, type Store } from './store.ts';
import type { ToolName } from './tools.ts';
import { object, type StoredObject } from './trees.ts';

/** A group of cases that shares servers of its own. */
export interface Suite {
  readonly name: string;
  readonly needs: readonly ToolName[];
  /** Why it cannot run, whatever tools there are. */
  readonly skip?: string | false;
  /** Starts what the cases share; the bench ends it. */
  readonly open: (bench: Bench) => Promise<Record<string, () => Promise<void>>>;
}

export type Env = Readonly<Record<string, string>>;

/** The error that a failed run printed. */
export interface Told {
  readonly code: string;
  readonly message: string;
  readonly hint?: string;
  readonly uri?: string;
  readonly exit: number;
}

const MIB = 1 << 20;

/** A small file, and one that is read in ranges. */
export const MODEL: readonly StoredObject[] = [
  object('config.json', 500),
  object('weights.bin', 20 * MIB),
];
export const MODEL_BYTES = MODEL.reduce((sum, { body }) => sum + body.length, 0);

export class Bench {
  readonly programs: Programs;
  readonly tool: (name: ToolName) => string;
  /** A temporary folder of its own. */
  readonly folder: string;
  /** What no output may hold. */
  readonly secrets: string[] = [SECRET_KEY];
  readonly #ends: (() => unknown)[] = [];
  #count = 0;

  constructor(programs: Programs, tool: (name: ToolName) => string, folder: string) {
    this.programs = programs;
    this.tool = tool;
    this.folder = folder;
  }

  /** Called when all cases are over, the last that was given first. */
  onEnd(end: () => unknown): void {
    this.#ends.push(end);
  }

  /** Ends what was started; the first error is thrown when all is ended. */
  async end(): Promise<void> {
    const errors: unknown[] = [];
    for (const end of this.#ends.splice(0).reverse())
      try {
        await end();
      } catch (error) {
        errors.push(error);
      }
    if (errors.length) throw errors[0];
  }

  /** A folder that is there, and empty. */
  newFolder(): string {
    const folder = join(this.folder, String((this.#count += 1)));
    mkdirSync(folder);
    return folder;
  }

  /** A store; `env` is for the client that fills it. */
  async serve(kind: ServerKind, env: Env = {}): Promise<{ server: RealServer; store: Store }> {
    const server = await startServer(kind, this.tool(kind.tool), this.newFolder());
    this.onEnd(() => server.stop());
    const store = openStore(server, this.programs.python, env);
    this.onEnd(() => store.close());
    return { server, store };
  }

  /** One run in `env` and no other environment. */
  async fetch(uri: string, env: Env, flags: readonly string[] = []): Promise<Outcome> {
    const dest = join(this.newFolder(), 'model');
    const outcome = await modelFetch(this.programs.main, [...flags, uri, dest], dest, env);
    const said = `${outcome.stdout}\n${outcome.stderr}`;
    for (const secret of this.secrets)
      assert.ok(!said.includes(secret), `the output holds ${secret}:\n${said}`);
    return outcome;
  }

  /** Fetches, and checks that all of `model` is there. */
  async fetched(
    uri: string,
    env: Env,
    { model = MODEL, flags = [] }: { model?: readonly StoredObject[]; flags?: string[] } = {},
  ): Promise<Outcome> {
    const outcome = await this.fetch(uri, env, flags);
    assert.equal(outcome.status, 0, `${uri}\n${outcome.stderr.trim()}`);
    assertTree(outcome.tree, treeOf(model));
    return outcome;
  }

  /** Fetches, and checks that it fails with this code, at this exit status, and what is said of it; publishes nothing. */
  async refused(
    uri: string,
    env: Env,
    expected: { code: string; exit: number; message?: RegExp; hint?: RegExp },
    flags: readonly string[] = [],
  ): Promise<Told> {
    const outcome = await this.fetch(uri, env, flags);
    const all = `${uri}\n${outcome.stdout}${outcome.stderr.trim()}`;
    assert.equal(outcome.status, expected.exit, all);
    const { error } = JSON.parse(outcome.stdout) as { error: Told };
    assert.equal(error.code, expected.code, all);
    if (expected.message) assert.match(error.message, expected.message);
    if (expected.hint) assert.match(error.hint ?? '', expected.hint);
    assert.deepEqual([...outcome.tree.keys()], []);
    return error;
  }
}

/** `env` without the variables of these names. */
export function without(env: Env, ...names: readonly string[]): Env {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !names.includes(name)));
}
