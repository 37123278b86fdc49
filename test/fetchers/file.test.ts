import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, dirname, join, relative } from 'node:path';
import { after, before, beforeEach, suite, test } from 'node:test';
import { ModelFetchError, type ErrorCode } from '../../src/errors.ts';
import type { Entry, Fetcher, ResolveContext } from '../../src/fetcher.ts';
import { file, fromEnv } from '../../src/fetchers/file.ts';
import { fromDirectory } from '../../src/fetchers/from-directory.ts';
import { parseRef } from '../../src/ref.ts';
import { testResolver, type Files, type Harness } from '../../src/testing/index.ts';

/** A context that has nothing but a signal: these schemes may use nothing else. */
const context = (signal = new AbortController().signal) =>
  ({ signal }) as unknown as ResolveContext;

const resolve = (uri: string, signal?: AbortSignal): Promise<Fetcher> =>
  file().resolve(parseRef(uri), context(signal));

async function list(uri: string): Promise<Entry[]> {
  return Array.fromAsync((await resolve(uri)).list());
}

const paths = async (uri: string) => (await list(uri)).map((entry) => entry.path);

function code(expected: ErrorCode, pattern = /./): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof ModelFetchError, String(error));
    assert.equal(error.code, expected, error.message);
    assert.match(error.message, pattern);
    assert.ok(error.hint);
    return true;
  };
}

async function writeTree(folder: string, files: Files): Promise<void> {
  for (const [path, bytes] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), bytes);
  }
}

async function makeHarness(): Promise<Harness> {
  const home = await mkdtemp(join(tmpdir(), 'model-fetch-file-'));
  const model = join(home, 'models', 'm');
  return {
    resolver: fromEnv({}),
    uri: `file://${model}`,
    put: async (files) => {
      await rm(model, { recursive: true, force: true });
      await mkdir(model, { recursive: true });
      await writeTree(model, files);
    },
    siblings: (files) =>
      writeTree(
        dirname(model),
        Object.fromEntries(Object.entries(files).map(([name, bytes]) => [`m${name}`, bytes])),
      ),
    single: async (name, bytes) => {
      await writeTree(home, { [name]: bytes });
      return `file://${join(home, name)}`;
    },
    rootUri: `file://${home}`,
    missingUri: `file://${home}/nothing`,
    twoPages: 70,
    close: () => rm(home, { recursive: true, force: true }),
  };
}

testResolver('file', makeHarness, {
  except: {
    'says UNAUTHENTICATED or PERMISSION_DENIED to whom the source turns away':
      'see file-permissions.test.ts: it takes a user who is not root',
    'stops at once when the source has gone silent': 'there is no server',
  },
});

