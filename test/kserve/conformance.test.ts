/**
 * What KServe's own tests hold its initializer to, and what was seen when it was run, as cases of ours: each is named after
 * KServe's test or behaviour. `≠` marks what ours does otherwise on purpose; docs/compat.md says why.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { suite, test } from 'node:test';
import { inProcess } from '../cli/host.ts';
import { startHttpServer } from '../servers/http.ts';
import { symlink, tar, zip, type TarMember } from '../support/archives.ts';
import { noteCase, testDocument } from './conformance-doc.ts';
import {
  blobs,
  cases,
  filesIn,
  MODEL,
  objects,
  served,
  TGZ,
  world,
  ZIP,
  type Case,
} from './conformance.ts';

cases('test_s3', [
  {
    name: 'parent_key',
    put: objects('bar/1', 'bar/2', 'bar/3'),
    uri: 's3://foo/bar',
    gives: ['1', '2', '3'],
  },
  { name: 'no_key', put: objects('a', 'b/c'), uri: 's3://foo/', gives: ['a', 'b/c'] },
  {
    name: 'no_key, without a slash',
    put: objects('a', 'b/c'),
    uri: 's3://foo',
    gives: ['a', 'b/c'],
  },
  {
    name: 'full_name_key',
    put: objects('path/to/model/name.pt'),
    uri: 's3://foo/path/to/model/name.pt',
    gives: ['name.pt'],
  },
  {
    name: 'full_name_key_root_bucket_dir',
    put: objects('name.pt'),
    uri: 's3://foo/name.pt',
    gives: ['name.pt'],
  },
  {
    name: 'multikey',
    put: objects('test/0002.h5', 'test/a/very/long/path/config.json'),
    uri: 's3://foo/test',
    gives: ['0002.h5', 'a/very/long/path/config.json'],
  },
  {
    name: 'target_startswith_parent_folder_name',
    put: objects('model/a/model.pkl', 'model/MLmodel'),
    uri: 's3://foo/model',
    gives: ['MLmodel', 'a/model.pkl'],
  },
  {
    name: 'target_download_path_and_name, with a slash',
    put: objects('model/model/model.pkl'),
    uri: 's3://foo/model/',
    gives: ['model/model.pkl'],
  },
  {
    name: 'file_name_preservation',
    put: objects('model/conda.yaml', 'model/model.pkl'),
    uri: 's3://foo/model',
    gives: ['conda.yaml', 'model.pkl'],
  },
  {
    name: 'files_with_no_extension',
    put: objects('test/churn-pickle', 'test/churn-pickle-logs', 'test/churn-pickle-report'),
    uri: 's3://foo/test/churn-pickle',
    gives: ['churn-pickle'],
  },
  {
    name: 'no_permission_buckets_error',
    put: objects('bar/1'),
    uri: 's3://foo/bar',
    env: { AWS_SECRET_ACCESS_KEY: 'wrong' },
    gives: 11,
  },
  {
    name: 'no_credentials_error',
    put: objects('bar/1'),
    uri: 's3://foo/bar',
    env: {
      AWS_ACCESS_KEY_ID: '',
      AWS_SECRET_ACCESS_KEY: '',
      AWS_EC2_METADATA_DISABLED: 'true',
    },
    gives: 11,
  },
  {
    name: 'invalid_endpoint_error',
    uri: 's3://foo/bar',
    env: { AWS_ENDPOINT_URL: 'minio:9000' },
    gives: 2,
  },
  {
    name: 'an endpoint where nobody listens',
    uri: 's3://foo/bar',
    env: { AWS_ENDPOINT_URL: 'http://127.0.0.1:1' },
    gives: 12,
  },
  { name: 'an empty prefix is an error', put: objects('other'), uri: 's3://foo/bar', gives: 10 },
  {
    name: 's3_allow_patterns',
    put: objects('m/a.bin', 'm/b.json'),
    uri: 's3://foo/m',
    env: { STORAGE_ALLOW_PATTERNS: '["*.json"]' },
    gives: ['b.json'],
  },
  {
    name: 's3_ignore_patterns',
    put: objects('m/a.bin', 'm/b.json'),
    uri: 's3://foo/m',
    env: { STORAGE_IGNORE_PATTERNS: '["*.json"]' },
    gives: ['a.bin'],
  },
  {
    name: 's3_no_patterns_downloads_all',
    put: objects('m/a.bin', 'm/b.json'),
    uri: 's3://foo/m',
    gives: ['a.bin', 'b.json'],
  },
  {
    name: 'exact_object_bypasses_filter',
    put: objects('m/a.bin'),
    uri: 's3://foo/m/a.bin',
    env: { STORAGE_ALLOW_PATTERNS: '*.json' },
    gives: ['a.bin'],
  },
]);

const patterns = (allow: string | undefined, ignore?: string) => ({
  ...(allow !== undefined && { STORAGE_ALLOW_PATTERNS: allow }),
  ...(ignore !== undefined && { STORAGE_IGNORE_PATTERNS: ignore }),
});
const chosen = (name: string, env: Record<string, string>, gives: Case['gives']): Case => ({
  name,
  put: objects('m/a.bin', 'm/b.json', 'm/sub/c.json'),
  uri: 's3://foo/m',
  env,
  gives,
});

cases('TestShouldDownload', [
  chosen('no patterns', {}, ['a.bin', 'b.json', 'sub/c.json']),
  chosen('allow', patterns('["*.bin"]'), ['a.bin']),
  chosen('several to allow', patterns('["*.bin", "b*"]'), ['a.bin', 'b.json']),
  chosen('ignore', patterns(undefined, '["*.bin"]'), ['b.json', 'sub/c.json']),
  chosen('several to ignore', patterns(undefined, '["*.bin", "b*"]'), ['sub/c.json']),
  chosen('allow, then ignore', patterns('["*.json"]', '["sub/*"]'), ['b.json']),
  chosen('a sub-folder: * crosses /', patterns('["*c.json"]'), ['sub/c.json']),
  chosen('the sub-folder itself', patterns('["sub/*"]'), ['sub/c.json']),
  chosen('empty lists choose everything', patterns('[]', '[]'), ['a.bin', 'b.json', 'sub/c.json']),
  chosen('nothing left is an error', patterns('["*.onnx"]'), 10),
]);

cases('TestParsePatterns', [
  chosen('unset, or empty', patterns('', ' '), ['a.bin', 'b.json', 'sub/c.json']),
  chosen('a JSON array', patterns('["*.bin", " "]'), ['a.bin']),
  chosen('a list with commas', patterns('*.bin, b.json'), ['a.bin', 'b.json']),
  chosen('one alone', patterns('*.bin'), ['a.bin']),
  chosen('a JSON string', patterns('"*.bin"'), ['a.bin']),
]);

cases('S3 as it was seen', [
  {
    name: '≠ neighbours of a prefix stay out',
    put: objects('model/a', 'model-v2/a', 'modelX'),
    uri: 's3://foo/model',
    gives: ['a'],
  },
  { name: '≠ half a name is none', put: objects('p/model.onnx'), uri: 's3://foo/p/mod', gives: 10 },
  {
    name: '≠ empty objects are kept',
    put: ({ s3 }) => {
      s3.put('foo', 'm/__init__.py', '');
      s3.put('foo', 'm/a', 'a');
    },
    uri: 's3://foo/m',
    gives: ['__init__.py', 'a'],
  },
  {
    name: 'markers of folders are left out',
    put: objects('m/', 'm/sub/', 'm/sub/a'),
    uri: 's3://foo/m',
    gives: ['sub/a'],
  },
  {
    name: '≠ a key with .. is refused',
    put: objects('m/a', 'm/../evil'),
    uri: 's3://foo/m',
    gives: 14,
  },
  {
    name: '≠ ? and # belong to the key',
    put: objects('m?v=1', 'm#x', 'm/a'),
    uri: 's3://foo/m?v=1',
    gives: ['m?v=1'],
  },
  {
    name: 'a file and a folder of one name are an error',
    put: objects('m/a', 'm/a/b'),
    uri: 's3://foo/m',
    gives: 15,
  },
  {
    name: 'the one archive is unpacked into the target, whatever its folder, and is gone',
    put: ({ s3 }) => {
      s3.put('foo', 'm/sub/a.tar.gz', gzipSync(tar({ name: 'x/model.pth', content: 'w' })));
    },
    uri: 's3://foo/m',
    gives: ['x/model.pth'],
  },
  {
    name: 'of two archives none is unpacked',
    put: objects('m/a.tar', 'm/b.zip'),
    uri: 's3://foo/m',
    gives: ['a.tar', 'b.zip'],
  },
  {
    name: 'the one archive that the patterns leave is unpacked',
    put: ({ s3 }) => {
      s3.put('foo', 'm/a.zip', zip([{ name: 'in.bin', content: 'w' }]));
      s3.put('foo', 'm/readme.md', 'r');
    },
    uri: 's3://foo/m',
    env: { STORAGE_IGNORE_PATTERNS: '*.md' },
    gives: ['in.bin'],
  },
  {
    name: '≠ .tar.zst is an archive',
    put: ({ s3 }) => {
      s3.put('foo', 'm/a.tar.zst', zstdCompressSync(tar({ name: 'w', content: 'w' })));
    },
    uri: 's3://foo/m',
    gives: ['w'],
  },
  {
    name: '≠ the scheme may be in capitals, or s3a',
    put: objects('m/a'),
    uri: 'S3A://foo/m',
    gives: ['a'],
  },
]);

cases('test_gcs', [
  { name: 'empty directory is an error', put: blobs('bar/'), uri: 'gs://foo/bar', gives: 10 },
  {
    name: 'directory',
    put: blobs('bar/', 'bar/mock.object'),
    uri: 'gs://foo/bar',
    gives: ['mock.object'],
  },
  {
    name: 'nested directory',
    put: blobs('bar/', 'bar/sub/mock.object', 'bar/sub/deep/x'),
    uri: 'gs://foo/bar/',
    gives: ['sub/deep/x', 'sub/mock.object'],
  },
  {
    name: 'single file',
    put: blobs('foo/bar/mock.object'),
    uri: 'gs://foo/foo/bar/mock.object',
    gives: ['mock.object'],
  },
  {
    name: 'zip file is unpacked and removed',
    put: ({ gcs }) => {
      gcs.put('foo', 'bar/m.zip', zip([{ name: 'm.bin', content: 'w' }]));
    },
    uri: 'gs://foo/bar/m.zip',
    gives: ['m.bin'],
  },
  {
    name: 'allow_patterns',
    put: blobs('bar/a.json', 'bar/b.bin', 'bar/sub/c.json'),
    uri: 'gs://foo/bar',
    env: { STORAGE_ALLOW_PATTERNS: '["*.json"]' },
    gives: ['a.json', 'sub/c.json'],
  },
  {
    name: 'ignore_patterns',
    put: blobs('bar/a.json', 'bar/b.bin', 'bar/sub/c.json'),
    uri: 'gs://foo/bar',
    env: { STORAGE_IGNORE_PATTERNS: '["*.json"]' },
    gives: ['b.bin'],
  },
  {
    name: 'no_patterns_downloads_all',
    put: blobs('bar/a.json', 'bar/b.bin'),
    uri: 'gs://foo/bar',
    gives: ['a.json', 'b.bin'],
  },
  {
    name: 'patterns, both',
    put: blobs('bar/a.json', 'bar/b.bin', 'bar/sub/c.json'),
    uri: 'gs://foo/bar',
    env: { STORAGE_ALLOW_PATTERNS: '*.json', STORAGE_IGNORE_PATTERNS: 'sub/*' },
    gives: ['a.json'],
  },
  {
    name: 'a single file bypasses them',
    put: blobs('bar/a.bin'),
    uri: 'gs://foo/bar/a.bin',
    env: { STORAGE_ALLOW_PATTERNS: '*.json' },
    gives: ['a.bin'],
  },
  { name: 'a bucket that is not there', uri: 'gs://nope/bar', gives: 10 },
  { name: 'no neighbours', put: blobs('bar/a', 'bar-v2/a'), uri: 'gs://foo/bar', gives: ['a'] },
  { name: '≠ a whole bucket', put: blobs('bar/a'), uri: 'gs://foo', gives: ['bar/a', 'elsewhere'] },
]);

cases('test_storage: http', [
  ...['', '?foo=bar'].flatMap((query): Case[] => [
    {
      name: `http_uri_path model.joblib${query}`,
      put: served('/model.joblib', 'x', 'application/octet-stream', query),
      gives: ['model.joblib'],
    },
    ...['application/x-tar', 'application/x-gtar', 'application/x-gzip', 'application/gzip'].map(
      (type): Case => ({
        name: `model.tar.gz${query} as ${type}`,
        put: served('/path/to/model.tar.gz', TGZ, type, query),
        gives: ['model.pth'],
      }),
    ),
    ...['application/x-zip-compressed', 'application/zip', 'application/zip-compressed'].map(
      (type): Case => ({
        name: `model.zip${query} as ${type}`,
        put: served('/path/to/model.zip', ZIP, type, query),
        gives: ['model.pth'],
      }),
    ),
  ]),
  ...['application/x-zip-compressed', 'application/zip', 'application/zip-compressed'].map(
    (type): Case => ({
      name: `download?path=/path/to/model.zip as ${type}`,
      put: served('/download', ZIP, type, '?path=/path/to/model.zip'),
      gives: ['model.pth'],
    }),
  ),
  {
    name: '≠ a path that ends in a slash: the file is called model',
    put: served('/path/to/test/', 'x', 'application/octet-stream'),
    gives: ['model'],
  },
  {
    name: '≠ model.zip as application/octet-stream',
    put: served('/model.zip', ZIP, 'application/octet-stream'),
    gives: ['model.pth'],
  },
  {
    name: '≠ model.txt as text/plain',
    put: served('/model.txt', 'x', 'text/plain'),
    gives: ['model.txt'],
  },
  {
    name: '≠ a type in mixed case',
    put: served('/model.bin', 'x', 'Application/Octet-Stream'),
    gives: ['model.bin'],
  },
  {
    name: '≠ model.tar.gz as application/zip: the content decides',
    put: served('/model.tar.gz', TGZ, 'application/zip'),
    gives: ['model.pth'],
  },
  {
    name: '≠ model.tar.gz as application/octet-stream',
    put: served('/model.tar.gz', TGZ, 'application/octet-stream'),
    gives: ['model.pth'],
  },
  {
    name: '≠ model.json as application/json, and without a type',
    put: served('/model.json', '{}', 'application/json'),
    gives: ['model.json'],
  },
  { name: '≠ without a type', put: served('/model.json', '{}'), gives: ['model.json'] },
  {
    name: '≠ p.pkl.gz stays what it is',
    put: served('/p.pkl.gz', gzipSync('p')),
    gives: ['p.pkl.gz'],
  },
  {
    name: 'a web page is no model',
    put: served('/model.zip', '<html></html>', 'text/html'),
    gives: 13,
  },
  { name: '404', put: ({ web }) => web.url('/nothing.zip'), gives: 10 },
  {
    name: '401',
    put: ({ web }) => {
      web.faults.push({ kind: 'status', status: 401 });
      return web.put('/a', 'a');
    },
    gives: 11,
  },
  {
    name: '≠ 503 is asked again',
    put: ({ web }) => {
      web.faults.push({ kind: 'status', status: 503, times: 1 });
      return web.put('/a', 'a');
    },
    gives: ['a'],
  },
  {
    name: '≠ a truncated body is read on, from there',
    put: ({ web }) => {
      web.faults.push({ kind: 'cut', after: 5, times: 2 });
      return web.put('/a', 'a'.repeat(100));
    },
    gives: ['a'],
  },
  {
    name: 'patterns do not apply',
    put: served('/a.bin', 'a'),
    env: { STORAGE_ALLOW_PATTERNS: '*.json' },
    gives: ['a.bin'],
  },
]);

/** A tar of an empty `model.pth`: nothing here compresses in these formats, so they are made by the tools. */
function fixture(name: 'm.tar.bz2' | 'm.tar.xz'): Buffer {
  const tool = name.endsWith('xz') ? 'xz' : 'bzip2';
  return execFileSync(tool, ['--stdout'], { input: tar(MODEL) });
}

