/** How a run behaves on every real store: refusals, second runs, broken connections, sources that change or rot. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { treeOf, type Case } from './scene.ts';
import { SECRET_KEY } from './servers.ts';
import { object, type StoredObject } from './trees.ts';

const MIB = 1 << 20;
/** Listings, heads and error texts, with room to spare; far below any model here. */
const CONTROL_BYTES = 100_000;

export const CONDUCT_CASES: readonly Case[] = [
  {
    name: 'what is missing is said to be missing',
    run: async (scene) => {
      const { uri } = await scene.bucket([object('m/a', 10)]);
      await scene.refused(`${uri}/n`, 10);
      await scene.refused(`${uri}/m/a/b`, 10);
      await scene.refused(`${uri}/m/a/`, 10);
      await scene.refused(`${scene.scheme}://no-such-bucket-here/m`, 10);
    },
  },

  {
    name: 'a wrong secret, and no credentials, are refused as such',
    needs: (kind) => kind.authenticates === true,
    run: async (scene) => {
      const { uri } = await scene.bucket([object('m/a', 10)]);
      await scene.refused(`${uri}/m`, 11, {
        env: { ...scene.env, AWS_SECRET_ACCESS_KEY: `${SECRET_KEY}x` },
      });
      await scene.refused(`${uri}/m`, 11, {
        env: { ...scene.env, AWS_ACCESS_KEY_ID: 'nobodyatall' },
      });
      const { AWS_ENDPOINT_URL, AWS_REGION } = scene.env;
      const unsigned = {
        AWS_ENDPOINT_URL: AWS_ENDPOINT_URL!,
        AWS_REGION: AWS_REGION!,
        AWS_EC2_METADATA_DISABLED: 'true',
      };
      await scene.refused(`${uri}/m`, 11, { env: { ...unsigned, awsAnonymousCredential: 'true' } });
      await scene.refused(`${uri}/m`, 11, { env: unsigned });
    },
  },

  {
    name: 'a public bucket is read without credentials',
    needs: (kind) => kind.policies === true,
    run: async (scene) => {
      const { bucket, uri, stored } = await scene.bucket(
        [object('a', 10), object('b/c', 6 * MIB)],
        'm/',
      );
      await scene.store.makePublic(bucket);
      const { AWS_ENDPOINT_URL, AWS_REGION } = scene.env;
      const env = {
        AWS_ENDPOINT_URL: AWS_ENDPOINT_URL!,
        AWS_REGION: AWS_REGION!,
        AWS_EC2_METADATA_DISABLED: 'true',
      };
      await scene.fetched(`${uri}/m`, treeOf(stored), {
        env: { ...env, awsAnonymousCredential: 'true' },
      });
    },
  },

  {
    name: 'a second run downloads nothing, and repairs what was damaged',
    run: async (scene) => {
      const { uri, stored } = await scene.bucket(
        [object('a.bin', 3 * MIB), object('b/c.bin', MIB), object('d', 0)],
        'm/',
      );
      const dest = scene.folder();
      await scene.fetched(`${uri}/m`, treeOf(stored), { dest });
      scene.server.wire.reset();
      await scene.fetched(`${uri}/m`, treeOf(stored), { dest });
      assert.ok(
        scene.server.wire.received() < CONTROL_BYTES,
        `${String(scene.server.wire.received())} bytes came`,
      );
      writeFileSync(join(dest, 'b/c.bin'), 'damaged');
      scene.server.wire.reset();
      await scene.fetched(`${uri}/m`, treeOf(stored), { dest });
      const received = scene.server.wire.received();
      assert.ok(
        received > MIB && received < 2 * MIB,
        `${String(received)} bytes came for one file of 1 MiB`,
      );
    },
  },

  {
    name: 'a new model replaces the old one whole',
    run: async (scene) => {
      const old = [object('keep.bin', MIB), object('change.bin', MIB), object('gone/x.bin', 1000)];
      const { bucket, uri } = await scene.bucket(old, 'm/');
      const ours = scene.folder();
      const first = await scene.fetched(`${uri}/m`, treeOf(old), { dest: ours });
      const theirs = await scene.sameAsKServe(`${uri}/m`, first);
      await scene.remove(bucket, 'm/gone/x.bin');
      const now = [old[0]!, object('change.bin', MIB, 'other'), object('new.bin', 2000)];
      await scene.put(bucket, 'm/', now.slice(1));
      scene.server.wire.reset();
      const second = await scene.fetched(`${uri}/m`, treeOf(now), { dest: ours });
      assert.ok(scene.server.wire.received() < 1.5 * MIB, 'what had not changed came again');
      assert.equal(existsSync(join(ours, 'gone')), false);
      await scene.sameAsKServe(`${uri}/m`, second, { dest: theirs, before: first.tree });
    },
  },

  {
    name: 'a large object arrives in ranges, and over connections that break',
    run: async (scene) => {
      const big = object('big.bin', 48 * MIB);
      const { uri } = await scene.bucket([big], 'm/');
      await scene.fetched(`${uri}/m`, treeOf([big]));
      scene.server.wire.cut(2 * MIB, 5);
      try {
        await scene.fetched(`${uri}/m`, treeOf([big]));
        assert.ok(scene.server.wire.cuts() >= 3, 'nothing was cut: the case shows nothing');
      } finally {
        scene.server.wire.cut(Infinity, 0);
      }
    },
  },

  {
    name: 'an object that changes while it is read is never a mixture',
    run: async (scene) => {
      const [old, fresh] = [object('w.bin', 12 * MIB, 'old'), object('w.bin', 12 * MIB, 'fresh')];
      const { bucket, uri } = await scene.bucket([old], 'm/');
      scene.server.wire.reset();
      const running = scene.fetch(`${uri}/m`, {
        flags: ['--limit-rate', '4Mi', '--concurrency', '4'],
      });
      for (let waited = 0; scene.server.wire.received() < 2 * MIB && waited < 200; waited += 1)
        await sleep(50);
      await scene.put(bucket, 'm/', [fresh]);
      const { status, tree, stderr } = await running;
      if (status === 0)
        assert.ok(
          [old, fresh].some(({ body }) => tree.get('w.bin')?.equals(body)),
          'a mixture was published',
        );
      else assert.deepEqual([status, tree.size], [13, 0], stderr);
    },
  },

  {
    name: 'bytes that rotted in the store are noticed by its own checksums',
    needs: (kind) => kind.file !== undefined,
    run: async (scene) => {
      const sound: StoredObject = { ...object('w.bin', MIB), upload: { algorithm: 'CRC64NVME' } };
      const { bucket, uri } = await scene.bucket([sound], 'm/');
      await scene.fetched(`${uri}/m`, treeOf([sound]));
      const file = scene.server.kind.file!(scene.server.folder, bucket, 'm/w.bin');
      const body = readFileSync(file);
      body[MIB / 2]! ^= 1;
      writeFileSync(file, body);
      await scene.refused(`${uri}/m`, 13);
    },
  },

  {
    name: 'an upload in parts is held against the checksums of its parts',
    needs: (kind) => kind.partChecksums === true,
    run: async (scene) => {
      for (const algorithm of ['CRC32', 'CRC32C', 'SHA1', 'SHA256'] as const) {
        const sound: StoredObject = {
          ...object('w.bin', 16 * MIB, algorithm),
          upload: { parts: 3, algorithm, type: 'COMPOSITE' },
        };
        const { uri } = await scene.bucket([sound], 'm/');
        const dest = scene.folder();
        await scene.fetched(`${uri}/m`, treeOf([sound]), { dest });
        const manifest = readFileSync(join(dest, '.model-fetch/manifest.jsonl'), 'utf8');
        const name = algorithm.toLowerCase();
        assert.match(manifest, new RegExp(`"against":\\["${name}:[0-9a-f]+-3"\\]`), algorithm);
      }
    },
  },

  {
    name: 'verify holds the target against the manifest',
    run: async (scene) => {
      const { uri, stored } = await scene.bucket([object('a.bin', 5000)], 'm/');
      const dest = scene.folder();
      await scene.fetched(`${uri}/m`, treeOf(stored), { dest });
      assert.equal((await scene.command(['verify', dest])).status, 0);
      writeFileSync(join(dest, 'a.bin'), Buffer.alloc(5000));
      const { status, stderr } = await scene.command(['verify', dest]);
      assert.equal(status, 13);
      assert.match(stderr, /a\.bin/);
    },
  },
];
