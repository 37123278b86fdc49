/** Zips through the library: read by ranges where there are ranges, never put on disk there, checked as a whole. */
import assert from 'node:assert/strict';
import { existsSync, globSync, readdirSync } from 'node:fs';
import { describe, test } from 'node:test';
import { zip, type ZipMember } from './support/archives.ts';
import {
  bodyGets,
  fails,
  httpScene,
  large,
  noise,
  onlyManifestRemains,
  s3Scene,
  sha256,
  treeFrom,
  treeOf,
  type Files,
} from './publish/scene.ts';

const MIB = 1024 * 1024;
const small = Object.fromEntries(
  Array.from({ length: 600 }, (_, at) => [
    `text/${String(at)}.txt`,
    `line ${String(at)}\n`.repeat(at),
  ]),
);
/** Two stretches: a stored member, deflated ones of all sizes, another stored one. */
const FILES: Files = {
  'a.bin': large(34 * MIB),
  'deflated.bin': large(3 * MIB, 2),
  ...small,
  empty: '',
  'z.bin': large(33 * MIB, 3),
};

function zipOf(files: Files): Buffer {
  return zip(
    Object.entries(files).map(([name, content]): ZipMember => {
      if (content.length < 4 * MIB) return { name, content };
      return { name, content, method: 0, raw: Buffer.from(content) };
    }),
  );
}

const ZIP = zipOf(FILES);
/** One stretch. */
const SHORT_FILES: Files = { ...FILES, 'a.bin': large(12 * MIB), 'z.bin': large(5 * MIB, 3) };
const SHORT = zipOf(SHORT_FILES);

/** First and last byte of every range that was asked for; a plain GET is a range of everything. */
function ranges(
  requests: readonly { headers: Readonly<Record<string, string | undefined>> }[],
): [number, number][] {
  return requests.map(({ headers }) => {
    const [first = 0, last = Infinity] = (headers['range'] ?? '').match(/\d+/g)?.map(Number) ?? [];
    return [first, last];
  });
}

