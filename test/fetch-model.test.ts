/** Archives through the library: told by name and content, unpacked while they arrive, checked as a whole. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { explainModel, fetchModel, listModel, type Entry, ResolverRegistry } from '../src/index.ts';
import { directory, symlink, tar, zip } from './support/archives.ts';
import {
  bodyGets,
  fails,
  httpScene,
  KEEP,
  large,
  noise,
  onlyManifestRemains,
  s3Scene,
  sha256,
  treeFrom,
  treeOf,
  write,
  type Files,
} from './publish/scene.ts';

const MIB = 1024 * 1024;

const FILES: Files = {
  'config.json': '{"a":1}',
  'weights/part-1.bin': noise(700_000),
  'weights/part-2.bin': noise(300_000, 2),
  empty: '',
};

function tarOf(files: Files): Buffer {
  return tar(...Object.entries(files).map(([name, content]) => ({ name, content })));
}

function zipOf(files: Files): Buffer {
  return zip(Object.entries(files).map(([name, content]) => ({ name, content })));
}

/** `bytes` packed by a program of this machine; undefined where it is not there. */
function packedBy(program: string, bytes: Buffer): Buffer | undefined {
  const { status, stdout } = spawnSync(program, ['-c'], { input: bytes, maxBuffer: 64 * MIB });
  return status === 0 ? stdout : undefined;
}

const FORMATS: Record<string, (files: Files) => Buffer | undefined> = {
  tar: tarOf,
  'tar.gz': (files) => gzipSync(tarOf(files)),
  tgz: (files) => gzipSync(tarOf(files)),
  'tar.zst': (files) => zstdCompressSync(tarOf(files)),
  'tar.bz2': (files) => packedBy('bzip2', tarOf(files)),
  'tar.xz': (files) => packedBy('xz', tarOf(files)),
  zip: zipOf,
};

