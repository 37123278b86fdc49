/** A publish that is cut short at any of its steps is finished or redone by the next run. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { fetchModel, verifyTarget } from '../../src/index.ts';
import { readManifest } from '../../src/publish/manifest.ts';
import { folder, onlyManifestRemains, treeFrom, treeOf, write, type Files } from './scene.ts';

const OLD: Files = {
  same: 'same',
  'config.json': 'old',
  'sub/a': 'old a',
  'sub/stale': 'old',
  'turns/into/file': 'old',
  becomes: 'old',
};
const NEW: Files = {
  same: 'same',
  'config.json': 'new',
  'sub/a': 'new a',
  'fresh/x': 'new',
  turns: 'new',
  'becomes/folder': 'new',
};

const CHILD = new URL('crash-child.ts', import.meta.url).pathname;

async function child(...args: string[]): Promise<{ code: number | null; out: string }> {
  const process_ = spawn(process.execPath, [CHILD, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let out = '';
  process_.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
  const code = await new Promise<number | null>((resolve) => process_.on('close', resolve));
  return { code, out };
}

interface Stage {
  readonly root: string;
  readonly from: (name: 'old' | 'new') => string;
  readonly before: string;
}

/** The old model published in `before`, to be copied for every crash. */
async function stage(t: TestContext, manifest?: string | false): Promise<Stage> {
  const root = folder(t);
  write(join(root, 'old'), OLD);
  write(join(root, 'new'), NEW);
  const before = join(root, 'before');
  await fetchModel(join(root, 'old'), before, { ...(manifest !== undefined && { manifest }) });
  write(before, { 'sub/foreign': 'mine' });
  return { root, from: (name) => join(root, name), before };
}

/**
 * Crashes before every change of a publish of the new model, and hands what is left to `look`. With a manifest elsewhere,
 * only before those that have to do with it.
 */
async function everyCrash(
  { root, from, before }: Stage,
  look: (target: string, at: number) => Promise<void>,
  manifestOf?: (target: string) => string,
): Promise<void> {
  const start = (target: string, at: number): ReturnType<typeof child> => {
    cpSync(before, target, { recursive: true, preserveTimestamps: true });
    if (manifestOf) cpSync(manifestOf(before), manifestOf(target));
    return child(from('new'), target, String(at), ...(manifestOf ? [manifestOf(target)] : []));
  };
  const { code, out } = await start(join(root, 'count'), 0);
  assert.equal(code, 0);
  const changes = Number(out);
  assert.ok(changes >= 15, `${String(changes)} changes`);
  const crash = async (at: number): Promise<void> => {
    const target = join(root, `crash-${String(at)}`);
    const died = await start(target, at);
    assert.equal(died.code, null, `the run was to die before change ${String(at)}`);
    await look(target, at);
    rmSync(target, { recursive: true });
  };
  const instants = Array.from({ length: changes }, (_, i) => i + 1).filter(
    (at) => !manifestOf || at < 6 || at > changes - 12,
  );
  const lane = async (): Promise<void> => {
    for (let at = instants.pop(); at !== undefined; at = instants.pop()) await crash(at);
  };
  await Promise.all([lane(), lane(), lane()]);
}

describe('a publish that dies before each of its changes', () => {
  test('never leaves a current manifest beside anything but a whole model, and the next run finishes', async (t) => {
    const scene = await stage(t);
    const [old, fresh] = [OLD, NEW].map((files) => treeFrom({ ...files, 'sub/foreign': 'mine' }));
    const seen = { old: 0, new: 0, between: 0 };
    await everyCrash(scene, async (target, at) => {
      const manifest = await readManifest(join(target, '.model-fetch', 'manifest.jsonl'));
      const tree = treeOf(target);
      if (manifest) {
        const source = manifest.header!.sources[0]!.from;
        assert.deepEqual(tree, source.endsWith('/new') ? fresh : old, `change ${String(at)}`);
        seen[source.endsWith('/new') ? 'new' : 'old']++;
      } else seen.between++;
      // Every file is whole, of one model or the other.
      for (const [path, text] of Object.entries(tree))
        assert.ok(
          text === '/' || text === old![path] || text === fresh![path],
          `${path} after change ${String(at)}`,
        );
      const next = at % 2 === 0 ? 'new' : 'old';
      await fetchModel(scene.from(next), target);
      assert.deepEqual(treeOf(target), next === 'new' ? fresh : old, `change ${String(at)}`);
      onlyManifestRemains(target);
      await verifyTarget(target);
    });
    assert.ok(seen.old > 0 && seen.new > 0 && seen.between > 0, JSON.stringify(seen));
  });
});