describe('a zip that is too large for memory', () => {
  test('is read by ranges, every byte once, and never put on disk', async (t) => {
    const scene = await s3Scene(t);
    scene.s3.put('models', 'm/model.zip', ZIP, { checksums: ['crc64nvme'] });
    const spools = new Set<string>();
    const result = await scene.fetch('m', {
      onEvent: () => {
        for (const path of globSync('.model-fetch/staging/**/archive-*', { cwd: scene.dest }))
          spools.add(path);
      },
    });
    assert.deepEqual(treeOf(scene.dest), treeFrom(FILES));
    assert.equal(result.verified['crc64nvme'], 1);
    assert.deepEqual([...spools], []);
    onlyManifestRemains(scene.dest);
    const asked = ranges(scene.gets());
    const total = asked.reduce((sum, [first, last]) => sum + last - first + 1, 0);
    // The first KiB says that it is a zip; the last 64 KiB where its directory is.
    assert.ok(total >= ZIP.length && total <= ZIP.length + 70_000, String(total));
    assert.ok(asked.every(([first, last]) => last - first < MIB));
  });

  test('comes through connections that break in the middle of members', async (t) => {
    const scene = await s3Scene(t);
    scene.s3.put('models', 'm/model.zip', ZIP, { checksums: ['crc32c'] });
    let gets = 0;
    scene.trouble = ({ method, key }) =>
      method === 'GET' && key !== '' && ++gets % 5 === 0 ? { dropAfter: 300_000 } : undefined;
    const result = await scene.fetch('m');
    assert.deepEqual(treeOf(scene.dest), treeFrom(FILES));
    assert.ok(result.retries > 0);
  });

  test('that never comes whole publishes nothing and leaves nothing behind', async (t) => {
    const scene = await s3Scene(t);
    scene.s3.put('models', 'm/model.zip', SHORT);
    scene.trouble = ({ headers }) =>
      Number(/\d+/.exec(headers['range'] ?? '')?.[0] ?? 0) > 8 * MIB ? { dropAfter: 0 } : undefined;
    await fails(scene.fetch('m', { attempts: 1 }), 'UNAVAILABLE');
    assert.equal(treeIsEmpty(scene.dest), true);
  });

  test('with a wrong digest, which only its last byte shows, publishes nothing', async (t) => {
    const scene = await s3Scene(t);
    const stated = { crc32c: Buffer.alloc(4, 1).toString('base64') };
    scene.s3.put('models', 'm/model.zip', SHORT, { stated });
    await fails(scene.fetch('m'), 'DIGEST_MISMATCH', /crc32c/);
    assert.equal(treeIsEmpty(scene.dest), true);
  });

  test('is read in order for a digest that needs it, and that is checked too', async (t) => {
    const scene = await s3Scene(t);
    scene.s3.put('models', 'm/model.zip', SHORT);
    const result = await scene.fetch('s3://models/m/model.zip', {
      checksum: `sha256:${sha256(SHORT)}`,
    });
    assert.deepEqual(treeOf(scene.dest), treeFrom(SHORT_FILES));
    assert.equal(result.verified['sha256'], 1);
    const wrong = { checksum: `sha256:${sha256('other')}` } as const;
    await fails(scene.fetch('s3://models/m/model.zip', wrong), 'DIGEST_MISMATCH', /sha256/);
    assert.deepEqual(treeOf(scene.dest), treeFrom(SHORT_FILES));
  });

  test('goes by the disk where the server has no ranges', async (t) => {
    const scene = await s3Scene(t);
    const { http } = await httpScene(t);
    const uri = http.put('/model.zip', SHORT);
    http.faults.push({
      kind: 'whole-for-range',
      on: ({ headers }) => headers['range'] !== 'bytes=0-0',
    });
    await scene.fetch(uri);
    assert.deepEqual(treeOf(scene.dest), treeFrom(SHORT_FILES));
    onlyManifestRemains(scene.dest);
  });

  test('is told by its content where its name says something else', async (t) => {
    const scene = await s3Scene(t);
    scene.s3.put('models', 'm/model.tar', SHORT);
    await scene.fetch('m');
    assert.deepEqual(treeOf(scene.dest), treeFrom(SHORT_FILES));
  });

  test('that is damaged somewhere is refused', async (t) => {
    const scene = await s3Scene(t);
    const bad = Buffer.from(SHORT);
    bad[14 * MIB]! ^= 1;
    scene.s3.put('models', 'm/model.zip', bad);
    await fails(scene.fetch('m'), 'BAD_ARCHIVE', /damaged/);
    assert.equal(treeIsEmpty(scene.dest), true);
  });

  test('ends at once when the run is interrupted', async (t) => {
    const scene = await s3Scene(t);
    scene.s3.put('models', 'm/model.zip', SHORT);
    const abort = new AbortController();
    scene.trouble = ({ headers }) =>
      Number(/\d+/.exec(headers['range'] ?? '')?.[0] ?? 0) > 8 * MIB ? { hang: true } : undefined;
    setTimeout(() => {
      abort.abort();
    }, 1500);
    const started = performance.now();
    await fails(scene.fetch('m', { signal: abort.signal }), 'ABORTED');
    assert.ok(performance.now() - started < 5000);
    assert.equal(treeIsEmpty(scene.dest), true);
  });
});

describe('a zip that fits into memory', () => {
  test('is one plain GET, whose answer brings its digest', async (t) => {
    const scene = await s3Scene(t);
    const { http } = await httpScene(t);
    const files = { ...small, 'a.bin': noise(MIB) };
    const bytes = zipOf(files);
    scene.s3.put('models', 'm/model.zip', bytes, { checksums: ['sha256'] });
    const result = await scene.fetch('m');
    assert.equal(result.verified['sha256'], 1);
    assert.equal(scene.gets().length, 1);
    assert.deepEqual(treeOf(scene.dest), treeFrom(files));
    await scene.fetch(http.put('/model.zip', bytes));
    assert.equal(bodyGets(http).length, 1);
  });
});

/** Nothing was published: at most what a next run may use is there. */
function treeIsEmpty(dest: string): boolean {
  return !existsSync(dest) || readdirSync(dest).every((name) => name === '.model-fetch');
}