describe('an archive that is the whole model', () => {
  for (const [format, pack] of Object.entries(FORMATS)) {
    for (const scheme of ['http', 's3'] as const) {
      test(`${format} over ${scheme}, through a connection that breaks`, async (t) => {
        const bytes = pack(FILES);
        if (!bytes) return t.skip('the program that packs it is not here');
        const scene = await s3Scene(t);
        const { http } = await httpScene(t);
        const name = `model.${format}`;
        const uri = scheme === 's3' ? `s3://models/m/${name}` : http.put(`/${name}`, bytes);
        if (scheme === 's3') scene.s3.put('models', `m/${name}`, bytes, { checksums: ['sha256'] });
        http.faults.push({ kind: 'cut', after: 200_000, skip: 1, times: 1 });
        let gets = 0;
        scene.trouble = ({ method, key }) =>
          method === 'GET' && key !== '' && ++gets === 1 ? { dropAfter: 200_000 } : undefined;
        const checksum = `sha256:${sha256(bytes)}` as const;
        const result = await scene.fetch(uri, { checksum });
        assert.deepEqual(treeOf(scene.dest), treeFrom(FILES));
        assert.equal(result.files, 4);
        assert.equal(result.verified['sha256'], 1);
        onlyManifestRemains(scene.dest);
        scene.gets();
        const before = bodyGets(http).length;
        assert.equal((await scene.fetch(uri, { checksum })).unchanged, true);
        assert.equal(scene.gets().length + bodyGets(http).length - before, 0);
      });
    }
  }

  test('larger than the pieces it is read in, with pieces that break', async (t) => {
    const scene = await s3Scene(t);
    const files = { 'a.bin': large(17 * MIB), 'b.bin': large(9 * MIB, 2) };
    scene.s3.put('models', 'm/model.tar', tarOf(files), { checksums: ['crc64nvme'] });
    let gets = 0;
    scene.trouble = ({ method, key }) =>
      method === 'GET' && key !== '' && ++gets % 3 === 0 ? { dropAfter: MIB } : undefined;
    const result = await scene.fetch('m');
    assert.deepEqual(treeOf(scene.dest), treeFrom(files));
    assert.equal(result.verified['crc64nvme'], 1);
    assert.ok(result.retries > 0);
  });

  for (const name of ['model.tar.gz', 'model.zip'] as const) {
    test(`${name} with a wrong digest publishes nothing`, async (t) => {
      const scene = await s3Scene(t);
      const bytes = name.endsWith('zip') ? zipOf(FILES) : gzipSync(tarOf(FILES));
      const stated = { crc32c: Buffer.alloc(4, 1).toString('base64') };
      scene.s3.put('models', `m/${name}`, bytes, { stated });
      await fails(scene.fetch('m'), 'DIGEST_MISMATCH', /crc32c/);
      await fails(scene.fetch(`s3://models/m/${name}`), 'DIGEST_MISMATCH', /crc32c/);
      assert.equal(existsSync(scene.dest), false);
    });
  }

  test('is checked against a digest that only its location knows', async (t) => {
    const { http, dest } = await httpScene(t);
    for (const [what, hex] of [
      ['DIGEST_MISMATCH', sha256('other')],
      [undefined, sha256(tarOf(FILES))],
    ] as const) {
      const url = http.put('/model.tar', tarOf(FILES));
      const registry = new ResolverRegistry([], {}).register({
        name: 'test',
        schemes: ['test'],
        form: 'test://',
        load: async () => ({
          resolve: async () => ({
            uri: 'test://x',
            async *list() {
              yield { path: 'model.tar', size: tarOf(FILES).length, version: '1' };
            },
            locate: async () => ({ kind: 'http', url, headers: {}, digests: [`sha256:${hex}`] }),
          }),
        }),
      });
      const fetching = fetchModel('test://x', dest, { ...KEEP, registry });
      if (what) await fails(fetching, what);
      else assert.equal((await fetching).verified['sha256'], 1);
    }
    assert.deepEqual(treeOf(dest), treeFrom(FILES));
  });

  test('is fetched as it is when that is asked for, and unpacked when it is not any more', async (t) => {
    const scene = await s3Scene(t);
    const bytes = gzipSync(tarOf(FILES));
    scene.model('m', { 'model.tar.gz': bytes });
    await scene.fetch('m', { unpack: 'never' });
    assert.deepEqual(treeOf(scene.dest), treeFrom({ 'model.tar.gz': bytes }));
    assert.equal((await scene.fetch('m', { unpack: 'never' })).unchanged, true);
    await scene.fetch('m');
    assert.deepEqual(treeOf(scene.dest), treeFrom(FILES));
    await scene.fetch('m', { unpack: 'never' });
    assert.deepEqual(treeOf(scene.dest), treeFrom({ 'model.tar.gz': bytes }));
  });

  test('one unpacked file that is damaged or lost has the archive fetched again', async (t) => {
    const scene = await s3Scene(t);
    scene.model('m', { 'model.tar.gz': gzipSync(tarOf(FILES)) });
    await scene.fetch('m');
    writeFileSync(join(scene.dest, 'config.json'), '{"a":2}');
    scene.gets();
    await scene.fetch('m');
    assert.equal(scene.gets().length, 1);
    assert.deepEqual(treeOf(scene.dest), treeFrom(FILES));
  });

  test('another archive replaces it whole: files, links and folders', async (t) => {
    const scene = await s3Scene(t);
    scene.model('a', {
      'm.tar': tar({ name: 'x', content: 'x' }, symlink('l', 'x'), { name: 'd/y', content: 'y' }),
    });
    scene.model('b', { 'm.tar': tar({ name: 'd', content: 'file' }, symlink('x', 'd')) });
    for (const name of ['a', 'b', 'a'] as const) {
      await scene.fetch(name);
      assert.deepEqual(
        treeOf(scene.dest),
        name === 'a' ? { x: 'x', l: '-> x', 'd/y': 'y' } : { d: 'file', x: '-> d' },
      );
    }
  });

  test('an empty folder of it stays while it does, and goes with it', async (t) => {
    const scene = await s3Scene(t);
    scene.model('a', { 'm.tar': tar(directory('1/'), { name: 'x', content: 'x' }) });
    scene.model('b', { y: 'y' });
    await scene.fetch('a');
    assert.deepEqual(treeOf(scene.dest), { 1: '/', x: 'x' });
    await fetchModel(['s3://models/a/', 's3://models/b/'], scene.dest, scene.options);
    assert.deepEqual(treeOf(scene.dest), { 1: '/', x: 'x', y: 'y' });
    await scene.fetch('b');
    assert.deepEqual(treeOf(scene.dest), { y: 'y' });
  });

  test('an empty folder of it where something foreign is: a conflict, not half a model', async (t) => {
    const scene = await s3Scene(t);
    scene.model('m', { 'm.tar': tar(directory('cache/'), { name: 'x', content: 'x' }) });
    write(scene.dest, { cache: 'a file' });
    await fails(scene.fetch('m'), 'CONFLICT', /cache/);
    assert.deepEqual(treeOf(scene.dest, true), { cache: 'a file' });
  });

  test('a foreign file in its way is a conflict, and nothing changes', async (t) => {
    const scene = await s3Scene(t);
    scene.model('m', { 'm.zip': zipOf(FILES) });
    write(scene.dest, { 'config.json': 'mine' });
    await fails(scene.fetch('m'), 'CONFLICT', /config\.json/);
    assert.deepEqual(treeOf(scene.dest, true), { 'config.json': 'mine' });
  });
});

