/** Which tree arrives, on every real store, held against KServe's where it has an answer. */
import assert from 'node:assert/strict';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { tarOf } from '../image/origin.ts';
import { assertTree, treeOf, type Case } from './scene.ts';
import { bytes, object, randomTree } from './trees.ts';
import { zipOf } from './zip.ts';

/** A random tree of this seed; half of them by a URI that ends in a slash. */
export function randomTreeCase(seed: string, index: number): Case {
  return {
    name: `random tree ${seed} arrives whole`,
    run: async (scene) => {
      const tree = randomTree(seed, { checksums: scene.server.kind.checksums === true });
      const { uri, stored } = await scene.bucket(tree, 'deep er/tree/');
      assert.ok(stored.length > tree.length / 2, 'the store refused most names');
      const source = `${uri}/deep er/tree${index % 2 ? '/' : ''}`;
      await scene.sameAsKServe(source, await scene.fetched(source, treeOf(stored)));
    },
  };
}

export const TREE_CASES: readonly Case[] = [
  {
    name: 'a prefix ends at a slash: neighbours stay away',
    run: async (scene) => {
      const inside = [object('a.bin', 1000), object('sub/b.bin', 2000)];
      const { bucket, uri } = await scene.bucket(inside, 'm/');
      await scene.put(bucket, '', [
        object('m-v2/a.bin', 10),
        object('m.txt', 10),
        object('mm/x', 10),
      ]);
      await scene.sameAsKServe(`${uri}/m`, await scene.fetched(`${uri}/m`, treeOf(inside)));
      await scene.sameAsKServe(`${uri}/m/`, await scene.fetched(`${uri}/m/`, treeOf(inside)));
    },
  },

  {
    name: 'a single object, and a whole bucket',
    run: async (scene) => {
      const all = [
        object('m/weights.bin', 300_000),
        object('m/weights.bin.index', 50),
        object('top.json', 20),
      ];
      const { uri } = await scene.bucket(all);
      const one = `${uri}/m/weights.bin`;
      await scene.sameAsKServe(
        one,
        await scene.fetched(one, treeOf([object('weights.bin', 300_000, 'm/weights.bin')])),
      );
      for (const root of [uri, `${uri}/`])
        await scene.sameAsKServe(root, await scene.fetched(root, treeOf(all)));
    },
  },

  {
    name: 'objects that are labelled as encoded are what was stored',
    needs: ({ scheme }) => scheme === 's3',
    run: async (scene) => {
      const tree = ['gzip', 'aws-chunked'].flatMap((encoding) => [
        { path: `${encoding}.json`, body: gzipSync(bytes(encoding, 500)), upload: { encoding } },
        { path: `${encoding}.bin`, body: bytes(encoding, 20 << 20), upload: { encoding } },
      ]);
      const { uri } = await scene.bucket(tree, 'm/');
      await scene.sameAsKServe(`${uri}/m`, await scene.fetched(`${uri}/m`, treeOf(tree)));
    },
  },

  {
    name: 'a model that is one archive is unpacked, by its folder and by its name',
    run: async (scene) => {
      const files = {
        'config.json': Buffer.from('{}'),
        '1/model.bin': bytes('packed', 400_000),
        '1/empty': Buffer.alloc(0),
      };
      const tar = tarOf(files);
      const packed = {
        'model.tar.gz': gzipSync(tar),
        'model.zip': zipOf(files),
        'model.tar.zst': zstdCompressSync(tar),
      };
      const expected = new Map(Object.entries(files));
      const { bucket, uri } = await scene.bucket([]);
      for (const [name, body] of Object.entries(packed)) {
        await scene.put(bucket, `${name}.d/`, [{ path: name, body }]);
        const source = `${uri}/${name}.d/${name}`;
        await scene.sameAsKServe(source, await scene.fetched(source, expected));
        await scene.fetched(`${uri}/${name}.d/`, expected);
        await scene.fetched(source, new Map([[name, body]]), { flags: ['--unpack', 'never'] });
      }
    },
  },

  {
    name: 'empty files are a model too',
    run: async (scene) => {
      const empties = [object('__init__.py', 0), object('pkg/__init__.py', 0)];
      const { uri } = await scene.bucket(empties, 'e/');
      await scene.sameAsKServe(`${uri}/e`, await scene.fetched(`${uri}/e`, treeOf(empties)));
    },
  },

  {
    name: 'more objects than one page lists',
    run: async (scene) => {
      const many = Array.from({ length: 1105 }, (_, index) =>
        object(`${String(index % 7)}/f${String(index)}`, index % 50),
      );
      const { uri, stored } = await scene.bucket(many, 'm/');
      assert.equal(stored.length, many.length);
      await scene.fetched(`${uri}/m`, treeOf(many));
    },
  },

  {
    name: 'names that differ by case alone both arrive',
    run: async (scene) => {
      const { uri, stored } = await scene.bucket(
        [object('Model.bin', 10), object('model.bin', 12)],
        'm/',
      );
      assert.equal(stored.length, 2);
      await scene.sameAsKServe(`${uri}/m`, await scene.fetched(`${uri}/m`, treeOf(stored)));
    },
  },

  {
    name: 'keys that cannot be files are refused, and nothing is published',
    needs: (kind) => kind.anyKey === true,
    run: async (scene) => {
      for (const key of [
        '../evil',
        'a//b',
        '/rooted',
        'a/../../b',
        'c/.',
        'tab\tname',
        'C:file',
        'back\\slash',
      ]) {
        const { uri, stored } = await scene.bucket([object('fine', 10), object(key, 10)], 'm/');
        if (stored.length < 2) continue;
        const ours = await scene.fetch(`${uri}/m`);
        assert.deepEqual([ours.status, ours.tree.size], [14, 0], `${key}\n${ours.stderr}`);
        await scene.sameAsKServe(`${uri}/m`, ours);
      }
      const { uri } = await scene.bucket([object('a', 10), object('a/b', 10)], 'm/');
      const { status, tree, stderr } = await scene.fetch(`${uri}/m`);
      assert.ok([14, 15].includes(status) && tree.size === 0, stderr);
    },
  },

  {
    name: 'the bundle of the image does the same',
    run: async (scene) => {
      const { uri, stored } = await scene.bucket(randomTree('bundle'), 'm/');
      const dest = scene.folder();
      const { status, stderr, tree } = await scene.bundle([`${uri}/m`, dest], dest);
      assert.equal(status, 0, stderr);
      assertTree(tree, treeOf(stored));
    },
  },
];