const packed = (...members: TarMember[]) => served('/m.tar', tar(...members));

cases('archives as they were seen', [
  {
    name: 'one that is broken: an error, and ≠ nothing is left',
    put: served('/m.tar.gz', TGZ.subarray(0, 30)),
    gives: 16,
  },
  {
    name: '../evil in a tar: an error, and ≠ nothing is left',
    put: packed({ name: 'good', content: 'g' }, { name: '../evil', content: 'e' }),
    gives: 16,
  },
  {
    name: 'a link that leads out: an error, and ≠ nothing is left',
    put: packed({ name: 'good', content: 'g' }, symlink('out', '../../etc/passwd')),
    gives: 16,
  },
  {
    name: 'an absolute link: an error, and ≠ nothing is left',
    put: packed({ name: 'good', content: 'g' }, symlink('out', '/etc/passwd')),
    gives: 16,
  },
  {
    name: '≠ an absolute member of a tar is refused',
    put: packed({ name: '/abs.bin', content: 'e' }),
    gives: 16,
  },
  {
    name: '≠ an absolute member of a zip is refused',
    put: served('/m.zip', zip([{ name: '/abs.bin', content: 'e' }])),
    gives: 16,
  },
  {
    name: '≠ a link in a zip is refused',
    put: served(
      '/m.zip',
      zip([{ name: 'link', content: 'good', attributes: (0o120777 << 16) >>> 0 }]),
    ),
    gives: 16,
  },
  {
    name: '.tar.bz2 as application/x-tar',
    put: served('/m.tar.bz2', fixture('m.tar.bz2'), 'application/x-tar'),
    gives: ['model.pth'],
  },
  {
    name: '.tar.xz as application/x-tar',
    put: served('/m.tar.xz', fixture('m.tar.xz'), 'application/x-tar'),
    gives: ['model.pth'],
  },
  { name: 'a FIFO: an error', put: packed({ name: 'pipe', type: '6' }), gives: 16 },
  {
    name: '≠ ../evil.bin in a zip is refused',
    put: served('/m.zip', zip([{ name: '../evil.bin', content: 'e' }])),
    gives: 16,
  },
  {
    name: 'a link that stays inside is kept',
    put: packed({ name: 'a', content: 'a' }, symlink('b', 'a')),
    gives: ['a', 'b'],
  },
]);