describe('what is an archive, and what is not', () => {
  test('two archives are not unpacked', async (t) => {
    const scene = await s3Scene(t);
    const files = { 'a.tar': tarOf({ a: 'a' }), 'b.tar': tarOf({ b: 'b' }) };
    scene.model('m', files);
    await scene.fetch('m');
    assert.deepEqual(treeOf(scene.dest), treeFrom(files));
  });

  test('called .tar.gz and being a zip, or the other way round', async (t) => {
    const scene = await s3Scene(t);
    scene.model('a', { 'm.tar.gz': zipOf(FILES) });
    scene.model('b', { 'm.zip': gzipSync(tarOf(FILES)) });
    scene.model('c', { 'm.tar.gz': tarOf(FILES) });
    for (const name of ['a', 'b', 'c']) {
      await scene.fetch(name);
      assert.deepEqual(treeOf(scene.dest), treeFrom(FILES));
    }
  });

  test('a sole file without extension that is a tar', async (t) => {
    const scene = await s3Scene(t);
    const files = { 'bert/config.json': '{}', 'bert/x': 'x', y: 'y' };
    scene.s3.put('models', 'bert', tarOf(files));
    await scene.fetch('s3://models/bert');
    assert.deepEqual(treeOf(scene.dest), treeFrom(files));
    scene.gets();
    assert.equal((await scene.fetch('s3://models/bert')).unchanged, true);
    assert.equal(scene.gets().length, 0);
    onlyManifestRemains(scene.dest);
  });

  test('a checkpoint that is a zip, and a sole file that is none at all, stay what they are', async (t) => {
    const scene = await s3Scene(t);
    for (const name of ['model.pt', 'model.npz', 'model.gz', 'model']) {
      const bytes = name === 'model.gz' ? gzipSync('x') : zipOf({ x: 'x' });
      scene.s3.put('models', `${name}/${name}`, bytes);
      await scene.fetch(`s3://models/${name}/${name}`);
      assert.deepEqual(treeOf(scene.dest), treeFrom({ [name]: bytes }));
    }
  });

  test('named like an archive and being an error page: refused, nothing published', async (t) => {
    const scene = await s3Scene(t);
    for (const name of ['m.tar.gz', 'm.zip']) {
      scene.s3.put('models', `bad/${name}`, '<html>please log in</html>');
      const error = await fails(scene.fetch(`s3://models/bad/${name}`), 'BAD_ARCHIVE', /HTML/);
      assert.equal(error.exitStatus, 16);
    }
    assert.equal(existsSync(scene.dest), false);
  });

  test('a broken or hostile archive leaves everything as it was', async (t) => {
    const scene = await s3Scene(t);
    scene.model('good', { x: 'x' });
    await scene.fetch('good');
    const before = treeOf(scene.dest, true);
    const whole = gzipSync(tarOf(FILES));
    const bad: [string, Buffer][] = [
      ['m.tar.gz', whole.subarray(0, whole.length - 1000)],
      ['m.tar', tar({ name: '../escape', content: 'x' })],
      ['m.tar', tar({ name: '.model-fetch/manifest.jsonl', content: 'x' })],
      ['m.tar', tar(symlink('l', '/etc'), { name: 'l/x', content: 'x' })],
      ['m.zip', zip([{ name: '../escape', content: 'x' }])],
    ];
    for (const [name, bytes] of bad) {
      scene.model('bad', { [name]: bytes });
      const error = await scene.fetch('bad').then(
        () => assert.fail(`${name} was published`),
        (thrown: unknown) => thrown as { exitStatus: number },
      );
      assert.equal(error.exitStatus, 16);
      assert.deepEqual(treeOf(scene.dest, true), before);
    }
    assert.equal(existsSync(join(scene.root, 'escape')), false);
  });
});

