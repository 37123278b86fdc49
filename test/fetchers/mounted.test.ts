import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { ModelFetchError, type ErrorCode } from '../../src/errors.ts';
import type { ResolveContext } from '../../src/fetcher.ts';
import { nfsFromEnv, phfsFromEnv } from '../../src/fetchers/mounted.ts';
import { parseRef } from '../../src/ref.ts';
import { testResolver, type Files, type Harness } from '../../src/testing/index.ts';

const context = { signal: new AbortController().signal } as unknown as ResolveContext;

async function writeTree(folder: string, files: Files): Promise<void> {
  for (const [path, bytes] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), bytes);
  }
}

async function makeHarness(): Promise<Harness> {
  const mount = await mkdtemp(join(tmpdir(), 'model-fetch-phfs-'));
  const model = join(mount, 'models', 'm');
  return {
    resolver: phfsFromEnv({ MODEL_FETCH_PHFS: mount }),
    uri: 'phfs:///models/m',
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
      await writeTree(mount, { [name]: bytes });
      return `phfs:///${name}`;
    },
    rootUri: 'phfs:///',
    missingUri: 'phfs:///nothing',
    denied: { uri: 'phfs:///../x' },
    twoPages: 70,
    close: () => rm(mount, { recursive: true, force: true }),
  };
}

testResolver('phfs', makeHarness, {
  except: {
    'says UNAUTHENTICATED or PERMISSION_DENIED to whom the source turns away':
      'the mount decides, see file-permissions.test.ts',
    'stops at once when the source has gone silent': 'there is no server',
  },
});

function code(expected: ErrorCode, pattern = /./): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof ModelFetchError, String(error));
    assert.equal(error.code, expected, error.message);
    assert.match(`${error.message} ${error.hint ?? ''}`, pattern);
    return true;
  };
}

suite('mounted volumes', () => {
  let home: string;
  let mount: string;
  before(async () => {
    home = await mkdtemp(join(tmpdir(), 'model-fetch-nfs-'));
    mount = join(home, 'nfs');
    await writeTree(home, { 'secret.txt': Buffer.from('not of the volume') });
    await writeTree(mount, { 'to/m/a.bin': Buffer.from('a'), 'to/x y': Buffer.from('b') });
  });
  after(() => rm(home, { recursive: true, force: true }));

  const nfs = async (uri: string): Promise<string[]> => {
    const fetcher = await nfsFromEnv({ MODEL_FETCH_NFS: mount }).resolve(parseRef(uri), context);
    return (await Array.fromAsync(fetcher.list())).map((entry) => entry.path);
  };

  test('nfs is what the platform has mounted, whatever the server', async () => {
    assert.deepEqual(await nfs('nfs://1.2.3.4/to/m'), ['a.bin']);
    assert.deepEqual(await nfs('nfs://filer.example.com/to/m/'), ['a.bin']);
    assert.deepEqual(await nfs('nfs://h'), ['to/m/a.bin', 'to/x y']);
    assert.deepEqual(await nfs('nfs://h/to/x%20y'), ['x y']);
  });

  test('nothing leads out of the mount', async () => {
    for (const uri of ['nfs://h/../secret.txt', 'nfs://h/to/%2e%2e/%2e%2e/secret.txt'])
      await assert.rejects(nfs(uri), code('REFUSED', /leads out of/), uri);
    await symlink(home, join(mount, 'out'));
    await assert.rejects(nfs('nfs://h/out'), code('REFUSED'));
    await assert.rejects(nfs('nfs://h/out/secret.txt'), code('REFUSED'));
    await rm(join(mount, 'out'));
  });

  test('a mount that is not there is told by its place', async () => {
    for (const [resolver, uri, pattern] of [
      [phfsFromEnv({}), 'phfs:///m', /phfs is not mounted at \/phfs .*MODEL_FETCH_PHFS=/],
      [nfsFromEnv({}), 'nfs://h/m', /nfs is not mounted at \/nfs .*MODEL_FETCH_NFS=/],
    ] as const)
      await assert.rejects(resolver.resolve(parseRef(uri), context), code('NOT_FOUND', pattern));
  });

  test('each has its form', async () => {
    for (const uri of ['nfs:///to/m', 'nfs:to/m'])
      await assert.rejects(nfs(uri), code('INVALID_URI', /Write nfs:\/\/host\/path/), uri);
    const phfs = phfsFromEnv({ MODEL_FETCH_PHFS: mount });
    for (const uri of ['phfs://to/m', 'phfs:to/m'])
      await assert.rejects(phfs.resolve(parseRef(uri), context), code('INVALID_URI'), uri);
  });

  test('explain says where it looks', async () => {
    const explained = await nfsFromEnv({}).explain!(parseRef('nfs://h/to/m'), context);
    assert.deepEqual(explained.parts, { host: 'h', path: '/to/m', mount: '/nfs' });
  });
});