cases('test_storage: local', [
  ...['file:///', '/', '.'].map((uri): Case => ({
    name: `≠ local_path ${uri} without a destination is a usage error`,
    words: [uri],
    gives: 2,
  })),
  ...(['model.tgz', 'model.zip'] as const).map((name): Case => ({
    name: name.endsWith('zip') ? 'unpack_zip_file' : 'unpack_tar_file',
    put: async ({ home }) => {
      await writeFile(join(home, name), name.endsWith('zip') ? ZIP : TGZ);
      return `file://${home}/${name}`;
    },
    gives: ['model.pth'],
  })),
  { name: 'local_path_exception', uri: 'file:///nonexistent/model', gives: 10 },
  {
    name: 'local_path_with_out_dir_not_exist',
    put: async ({ home }) => {
      await mkdir(join(home, 'src'));
      await writeFile(join(home, 'src', 'a'), 'a');
      return `file://${home}/src`;
    },
    gives: ['a'],
  },
  {
    name: 'local_path_with_out_dir_exist',
    put: async ({ home }) => {
      await mkdir(join(home, 'mnt', 'models'), { recursive: true });
      await mkdir(join(home, 'src'));
      await writeFile(join(home, 'src', 'a'), 'a');
      return `file://${home}/src`;
    },
    gives: ['a'],
  },
  {
    name: '≠ a claim by its URI, a folder of it',
    put: async ({ home }) => {
      await mkdir(join(home, 'claim', 'sub'), { recursive: true });
      await writeFile(join(home, 'claim', 'sub', 'a'), 'a');
      return { uri: 'pvc://models/sub', env: { MODEL_FETCH_PVC: `models=${join(home, 'claim')}` } };
    },
    gives: ['a'],
  },
  {
    name: 'a claim that is not mounted is an error',
    uri: 'pvc://nowhere/m',
    gives: 10,
  },
  {
    name: 'a bare path',
    put: async ({ home }) => {
      await mkdir(join(home, 'src'));
      await writeFile(join(home, 'src', 'a'), 'a');
      return join(home, 'src');
    },
    gives: ['a'],
  },
  {
    name: 'an empty folder is an error',
    put: async ({ home }) => {
      await mkdir(join(home, 'src'));
      return `file://${home}/src`;
    },
    gives: 10,
  },
  {
    name: 'the one archive is unpacked, and the source stays',
    put: async ({ home }) => {
      await mkdir(join(home, 'src'));
      await writeFile(join(home, 'src', 'm.zip'), ZIP);
      return `file://${home}/src`;
    },
    gives: ['model.pth'],
  },
]);