suite('file', () => {
  let home: string;
  before(async () => {
    home = await mkdtemp(join(tmpdir(), 'model-fetch-file-'));
  });
  after(() => rm(home, { recursive: true, force: true }));

  let model: string;
  let count = 0;
  beforeEach(async () => {
    model = join(home, `model-${String(count++)}`);
    await writeTree(model, { 'a.bin': Buffer.from('a'), 'sub/b.bin': Buffer.from('bb') });
  });

  test('takes every way of writing a path', async () => {
    for (const uri of [
      model,
      relative(process.cwd(), model),
      `file://${model}`,
      `FILE://${model}`,
      `file://localhost${model}`,
      `file:${model}`,
      `file://${relative(process.cwd(), model)}`,
      `${model}/`,
    ])
      assert.deepEqual(await paths(uri), ['a.bin', 'sub/b.bin'], uri);
  });

  test('calls itself file:// and the absolute path', async () => {
    assert.equal((await resolve(relative(process.cwd(), model))).uri, `file://${model}`);
  });

  test('takes percent signs as they stand, and decodes them only where nothing else is there', async () => {
    await writeTree(home, { 'x%20y': Buffer.from('raw'), 'x y': Buffer.from('decoded') });
    assert.deepEqual(await paths(`file://${home}/x%20y`), ['x%20y']);
    await rm(join(home, 'x%20y'));
    assert.deepEqual(await paths(`file://${home}/x%20y`), ['x y']);
    await assert.rejects(list(`${home}/x%20y`), code('NOT_FOUND'), 'a bare path is no URI');
    await assert.rejects(list(`file://${home}/x%00y`), code('NOT_FOUND'));
  });

  test('lists a folder sorted, names before their neighbours in every folder', async () => {
    await writeTree(model, {
      'sub.txt': Buffer.alloc(0),
      'B.bin': Buffer.alloc(1),
      '.z': Buffer.alloc(1),
    });
    assert.deepEqual(await paths(model), ['.z', 'B.bin', 'a.bin', 'sub/b.bin', 'sub.txt']);
  });

  test('follows links that stay inside', async () => {
    await symlink('a.bin', join(model, 'file-link'));
    await symlink('sub', join(model, 'folder-link'));
    const fetcher = await resolve(model);
    const entries = await Array.fromAsync(fetcher.list());
    assert.deepEqual(
      entries.map((entry) => entry.path),
      ['a.bin', 'file-link', 'folder-link/b.bin', 'sub/b.bin'],
    );
    assert.deepEqual(await fetcher.locate(entries[1]!), {
      kind: 'file',
      path: join(model, 'a.bin'),
    });
    assert.deepEqual(await fetcher.locate(entries[2]!), {
      kind: 'file',
      path: join(model, 'sub', 'b.bin'),
    });
  });

  test('takes a link at the root, and pins what it leads to', async () => {
    const link = `${model}-current`;
    await symlink(basename(model), link);
    const fetcher = await resolve(`file://${link}`);
    assert.equal(fetcher.uri, `file://${model}`);
    assert.deepEqual(await paths(link), ['a.bin', 'sub/b.bin']);
    await symlink(join(model, 'a.bin'), `${model}.bin`);
    assert.deepEqual(await paths(`${model}.bin`), [`${basename(model)}.bin`]);
  });

  for (const [what, target, pattern] of [
    ['to an absolute path outside', '/etc/passwd', /leads out/],
    ['to a path outside', '../..', /leads out/],
    ['to a neighbour whose name begins alike', '../NEIGHBOUR', /leads out/],
    ['to nothing', 'nowhere', /to nothing/],
    ['to itself', 'link', /circle/],
    ['to its own folder', '.', /circle/],
  ] as const)
    test(`refuses a link ${what}`, async () => {
      const neighbour = `${model}-v2`;
      await mkdir(neighbour);
      await symlink(target.replace('NEIGHBOUR', basename(neighbour)), join(model, 'link'));
      await assert.rejects(list(model), (error: ModelFetchError) => {
        assert.match(error.path ?? '', /link$/);
        return code('UNSAFE_PATH', pattern)(error);
      });
    });

  test('refuses links that lead out by way of links that stay inside', async () => {
    await mkdir(join(model, 'd'));
    await symlink('..', join(model, 'd', 'up'));
    await symlink('d/up/../../', join(model, 'escape'));
    await assert.rejects(list(model), code('UNSAFE_PATH'));
  });

  test('refuses FIFOs, sockets and devices without opening them', async () => {
    const fifo = join(model, 'fifo');
    execFileSync('mkfifo', [fifo]);
    await assert.rejects(list(model), code('UNSAFE_PATH', /FIFO/));
    await assert.rejects(list(fifo), code('UNSAFE_PATH', /FIFO/));
    await rm(fifo);
    const server = createServer().listen(join(model, 'socket'));
    await assert.rejects(list(model), code('UNSAFE_PATH', /socket/));
    server.close();
  });

  test('refuses the machine and its secrets, however they are reached', async () => {
    await symlink('/proc/self', `${model}-link`);
    for (const uri of [
      'file:///proc/self/environ',
      '/sys',
      'file:///dev/null',
      '/var/run/secrets/kubernetes.io',
      '/run/secrets',
      '/tmp/../proc',
      '/proc/self/root/etc',
      `${model}-link`,
    ])
      await assert.rejects(list(uri), code('REFUSED'), uri);
  });

  test('says what is wrong with a path', async () => {
    await assert.rejects(list(`${model}/a.bin/below`), code('NOT_FOUND'));
    await assert.rejects(list(`${home}/${'x'.repeat(300)}`), code('INVALID_URI'));
    await mkdir(`${model}/void`);
    await assert.rejects(list(`${model}/void`), code('NOT_FOUND', /holds no file/));
  });

  test('notices a file that was replaced, touched, or turned into a link', async () => {
    const fetcher = await resolve(model);
    const [entry] = await Array.fromAsync(fetcher.list());
    const path = join(model, 'a.bin');
    await fetcher.locate(entry!);
    await utimes(path, new Date(), new Date(1_000_000));
    await assert.rejects(fetcher.locate(entry!), code('SOURCE_CHANGED'));
    await rm(path);
    await assert.rejects(fetcher.locate(entry!), code('SOURCE_CHANGED'));
    await symlink('/etc/passwd', path);
    await assert.rejects(fetcher.locate(entry!), code('UNSAFE_PATH'));
  });

  test('locates nothing outside, whatever the entry says', async () => {
    const fetcher = await resolve(join(model, 'sub'));
    await assert.rejects(fetcher.locate({ path: '../a.bin' }), code('UNSAFE_PATH'));
  });

  test('bounds how deep folders may lie', async () => {
    await writeTree(model, { [`${'d/'.repeat(120)}f`]: Buffer.from('deep') });
    await assert.rejects(list(model), (error: ModelFetchError) => error.code === 'LIMIT_EXCEEDED');
  });

  test('refuses names that are not UTF-8, which could not be found again', async () => {
    const name = Buffer.concat([Buffer.from(`${model}/`), Buffer.from([0xff, 0x2e])]);
    await writeFile(name, 'x');
    await assert.rejects(list(model), code('UNSAFE_PATH', /UTF-8/));
  });

  test('serves other schemes that end in a folder', async () => {
    const fetcher = fromDirectory({ uri: 'other://model', path: model });
    assert.equal(fetcher.uri, 'other://model');
    assert.equal((await Array.fromAsync(fetcher.list())).length, 2);
  });

  test('explains itself', async () => {
    const explained = await file().explain!(parseRef(`file://localhost${model}`), context());
    assert.equal(explained.parts['path'], model);
  });
});
