/** `--compat kserve`: the tree and the exit status of KServe's own initializer, each next to ours. */
import assert from 'node:assert/strict';
import { lstat, mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { suite, test, type TestContext } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { tar } from '../support/archives.ts';
import { startGcs } from '../servers/gcs.ts';
import { startHttpServer } from '../servers/http.ts';
import { startS3, type S3Server } from '../servers/s3.ts';
import { folder, records } from './child.ts';
import { inProcess } from './host.ts';

async function fetched(
  t: TestContext,
  words: readonly string[],
  env: Record<string, string> = {},
  dest?: string,
) {
  const target = dest ?? join(await folder(t), 'models');
  const [uri, ...flags] = words;
  const ended = await inProcess([uri!, target, ...flags], { env });
  const names = await readdir(target, { recursive: true, withFileTypes: true }).catch(() => []);
  const files = names
    .filter((one) => !one.isDirectory())
    .map((one) => join(one.parentPath, one.name).slice(target.length + 1))
    .filter((name) => !name.startsWith('.model-fetch/'))
    .sort();
  return { ...ended, target, files };
}

const COMPAT = ['--compat', 'kserve'];

suite('an s3:// prefix', () => {
  const bucket = async (t: TestContext): Promise<[S3Server, Record<string, string>]> => {
    const server = await startS3({ publicBuckets: ['b'] });
    t.after(() => server.close());
    for (const [key, bytes] of Object.entries({
      'm/a': 'a',
      'm/zero': '',
      'm/sub/b': 'b',
      'm-v2/a': 'another version',
      'm.txt': 'text',
      n: '',
      'n/x': 'x',
      one: 'the object',
      'one/y': 'y',
      'one-more': 'z',
    }))
      server.put('b', key, bytes);
    return [server, { AWS_ENDPOINT_URL: server.url, awsAnonymousCredential: 'true' }];
  };
  const table: readonly (readonly [uri: string, ours: string[], kserve: string[]])[] = [
    ['s3://b/m', ['a', 'sub/b', 'zero'], ['-v2/a', '.txt', 'a', 'sub/b']],
    ['s3://b/m/', ['a', 'sub/b', 'zero'], ['a', 'sub/b']],
    ['s3://b/m/s', [], ['ub/b']],
    ['s3://b/n', ['x'], ['x']],
    ['s3://b/one', ['one'], ['one']],
    ['s3://b/m/zero', ['zero'], []],
    ['s3://b/one?x=1#y', [], ['one']],
  ];
  for (const [uri, ours, kserve] of table)
    test(`${uri} is ${kserve.join(', ') || 'nothing'}, where ours is ${ours.join(', ') || 'nothing'}`, async (t) => {
      const [, env] = await bucket(t);
      assert.deepEqual((await fetched(t, [uri], env)).files, ours);
      assert.deepEqual((await fetched(t, [uri, ...COMPAT], env)).files, kserve);
      const byVariable = await fetched(t, [uri], { ...env, MODEL_FETCH_COMPAT: 'kserve' });
      assert.deepEqual(byVariable.files, kserve);
    });

  test('a key that ends in a slash is left out, bytes or not', async (t) => {
    const [server, env] = await bucket(t);
    server.put('b', 'm/marker/', 'bytes');
    assert.equal((await fetched(t, ['s3://b/m/'], env)).status, 14);
    assert.deepEqual((await fetched(t, ['s3://b/m/', ...COMPAT], env)).files, ['a', 'sub/b']);
  });

  test('files that are not ours are replaced', async (t) => {
    const [, env] = await bucket(t);
    const dest = join(await folder(t), 'models');
    await mkdir(dest);
    await writeFile(join(dest, 'a'), 'foreign');
    assert.equal((await fetched(t, ['s3://b/m/'], env, dest)).status, 15);
    assert.equal((await fetched(t, ['s3://b/m/', ...COMPAT], env, dest)).status, 0);
    assert.equal(await readFile(join(dest, 'a'), 'utf8'), 'a');
  });
});

suite('an archive', () => {
  const members = tar({ name: 'w.bin', content: 'w' });
  for (const [name, bytes, ours, kserve] of [
    ['m.tar.zst', zstdCompressSync(members), 'w.bin', 'm.tar.zst'],
    ['m.tar.GZ', gzipSync(members), 'w.bin', 'm.tar.GZ'],
    ['m.TGZ', gzipSync(members), 'w.bin', 'w.bin'],
    ['model', members, 'w.bin', 'model'],
  ] as const)
    test(`called ${name} becomes ${kserve}, where ours is ${ours}`, async (t) => {
      const web = await startHttpServer();
      t.after(() => web.close());
      const type = kserve === 'w.bin' ? 'application/gzip' : 'application/octet-stream';
      const url = web.put(`/${name}`, bytes, { headers: { 'content-type': type } });
      assert.deepEqual((await fetched(t, [url])).files, [ours]);
      assert.deepEqual((await fetched(t, [url, ...COMPAT])).files, [kserve]);
      const never = await fetched(t, [url, ...COMPAT, '--unpack', 'never']);
      assert.deepEqual(never.files, [name]);
    });
});

suite('a file over http', () => {
  test('is called as the URL has it', async (t) => {
    const web = await startHttpServer();
    t.after(() => web.close());
    const named = { headers: { 'content-disposition': 'attachment; filename="other.bin"' } };
    web.put('/my%20model.bin', 'x', named);
    const url = web.url('/my%20model.bin?x=1');
    assert.deepEqual((await fetched(t, [url])).files, ['other.bin']);
    assert.deepEqual((await fetched(t, [url, ...COMPAT])).files, ['my%20model.bin']);
  });
});

suite('an answer over http', () => {
  const binary = 'application/octet-stream';
  const members = tar({ name: 'w.bin', content: 'w' });
  const table: readonly (readonly [
    url: string,
    type: string,
    bytes: Buffer | string,
    ours: string,
    kserve: string | undefined,
  ])[] = [
    ['/m.json', 'application/json', '{}', 'm.json', undefined],
    ['/m.tar.gz', binary, gzipSync(members), 'w.bin', undefined],
    ['/m.tar', 'application/x-tar', gzipSync(members), 'w.bin', 'w.bin'],
    ['/m.tar.gz', 'application/x-tar', members, 'w.bin', undefined],
    ['/m.zip', 'application/zip', members, 'w.bin', undefined],
    ['/p.pkl.gz', binary, gzipSync('pickled'), 'p.pkl.gz', 'p.pkl.gz.tar'],
    ['/p.pkl.gz?x=1', binary, gzipSync('pickled'), 'p.pkl.gz', 'p.pkl.gz'],
    ['/p.pkl.gz', binary, 'not packed', 'p.pkl.gz', undefined],
    ['/get?file=m.tar', 'application/x-tar', members, 'w.bin', 'w.bin'],
    ['/get?file=m.onnx', binary, 'w', 'm.onnx', 'get'],
    ['/folder/', binary, 'w', 'model', undefined],
    ['/a;b/m.bin;v=1', binary, 'w', 'm.bin;v=1', 'm.bin'],
  ];
  for (const [path, type, bytes, ours, kserve] of table)
    test(`${path} as ${type} is ${kserve ?? 'refused'}, where ours is ${ours}`, async (t) => {
      const web = await startHttpServer();
      t.after(() => web.close());
      web.put(path.replace(/\?.*/, ''), bytes, { headers: { 'content-type': type } });
      const url = web.url(path);
      assert.deepEqual((await fetched(t, [url])).files, [ours]);
      const { status, files, stderr } = await fetched(t, [url, ...COMPAT]);
      assert.deepEqual([status, files], kserve ? [0, [kserve]] : [1, []], stderr);
    });

  test('is stored without its compression, and not fetched again', async (t) => {
    const web = await startHttpServer();
    t.after(() => web.close());
    const headers = { 'content-type': binary };
    const url = web.put('/p.pkl.gz', gzipSync('pickled'), { headers });
    const { target } = await fetched(t, [url, ...COMPAT]);
    assert.equal(await readFile(join(target, 'p.pkl.gz.tar'), 'utf8'), 'pickled');
    const again = await fetched(t, [url, ...COMPAT, '--output', 'json'], {}, target);
    assert.match(again.stdout, /"unchanged":true/);
  });
});

suite('a gs:// directory', () => {
  const bucket = async (t: TestContext): Promise<Record<string, string>> => {
    const server = await startGcs();
    t.after(() => server.close());
    for (const [name, bytes] of Object.entries({
      'm/a': 'a',
      'm/zero': '',
      'slash/marker/': 'bytes',
      'slash/x': 'x',
      'double//x': 'x',
      o: 'object',
      'o/': '',
      'one/m.tar': tar({ name: 'w.bin', content: 'w' }),
      'two/m.tar': tar({ name: 'w.bin', content: 'w' }),
      'two/z/': '',
    }))
      server.put('b', name, bytes);
    return { STORAGE_EMULATOR_HOST: server.url };
  };
  const table: readonly (readonly [uri: string, ours: string[], kserve: string[]])[] = [
    ['gs://b/m', ['a', 'zero'], ['a', 'zero']],
    ['gs://b/slash', [], ['x']],
    ['gs://b/double', [], ['x']],
    ['gs://b/o', ['o'], []],
    ['gs://b/one', ['w.bin'], ['w.bin']],
    ['gs://b/two', ['w.bin'], ['m.tar']],
    ['gs://b', [], []],
  ];
  for (const [uri, ours, kserve] of table)
    test(`${uri} is ${kserve.join(', ') || 'nothing'}, where ours is ${ours.join(', ') || 'nothing'}`, async (t) => {
      const env = await bucket(t);
      assert.deepEqual((await fetched(t, [uri], env)).files, ours);
      assert.deepEqual((await fetched(t, [uri, ...COMPAT], env)).files, kserve);
    });
});

suite('what an earlier model had', () => {
  test('stays, but for what stands in the way', async (t) => {
    const server = await startS3({ publicBuckets: ['b'] });
    t.after(() => server.close());
    const env = { AWS_ENDPOINT_URL: server.url, awsAnonymousCredential: 'true' };
    for (const key of ['one/old', 'one/x', 'one/f/g', 'one/same']) server.put('b', key, 'old');
    for (const key of ['two/x/y', 'two/f', 'two/same']) server.put('b', key, 'new');
    for (const [flags, files] of [
      [[], ['f', 'same', 'x/y']],
      [COMPAT, ['f', 'old', 'same', 'x/y']],
    ] as const) {
      const dest = join(await folder(t), 'models');
      await fetched(t, ['s3://b/one', ...flags], env, dest);
      assert.deepEqual((await fetched(t, ['s3://b/two', ...flags], env, dest)).files, files);
      assert.equal(await readFile(join(dest, 'same'), 'utf8'), 'new');
      const verified = await inProcess(['verify', dest], { env });
      assert.equal(verified.status, 0, verified.stderr);
    }
  });
});

suite('a local folder', () => {
  test('is chosen from by the names at its top, and unpacked if one is an archive', async (t) => {
    const source = await folder(t);
    await mkdir(join(source, 'sub'));
    await writeFile(join(source, 'a.bin'), 'a');
    await writeFile(join(source, 'sub', 'm.tar'), tar({ name: 'w.bin', content: 'w' }));
    const pvc = ['--pvc', `claim=${source}`];
    for (const [uri, flags] of [
      [source, []],
      ['pvc://claim', pvc],
    ] as const) {
      const allow = { STORAGE_ALLOW_PATTERNS: '*.tar' };
      assert.deepEqual((await fetched(t, [uri, ...flags], allow)).files, ['w.bin']);
      assert.deepEqual((await fetched(t, [uri, ...flags, ...COMPAT], allow)).files, []);
      const top = { STORAGE_ALLOW_PATTERNS: 's*' };
      const { files } = await fetched(t, [uri, ...flags, ...COMPAT], top);
      assert.deepEqual(files, ['sub/m.tar']);
    }
    const one = { STORAGE_IGNORE_PATTERNS: '*.bin' };
    assert.equal((await fetched(t, [join(source, 'a.bin'), ...COMPAT], one)).status, 1);
  });

  const model = async (t: TestContext): Promise<string> => {
    const source = await folder(t);
    await mkdir(join(source, 'sub'));
    for (const name of ['a', '.hidden', 'sub/.hidden']) await writeFile(join(source, name), name);
    return source;
  };

  test('loses its hidden files at the top, and is linked', async (t) => {
    const source = await model(t);
    assert.deepEqual((await fetched(t, [`file://${source}`])).files, [
      '.hidden',
      'a',
      'sub/.hidden',
    ]);
    const { target, files } = await fetched(t, [`file://${source}`, ...COMPAT]);
    assert.deepEqual(files, ['a', 'sub/.hidden']);
    assert.equal((await lstat(join(target, 'a'))).isSymbolicLink(), true);
    const copied = await fetched(t, [`file://${source}`, ...COMPAT, '--link', 'copy']);
    assert.equal((await lstat(join(copied.target, 'a'))).isSymbolicLink(), false);
  });

  test('that is one hidden file is that file', async (t) => {
    const source = await model(t);
    assert.deepEqual((await fetched(t, [`file://${source}/.hidden`, ...COMPAT])).files, [
      '.hidden',
    ]);
  });
});

suite('a failure', () => {
  for (const [words, ours] of [
    [['file:///nonexistent', '/x'], 10],
    [['s3://a'], 2],
    [['foo://x', '/x'], 17],
  ] as const)
    test(`of "${words.join(' ')}" ends with 1, where ours ends with ${ours}`, async () => {
      assert.equal((await inProcess(words)).status, ours);
      const { status, stderr } = await inProcess([...words, ...COMPAT]);
      assert.deepEqual([status, records(stderr).at(-1)!['exit']], [1, 1]);
      const env = { MODEL_FETCH_COMPAT: 'kserve' };
      assert.equal((await inProcess(words, { env })).status, 1);
    });

  test('of another command keeps its status', async () => {
    const env = { MODEL_FETCH_COMPAT: 'kserve' };
    assert.equal((await inProcess(['ls', 'file:///nonexistent'], { env })).status, 10);
  });

  test('by a signal keeps its status', async () => {
    const { status } = await inProcess(['file:///nonexistent', '/x', ...COMPAT], {
      signal: AbortSignal.abort(new Error('stopped by SIGTERM')),
      stoppedBy: 'SIGTERM',
    });
    assert.equal(status, 143);
  });
});
