/** A run that fails before publishing leaves every visible name untouched, and no more behind than a resume needs. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { ResolverRegistry, fetchModels, type Digest, type Entry } from '../src/index.ts';
import type { ErrorCode } from '../src/errors.ts';
import type { FetchOptions } from '../src/options.ts';
import type { Fetcher } from '../src/fetcher.ts';
import {
  fails,
  folder,
  KEEP,
  noise,
  onlyManifestRemains,
  s3Scene,
  sha256,
  treeFrom,
  treeOf,
  type Files,
  type S3Scene,
} from './publish/scene.ts';

const OLD: Files = { 'config.json': '{"a":1}', 'sub/x': 'old' };
const NEW: Files = { 'config.json': '{"a":2}', 'sub/y': noise(50_000), z: 'z' };

/** The failure with a model in place, whose manifest must survive, and in a folder that was not there. */
async function fruitless(
  t: TestContext,
  code: ErrorCode,
  prepare: (scene: S3Scene) => FetchOptions | undefined,
  uri = 'new',
): Promise<void> {
  const scene = await s3Scene(t);
  scene.model('old', OLD);
  scene.model('new', NEW);
  await scene.fetch('old');
  const before = treeOf(scene.dest, true);
  const options = prepare(scene);
  await fails(scene.fetch(uri, options), code);
  assert.deepEqual(treeOf(scene.dest), treeFrom(OLD));
  assert.deepEqual(treeOf(scene.dest, true), before, 'nothing but the old manifest is left');
  const again = await s3Scene(t);
  again.model('new', NEW);
  const more = prepare(again);
  await fails(again.fetch(uri, more), code);
  assert.equal(existsSync(again.dest), false, 'a folder that the run made itself goes');
}

describe('nothing visible changes when', () => {
  test('nothing is there', async (t) => {
    await fruitless(t, 'NOT_FOUND', () => undefined, 'missing');
  });

  test('an object vanishes after it was listed', async (t) => {
    await fruitless(t, 'NOT_FOUND', (scene) => {
      scene.trouble = ({ key, method }) => {
        if (method === 'GET' && key === 'new/z') scene.s3.remove('models', 'new/z');
        return undefined;
      };
      return { concurrency: 1 };
    });
  });

  test('an object is overwritten between listing and reading', async (t) => {
    await fruitless(t, 'SOURCE_CHANGED', (scene) => {
      scene.trouble = ({ key, method }) => {
        if (method === 'GET' && key === 'new/z') scene.s3.put('models', 'new/z', 'Z');
        return undefined;
      };
      return undefined;
    });
  });

  test('an object is overwritten between reading and publishing', async (t) => {
    await fruitless(t, 'SOURCE_CHANGED', (scene) => {
      let done = false;
      return {
        onEvent: (event) => {
          if (event.type !== 'verified' || event.path !== 'config.json' || done) return;
          done = true;
          scene.s3.put('models', 'new/config.json', '{"a":3}');
        },
      };
    });
  });

  test('an object appears while the model is read', async (t) => {
    await fruitless(t, 'SOURCE_CHANGED', (scene) => {
      scene.trouble = ({ key, method }) => {
        if (method === 'GET' && key === 'new/z') scene.s3.put('models', 'new/late', 'late');
        return undefined;
      };
      return undefined;
    });
  });

  test('the listing holds an unsafe path', async (t) => {
    await fruitless(t, 'UNSAFE_PATH', (scene) => {
      scene.s3.put('models', 'new/zz/../../escape', 'out');
      return undefined;
    });
  });

  test('everything is excluded', async (t) => {
    await fruitless(t, 'NOT_FOUND', () => ({ exclude: ['**'] }));
  });

  test('the revision is not the one expected, which is only known at the end', async (t) => {
    await fruitless(t, 'REFUSED', () => ({ expectRevision: '0'.repeat(32) }));
  });

  test('the checksum of one file is asked of several', async (t) => {
    await fruitless(t, 'INVALID_OPTION', () => ({ checksum: `sha256:${sha256('x')}` }));
  });

  test('the credentials are wrong', async (t) => {
    await fruitless(t, 'UNAUTHENTICATED', (scene) => ({
      env: { ...scene.options.env, AWS_SECRET_ACCESS_KEY: 'wrong' },
    }));
  });

  test('the server says something else than the object', async (t) => {
    await fruitless(t, 'SOURCE_CHANGED', (scene) => {
      scene.trouble = ({ key, method }) =>
        method === 'GET' && key === 'new/z' ? { ignoreIfMatch: true, etag: '"other"' } : undefined;
      return undefined;
    });
  });

  test('a listing breaks off half-way', async (t) => {
    const scene = await s3Scene(t, { pageSize: 1 });
    scene.model('old', OLD);
    scene.model('new', NEW);
    await scene.fetch('old');
    let pages = 0;
    scene.trouble = ({ query, key }) =>
      key === '' && query.has('prefix') && query.get('prefix') === 'new/' && ++pages > 1
        ? { status: 403, code: 'AccessDenied' }
        : undefined;
    await fails(scene.fetch('new'), 'PERMISSION_DENIED');
    assert.ok(pages > 1);
    assert.deepEqual(treeOf(scene.dest), treeFrom(OLD));
    scene.trouble = undefined;
    await scene.fetch('new');
    assert.deepEqual(treeOf(scene.dest), treeFrom(NEW));
    onlyManifestRemains(scene.dest);
  });

  test('the volume is too small: it is said before anything is downloaded', async (t) => {
    const scene = await s3Scene(t);
    const dest = smallVolume(t, '2m');
    if (!dest) return;
    scene.model('big', { a: noise(1_500_000), b: noise(1_500_000, 2) });
    scene.model('small', { a: noise(1_000_000, 3) });
    const fetch = (name: string): Promise<unknown> =>
      fetchModels([{ uri: `s3://models/${name}/`, dest }], scene.options);
    const error = await fails(fetch('big'), 'NO_SPACE');
    assert.equal(error.exitStatus, 15);
    assert.deepEqual(treeOf(dest, true), {});
    await fetch('small');
    assert.deepEqual(treeOf(dest), treeFrom({ a: noise(1_000_000, 3) }));
  });

  test('the volume fills up half-way: it is left as it was', async (t) => {
    const dest = smallVolume(t, '2m');
    if (!dest) return;
    const entry: Entry = { path: 'a', version: '1' };
    const options = oneStream(entry, noise(3_000_000));
    await fails(fetchModels([{ uri: 'test://x', dest }], options), 'NO_SPACE');
    assert.deepEqual(treeOf(dest, true), {});
  });

  test('a model fits because most of it is there from an interrupted run', async (t) => {
    const scene = await s3Scene(t);
    const dest = smallVolume(t, '5m');
    if (!dest) return;
    const files = { a: noise(2_500_000), b: noise(1_500_000, 2) };
    scene.model('m', files);
    scene.trouble = ({ key }) => (key === 'm/b' ? { stallAfter: 1 } : undefined);
    const fetch = (options?: FetchOptions): Promise<unknown> =>
      fetchModels([{ uri: 's3://models/m/', dest }], { ...scene.options, ...options });
    await fails(fetch({ timeoutMs: 1_500 }), 'DEADLINE');
    scene.trouble = undefined;
    scene.gets();
    await fetch();
    assert.deepEqual(
      scene.gets().map(({ key }) => key),
      ['m/b'],
    );
    assert.deepEqual(treeOf(dest), treeFrom(files));
  });
});