suite('test_multi_download', () => {
  test(
    noteCase('test_multi_download', 'sources of several schemes, each into its own new folder'),
    async (t) => {
      const { s3, gcs, web, home, env } = await world(t);
      s3.put('foo', 'm/a', 'a');
      gcs.put('foo', 'm/b', 'b');
      const places = ['x/one', 'x/two', 'x/three'].map((name) => join(home, name));
      const uris = ['s3://foo/m', 'gs://foo/m', web.put('/c', 'c')];
      const words = uris.flatMap((uri, at) => [uri, places[at]!]);
      const { status, stdout, stderr } = await inProcess(words, { env });
      assert.deepEqual([status, stdout], [0, `${places.join('\n')}\n`], stderr);
      assert.deepEqual(await Promise.all(places.map(filesIn)), [['a'], ['b'], ['c']]);
    },
  );

  test(
    noteCase(
      'test_multi_download',
      'one that fails fails all, and ≠ nothing of the others is visible',
    ),
    async (t) => {
      const { s3, home, env } = await world(t);
      s3.put('foo', 'm/a', 'a');
      const words = ['s3://foo/m', join(home, 'one'), 's3://foo/nothing', join(home, 'two')];
      assert.equal((await inProcess(words, { env })).status, 10);
      assert.deepEqual(
        [await filesIn(join(home, 'one')), await filesIn(join(home, 'two'))],
        [[], []],
      );
    },
  );

  test(
    noteCase(
      'test_multi_download',
      'no arguments, or one too many, are a usage error; with --compat kserve of status 1',
    ),
    async () => {
      for (const words of [[], ['s3://foo/m'], ['s3://foo/m', '/x', 's3://foo/n']]) {
        assert.equal((await inProcess(words)).status, 2);
        const env = { MODEL_FETCH_COMPAT: 'kserve' };
        assert.equal((await inProcess(words, { env })).status, 1);
      }
    },
  );
});