describe('an archive beside another source', () => {
  test('its files and those of the other become one target; a collision is found, also the next time', async (t) => {
    const scene = await s3Scene(t);
    scene.model('a', { 'm.tar': tarOf({ x: 'x', 'd/y': 'y' }) });
    scene.model('b', { z: 'z' });
    const uris = ['s3://models/a/', 's3://models/b/'];
    await fetchModel(uris, scene.dest, scene.options);
    assert.deepEqual(treeOf(scene.dest), { x: 'x', 'd/y': 'y', z: 'z' });
    assert.equal((await fetchModel(uris, scene.dest, scene.options)).unchanged, true);
    scene.s3.put('models', 'b/x', 'another x');
    await fails(fetchModel(uris, scene.dest, scene.options), 'CONFLICT', /: x:/);
    assert.deepEqual(treeOf(scene.dest), { x: 'x', 'd/y': 'y', z: 'z' });
  });
});

describe('looking without fetching', () => {
  test('lists what would be fetched, after the filters', async (t) => {
    const scene = await s3Scene(t);
    scene.model('m', { a: 'a', 'b.bin': 'b' });
    const entries: Entry[] = [];
    for await (const entry of listModel('s3://models/m/', { ...scene.options, exclude: ['*.bin'] }))
      entries.push(entry);
    assert.deepEqual(
      entries.map(({ path, size }) => [path, size]),
      [['a', 1]],
    );
    assert.equal(scene.gets().length, 0);
  });

  test('explains who would answer, and holds no secret', async (t) => {
    const scene = await s3Scene(t);
    const { registration, explanation } = await explainModel('s3://models/m/', scene.options);
    assert.ok(registration.schemes.includes('s3'));
    assert.doesNotMatch(JSON.stringify(explanation), /secret/);
  });
});

test('a target may be the source of another: its own record stays behind', async (t) => {
  const scene = await s3Scene(t);
  scene.model('m', { 'a/x': 'x', y: 'y' });
  await scene.fetch('m');
  const second = join(scene.root, 'second');
  await fetchModel(scene.dest, second);
  assert.deepEqual(treeOf(second), { 'a/x': 'x', y: 'y' });
  const third = join(scene.root, 'third');
  await fetchModel('pvc://filled', third, { env: { MODEL_FETCH_PVC: `filled=${scene.dest}` } });
  assert.deepEqual(treeOf(third), { 'a/x': 'x', y: 'y' });
});