describe('an error', () => {
  test('of a fetcher that is none of ours is told as a bug of ours, and the fetcher is disposed of', async (t) => {
    const dest = join(folder(t), 'mnt');
    let disposed = 0;
    const registry = new ResolverRegistry([], {});
    const fetcher: Fetcher = {
      uri: 'test://x',
      async *list() {
        yield { path: 'a', size: 1 };
        throw new TypeError('a bug');
      },
      locate: () => Promise.reject(new TypeError('another bug')),
      [Symbol.asyncDispose]: async () => {
        disposed++;
      },
    };
    registry.register({
      name: 'test',
      schemes: ['test'],
      form: 'test://',
      load: async () => ({ resolve: async () => fetcher }),
    });
    const error = await fails(
      fetchModels([{ uri: 'test://x', dest }], { ...KEEP, registry }),
      'INTERNAL',
    );
    assert.equal(error.exitStatus, 1);
    assert.equal(disposed, 1);
    assert.equal(existsSync(dest), false);
  });

  test('one manifest for several targets is refused before anything is asked for', async (t) => {
    const scene = await s3Scene(t);
    await fails(
      fetchModels(
        [
          { uri: 's3://models/a/', dest: join(scene.root, 'a') },
          { uri: 's3://models/b/', dest: join(scene.root, 'b') },
        ],
        { ...scene.options, manifest: join(scene.root, 'm') },
      ),
      'INVALID_OPTION',
    );
    assert.equal(scene.s3.requests.length, 0);
  });
});

/** A file system of its own of `size`, mounted for the test; undefined, and the test skipped, where that is not allowed. */
function smallVolume(t: TestContext, size: string): string | undefined {
  const dest = mkdtempSync(join(tmpdir(), 'model-fetch-volume-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', dest], {
      stdio: 'ignore',
    });
  } catch {
    rmSync(dest, { recursive: true });
    t.skip('a small volume cannot be mounted here');
    return undefined;
  }
  t.after(() => {
    execFileSync('umount', [dest]);
    rmSync(dest, { recursive: true });
  });
  assert.match(readFileSync('/proc/mounts', 'utf8'), new RegExp(dest));
  return dest;
}

/** A scheme whose one file is a stream of `bytes`. */
function oneStream(entry: Entry, bytes: Buffer, digests: readonly Digest[] = []): FetchOptions {
  const registry = new ResolverRegistry([], {});
  registry.register({
    name: 'test',
    schemes: ['test'],
    form: 'test://',
    load: async () => ({
      resolve: async () => ({
        uri: 'test://x',
        async *list() {
          yield { ...entry, ...(digests.length > 0 && { digests }) };
        },
        locate: async () => ({
          kind: 'stream',
          open: async () =>
            (async function* () {
              for (let at = 0; at < bytes.length; at += 65_536)
                yield bytes.subarray(at, at + 65_536);
            })(),
        }),
      }),
    }),
  });
  return { ...KEEP, registry };
}