describe('the next run', () => {
  test('finishes what was begun even when its own fetch then fails', async (t) => {
    const { from, before } = await stage(t);
    const { code } = await child(from('new'), before, '8');
    assert.equal(code, null);
    await assert.rejects(fetchModel('/does/not/exist', before));
    assert.deepEqual(treeOf(before), treeFrom({ ...NEW, 'sub/foreign': 'mine' }));
    await verifyTarget(before);
  });

  test('an intent whose staging is gone is dropped', async (t) => {
    const { from, before } = await stage(t);
    await child(from('new'), before, '8');
    assert.ok(existsSync(join(before, '.model-fetch', 'intent.json')));
    rmSync(join(before, '.model-fetch', 'staging'), { recursive: true });
    rmSync(join(before, 'sub', 'foreign'));
    await fetchModel(from('new'), before, { overwrite: true });
    const tree = treeOf(before);
    for (const [path, text] of Object.entries(NEW)) assert.equal(tree[path], text);
    onlyManifestRemains(before);
  });

  test('a staging area of a crash before publishing is no obstacle, and goes', async (t) => {
    const { from, before } = await stage(t);
    const rest = join(before, '.model-fetch', 'staging', 'rest');
    mkdirSync(join(rest, 'trees', '0'), { recursive: true });
    writeFileSync(join(rest, 'journal.jsonl'), '{"key":"x","pa');
    writeFileSync(join(rest, 'trees', '0', 'x'), 'rest');
    await fetchModel(from('new'), before);
    onlyManifestRemains(before);
  });
});

describe('a manifest elsewhere', () => {
  test('on another file system, a publish that dies before each of its changes is finished', async (t) => {
    if (!existsSync('/dev/shm')) return t.skip('no second file system here');
    const shm = mkdtempSync('/dev/shm/model-fetch-test-');
    t.after(() => rmSync(shm, { recursive: true, force: true }));
    const manifestOf = (target: string): string => join(shm, `${basename(target)}.jsonl`);
    const scene = await stage(t, manifestOf('before'));
    const [old, fresh] = [OLD, NEW].map((files) => treeFrom({ ...files, 'sub/foreign': 'mine' }));
    await everyCrash(
      scene,
      async (target, at) => {
        const manifest = manifestOf(target);
        const current = await readManifest(manifest);
        const isNew = current?.header?.sources[0]!.from.endsWith('/new');
        if (current?.header)
          assert.deepEqual(treeOf(target), isNew ? fresh : old, `change ${String(at)}`);
        await fetchModel(scene.from('new'), target, { manifest });
        assert.deepEqual(treeOf(target), fresh, `change ${String(at)}`);
        await verifyTarget(target, { manifest });
        assert.equal(existsSync(join(target, '.model-fetch')), false);
        assert.equal(existsSync(`${manifest}.tmp`), false);
      },
      manifestOf,
    );
  });

  test('in a folder that is not there yet', async (t) => {
    const { root, from } = await stage(t);
    const manifest = join(root, 'not', 'there', 'manifest.jsonl');
    await fetchModel(from('new'), join(root, 'target'), { manifest });
    assert.equal((await verifyTarget(join(root, 'target'), { manifest })).manifest, manifest);
    assert.match(readFileSync(manifest, 'utf8'), /"end"/);
  });
});
