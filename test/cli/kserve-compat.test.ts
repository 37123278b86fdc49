/** `--compat kserve`: the tree and the exit status of KServe's own initializer, each next to ours. */
import assert from 'node:assert/strict';
import { lstat, mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { suite, test, type TestContext } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { tar } from '../support/archives.ts';
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
      const url = web.put(`/${name}`, bytes);
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

suite('a local folder', () => {
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
