/** The fake is only worth something if others read it: here Google's own client, through its own transport. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { gunzipSync, gzipSync } from 'node:zlib';
import { Storage } from '@google-cloud/storage';
import { startGcs, type GcsServer } from '../servers/gcs.ts';

let server: GcsServer;
let storage: Storage;
before(async () => {
  server = await startGcs({
    pageSize: 2,
    buckets: { b: { 'm/a': 'aaaa', 'm/b c#?%+é': 'bbb', 'm/z/zero': '', n: '0123456789' } },
  });
  storage = new Storage({
    apiEndpoint: server.url,
    projectId: 'p',
    retryOptions: { autoRetry: false },
  });
});
after(() => server.close());

const media = (name: string, headers: Record<string, string> = {}, query = 'alt=media') =>
  fetch(`${server.url}/storage/v1/b/b/o/${encodeURIComponent(name)}?${query}`, { headers });

test('Google’s client lists it over pages, with and without delimiter, and downloads with its own checks', async () => {
  const [files] = await storage.bucket('b').getFiles({ prefix: 'm/' });
  assert.deepEqual(
    files.map((file) => file.name),
    ['m/a', 'm/b c#?%+é', 'm/z/zero'],
  );
  const bytes = await Promise.all(files.map(async (file) => String((await file.download())[0])));
  assert.deepEqual(bytes, ['aaaa', 'bbb', '']);
  const [, , page] = await storage.bucket('b').getFiles({ autoPaginate: false, delimiter: '/' });
  assert.deepEqual((page as { prefixes: string[] }).prefixes, ['m/']);
  assert.deepEqual(await storage.bucket('b').exists(), [true]);
  assert.deepEqual(await storage.bucket('none').exists(), [false]);
});

test('Google’s client inflates what is stored as gzip', async () => {
  server.put('b', 'packed', gzipSync('inflated'), { contentEncoding: 'gzip' });
  assert.equal(String((await storage.bucket('b').file('packed').download())[0]), 'inflated');
  server.remove('b', 'packed');
});

test('parts are 206 with the hashes of the whole; what lies outside is 416', async () => {
  const part = await media('n', { range: 'bytes=2-4' });
  assert.equal(part.status, 206);
  assert.equal(part.headers.get('content-range'), 'bytes 2-4/10');
  assert.match(part.headers.get('x-goog-hash')!, /^crc32c=[\w+/]{6}==,md5=[\w+/]{22}==$/);
  assert.match(part.headers.get('x-goog-generation')!, /^\d{16}$/);
  assert.equal(await part.text(), '234');
  assert.equal(await (await media('n', { range: 'bytes=-3' })).text(), '789');
  const outside = await media('n', { range: 'bytes=10-' });
  assert.equal(outside.status, 416);
  assert.equal(outside.headers.get('content-range'), 'bytes */10');
});

test('generations and preconditions hold', async () => {
  const generation = server.put('b', 'g', 'one');
  assert.equal((await media('g', {}, `alt=media&generation=${generation}`)).status, 200);
  assert.equal((await media('g', {}, `alt=media&ifGenerationMatch=${generation}`)).status, 200);
  server.put('b', 'g', 'two');
  assert.equal((await media('g', {}, `alt=media&generation=${generation}`)).status, 404);
  assert.equal((await media('g', {}, `alt=media&ifGenerationMatch=${generation}`)).status, 412);
  assert.equal((await media('g', {}, 'alt=media&generation=x')).status, 400);
  server.remove('b', 'g');
});

test('transcoding ignores ranges and drops the length, unless gzip is accepted', async () => {
  const { request } = await import('node:http');
  server.put('b', 'packed', gzipSync('inflated'), { contentEncoding: 'gzip' });
  const raw = (headers: Record<string, string>) =>
    new Promise<{ status: number | undefined; headers: Record<string, unknown>; body: Buffer }>(
      (resolve, reject) => {
        request(`${server.url}/storage/v1/b/b/o/packed?alt=media`, { headers }, (response) => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.on('end', () =>
            resolve({
              status: response.statusCode,
              headers: response.headers,
              body: Buffer.concat(chunks),
            }),
          );
        })
          .on('error', reject)
          .end();
      },
    );
  const inflated = await raw({ 'accept-encoding': 'identity', range: 'bytes=0-2' });
  assert.equal(inflated.status, 200);
  assert.equal(String(inflated.body), 'inflated');
  assert.equal(inflated.headers['content-length'], undefined);
  assert.equal(inflated.headers['x-goog-stored-content-encoding'], 'gzip');
  const stored = await raw({ 'accept-encoding': 'gzip' });
  assert.equal(stored.headers['content-encoding'], 'gzip');
  assert.equal(String(gunzipSync(stored.body)), 'inflated');
  server.remove('b', 'packed');
});

test('the XML form of a read works, and its refusals are XML', async () => {
  assert.equal(await (await fetch(`${server.url}/b/m/a`)).text(), 'aaaa');
  assert.equal(
    await (await fetch(`${server.url}/download/storage/v1/b/b/o/m%2Fa?alt=media`)).text(),
    'aaaa',
  );
  assert.match(await (await fetch(`${server.url}/b/none`)).text(), /<Code>notFound<\/Code>/);
});

test('a bearer it did not issue is refused on public buckets too; a slash that is not encoded finds nothing', async () => {
  const answer = await media('n', { authorization: 'Bearer stranger' });
  assert.equal(answer.status, 401);
  assert.match(answer.headers.get('www-authenticate')!, /^Bearer/);
  assert.equal((await fetch(`${server.url}/storage/v1/b/b/o/m/a`)).status, 404);
  const told = (await (await fetch(`${server.url}/storage/v1/b/none/o`)).json()) as {
    error: { code: number; errors: { reason: string }[] };
  };
  assert.equal(told.error.code, 404);
  assert.equal(told.error.errors[0]!.reason, 'notFound');
});
