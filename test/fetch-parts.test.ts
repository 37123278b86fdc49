/** Models whose store has checksums of the parts they were uploaded in, and none of the whole. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { tar, zip, type ZipMember } from './support/archives.ts';
import {
  fails,
  large,
  noise,
  s3Scene,
  treeFrom,
  treeOf,
  type Files,
  type S3Scene,
} from './publish/scene.ts';

const MIB = 1024 * 1024;
const ALGORITHMS = ['crc32', 'crc32c', 'sha1', 'sha256'] as const;
const INSIDE: Files = { 'a.bin': noise(14 * MIB), 'dir/b.txt': 'b', 'z.bin': noise(9 * MIB, 2) };

function stored([name, content]: [string, string | Buffer]): ZipMember {
  const raw = Buffer.from(content);
  return { name, content: raw, method: 0, raw };
}

interface Form {
  readonly key: string;
  readonly bytes: Buffer;
  readonly tree: Files;
  /** A byte of which nothing but the checksums of the store can tell that it is wrong: one of a time, in an archive. */
  readonly mute?: number;
}

/** The forms in which a model may come. */
const FORMS: Readonly<Record<string, Form>> = {
  'a file': { key: 'w.bin', bytes: large(23 * MIB), tree: { 'w.bin': large(23 * MIB) } },
  'a file of one GET': { key: 'w.bin', bytes: large(9 * MIB), tree: { 'w.bin': large(9 * MIB) } },
  'a tar': {
    key: 'm.tar',
    bytes: tar(...Object.entries(INSIDE).map(([name, content]) => ({ name, content }))),
    tree: INSIDE,
  },
  'a tar.gz': {
    key: 'm.tar.gz',
    bytes: gzipSync(tar(...Object.entries(INSIDE).map(([name, content]) => ({ name, content }))), {
      level: 1,
    }),
    tree: INSIDE,
    mute: 4,
  },
  'a zip': { key: 'm.zip', bytes: zip(Object.entries(INSIDE).map(stored)), tree: INSIDE, mute: 10 },
  'a zip of one GET': {
    key: 'm.zip',
    bytes: zip([stored(['a.bin', noise(9 * MIB)])]),
    tree: { 'a.bin': noise(9 * MIB) },
    mute: 10,
  },
};

/** Sizes that fall together with nothing. */
const PARTS = [5 * MIB + 1, 3 * MIB, 777_777];

function put(scene: S3Scene, key: string, bytes: Buffer, name: (typeof ALGORITHMS)[number]): void {
  scene.s3.put('models', `m/${key}`, bytes, { parts: PARTS, checksums: [name] });
}

describe('parts of a model', () => {
  for (const [form, { key, bytes, tree, mute }] of Object.entries(FORMS))
    for (const name of ALGORITHMS) {
      test(`${form}: each has the ${name} it should, and the manifest says so`, async (t) => {
        const scene = await s3Scene(t);
        put(scene, key, bytes, name);
        const result = await scene.fetch('m');
        assert.deepEqual(treeOf(scene.dest), treeFrom(tree));
        assert.deepEqual(result.verified, { [name]: 1 });
        const manifest = readFileSync(join(scene.dest, '.model-fetch/manifest.jsonl'), 'utf8');
        assert.match(manifest, new RegExp(`"against":\\["${name}:[0-9a-f]+-4"\\]`));
        assert.equal((await scene.fetch('m')).unchanged, true);
      });

      test(`${form}: one wrong byte is told by the ${name} of its part`, async (t) => {
        const scene = await s3Scene(t);
        // The store keeps this memory: what it stated stays as it was.
        const rotten = Buffer.from(bytes);
        put(scene, key, rotten, name);
        rotten[mute ?? 5 * MIB + 100_001]! ^= 4;
        const error = await fails(
          scene.fetch('m'),
          'DIGEST_MISMATCH',
          new RegExp(`: ${name} should be `),
        );
        const where = mute === undefined ? '2 of 4' : '1 of 4';
        assert.ok(error.message.startsWith(`part ${where} of ${key}, bytes `), error.message);
        assert.equal(existsSync(scene.dest), false);
      });
    }

  test('are checked where the store ignores ranges', async (t) => {
    const scene = await s3Scene(t);
    const bytes = large(23 * MIB);
    scene.trouble = ({ method }) => (method === 'GET' ? { range: 'whole' } : undefined);
    put(scene, 'w.bin', bytes, 'crc32');
    assert.deepEqual((await scene.fetch('m')).verified, { crc32: 1 });
    const rotten = large(23 * MIB, 2);
    put(scene, 'w.bin', rotten, 'sha1');
    rotten[10]! ^= 1;
    await fails(scene.fetch('m'), 'DIGEST_MISMATCH', /^part 1 of 4 /);
  });

  test('are checked beside the checksum that somebody asks for', async (t) => {
    const scene = await s3Scene(t);
    const bytes = large(23 * MIB);
    put(scene, 'w.bin', bytes, 'crc32');
    const checksum = 'crc64nvme:0000000000000000';
    await fails(scene.fetch('m', { checksum }), 'DIGEST_MISMATCH', /crc64nvme should be 0{16}/);
  });

  test('of ranges that an interrupted run has left are checked too', async (t) => {
    const scene = await s3Scene(t);
    const bytes = large(40 * MIB);
    put(scene, 'w.bin', bytes, 'crc32c');
    scene.trouble = ({ headers }) =>
      Number(/\d+/.exec(headers['range'] ?? '')?.[0] ?? 0) > 20 * MIB
        ? { dropAfter: 0 }
        : undefined;
    await fails(scene.fetch('m', { attempts: 1 }), 'UNAVAILABLE');
    scene.trouble = undefined;
    scene.gets();
    const result = await scene.fetch('m');
    assert.deepEqual(treeOf(scene.dest), treeFrom({ 'w.bin': bytes }));
    assert.deepEqual(result.verified, { crc32c: 1 });
    assert.ok(result.fetchedBytes < bytes.length, 'nothing was left to go on from');
  });
});