suite('a second run', () => {
  test(
    noteCase('a second run', '≠ fetches nothing again, and replaces what has changed'),
    async (t) => {
      const { s3, home, env } = await world(t);
      s3.put('foo', 'm/a', 'a');
      s3.put('foo', 'm/b', 'b');
      const run = () => inProcess(['s3://foo/m', join(home, 'out')], { env });
      const gets = () =>
        s3.requests.filter(({ method, key }) => method === 'GET' && key !== '').length;
      await run();
      const before = gets();
      assert.equal((await run()).status, 0);
      assert.equal(gets(), before);
      s3.put('foo', 'm/a', 'new');
      assert.equal((await run()).status, 0);
      assert.equal(await readFile(join(home, 'out', 'a'), 'utf8'), 'new');
      assert.equal(gets(), before + 1);
    },
  );
});

test(noteCase('headers', '≠ those for a host are not sent to another'), async (t) => {
  const { web, home } = await world(t);
  const other = await startHttpServer();
  t.after(() => other.close());
  const to = other.put('/m.bin', 'm');
  web.faults.push({ kind: 'redirect', to: to.replace('127.0.0.1', 'localhost') });
  const env = { '127.0.0.1-headers': '{"X-Api-Key":"sesame"}' };
  const { status, stderr } = await inProcess([web.url('/m.bin'), join(home, 'out')], { env });
  assert.equal(status, 0, stderr);
  assert.ok(web.requests.every(({ headers }) => headers['x-api-key'] === 'sesame'));
  assert.ok(other.requests.length > 0);
  assert.ok(other.requests.every(({ headers }) => headers['x-api-key'] === undefined));
});

suite('a run into a target that is not empty', () => {
  test(
    noteCase(
      'a second run',
      '≠ removes what the source no longer has, and leaves foreign files alone',
    ),
    async (t) => {
      const { s3, home, env } = await world(t);
      s3.put('foo', 'm/a', 'a');
      s3.put('foo', 'n/b', 'b');
      const target = join(home, 'out');
      assert.equal((await inProcess(['s3://foo/m', target], { env })).status, 0);
      await writeFile(join(target, 'foreign'), 'f');
      assert.equal((await inProcess(['s3://foo/n', target], { env })).status, 0);
      assert.deepEqual(await filesIn(target), ['b', 'foreign']);
    },
  );
});

testDocument('sources');
