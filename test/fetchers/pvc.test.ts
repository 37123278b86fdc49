import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { ModelFetchError, type ErrorCode } from '../../src/errors.ts';
import type { ResolveContext, Resolver } from '../../src/fetcher.ts';
import { fromEnv, pvc } from '../../src/fetchers/pvc.ts';
import { parseRef } from '../../src/ref.ts';
import { testResolver, type Files, type Harness } from '../../src/testing/index.ts';

const context = { signal: new AbortController().signal } as unknown as ResolveContext;

async function paths(resolver: Resolver, uri: string): Promise<string[]> {
  const fetcher = await resolver.resolve(parseRef(uri), context);
  return (await Array.fromAsync(fetcher.list())).map((entry) => entry.path);
}

function code(expected: ErrorCode, pattern = /./): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof ModelFetchError, String(error));
    assert.equal(error.code, expected, error.message);
    assert.match(`${error.message} ${error.hint ?? ''}`, pattern);
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
  const claim = await mkdtemp(join(tmpdir(), 'model-fetch-pvc-'));
  const model = join(claim, 'models', 'm');
  return {
    resolver: fromEnv({ MODEL_FETCH_PVC: `other=/nowhere, store=${claim}` }),
    uri: 'pvc://store/models/m',
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
      await writeTree(claim, { [name]: bytes });
      return `pvc://store/${name}`;
    },
    rootUri: 'pvc://store',
    missingUri: 'pvc://store/nothing',
    denied: { uri: 'pvc://store/../x' },
    twoPages: 70,
    close: () => rm(claim, { recursive: true, force: true }),
  };
}

testResolver('pvc', makeHarness, {
  except: {
    'says UNAUTHENTICATED or PERMISSION_DENIED to whom the source turns away':
      'the mount decides, see file-permissions.test.ts',
    'stops at once when the source has gone silent': 'there is no server',
  },
});

suite('pvc', () => {
  let home: string;
  let claim: string;
  before(async () => {
    home = await mkdtemp(join(tmpdir(), 'model-fetch-pvc-'));
    claim = join(home, 'claim');
    await writeTree(home, { 'secret.txt': Buffer.from('not of the claim') });
    await writeTree(claim, { 'm/a.bin': Buffer.from('a'), 'blobs/b': Buffer.from('b') });
  });
  after(() => rm(home, { recursive: true, force: true }));
  const mapped = () => fromEnv({ MODEL_FETCH_PVC: `store=${claim}` });

  for (const uri of [
    'pvc://store/../secret.txt',
    'pvc://store/m/../../secret.txt',
    'pvc://store/%2e%2e/secret.txt',
    'pvc://store/m%2f..%2f..%2fsecret.txt',
    'pvc://store/..',
  ])
    test(`refuses ${uri}`, async () => {
      await assert.rejects(paths(mapped(), uri), code('REFUSED', /leads out of the claim store/));
    });

  test('refuses links that leave the claim: at the root, on the way, and inside', async () => {
    await symlink(home, join(claim, 'out'));
    await assert.rejects(paths(mapped(), 'pvc://store/out'), code('REFUSED'));
    await assert.rejects(paths(mapped(), 'pvc://store/out/secret.txt'), code('REFUSED'));
    await rm(join(claim, 'out'));
    await mkdir(join(claim, 'linked'));
    await symlink('../../secret.txt', join(claim, 'linked', 'x'));
    await assert.rejects(paths(mapped(), 'pvc://store/linked'), code('REFUSED', /linked\/x/));
    await rm(join(claim, 'linked'), { recursive: true });
  });

  test('follows links that stay in the claim, even out of the folder that was named', async () => {
    await mkdir(join(claim, 'snapshot'), { recursive: true });
    await symlink('../blobs/b', join(claim, 'snapshot', 'weights.bin'));
    const fetcher = await mapped().resolve(parseRef('pvc://store/snapshot'), context);
    const [entry] = await Array.fromAsync(fetcher.list());
    assert.equal(entry?.path, 'weights.bin');
    assert.deepEqual(await fetcher.locate(entry), { kind: 'file', path: join(claim, 'blobs/b') });
    await rm(join(claim, 'snapshot'), { recursive: true });
  });

  test('takes the first usual mount that exists, as ModelMesh and KServe have them', async () => {
    const places = (name: string) => [
      join(home, 'mnt', name),
      join(home, 'pvc_mounts', name),
      claim,
    ];
    const resolver = pvc({ usualMounts: places });
    assert.deepEqual(await paths(resolver, 'pvc://store/m'), ['a.bin']);
    await writeTree(home, { 'pvc_mounts/store/m/mesh.bin': Buffer.from('m') });
    assert.deepEqual(await paths(resolver, 'pvc://store/m'), ['mesh.bin']);
    await writeTree(home, { 'mnt/store/m/own.bin': Buffer.from('m') });
    assert.deepEqual(await paths(resolver, 'pvc://store/m'), ['own.bin']);
  });

  test('says where it looked for a claim, and how to say where it is', async () => {
    await assert.rejects(
      paths(fromEnv({}), 'pvc://no-such-claim/m'),
      code(
        'NOT_FOUND',
        /\/mnt\/pvc\/no-such-claim, nor at \/pvc_mounts\/no-such-claim, nor at \/mnt\/pvc .*--pvc no-such-claim=\/path/,
      ),
    );
  });

  test('does not look elsewhere for a claim it was told about', async () => {
    const resolver = fromEnv({ MODEL_FETCH_PVC: `store=${home}/gone` });
    await assert.rejects(paths(resolver, 'pvc://store/m'), code('NOT_FOUND', /gone/));
  });

  test('refuses what is not the name of a claim, and a mapping that is none', async () => {
    for (const uri of ['pvc://../m', 'pvc:///m', 'pvc://./m', 'pvc://a@b/m', 'pvc:m'])
      await assert.rejects(paths(mapped(), uri), code('INVALID_URI'), uri);
    assert.throws(() => fromEnv({ MODEL_FETCH_PVC: 'store' }), code('INVALID_OPTION', /store/));
  });

  test('has no revision, and says what it is without the mount', async () => {
    const fetcher = await mapped().resolve(parseRef('pvc://store/m/'), context);
    assert.equal(fetcher.revision, undefined);
    assert.equal(fetcher.uri, 'pvc://store/m');
  });

  test('explains where a claim is', async () => {
    const explained = await mapped().explain!(parseRef('pvc://store/m'), context);
    assert.deepEqual(explained.parts, { claim: 'store', path: '/m', mount: claim });
    const unknown = await fromEnv({}).explain!(parseRef('pvc://no-such-claim/m'), context);
    assert.match(unknown.parts['mount'] ?? '', /^none of \/mnt\/pvc/);
  });
});
