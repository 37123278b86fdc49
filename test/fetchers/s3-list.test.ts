import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { s3 } from '../../src/fetchers/s3.ts';
import { parseRef } from '../../src/ref.ts';
import { startS3, type S3Server } from '../servers/s3.ts';
import { contextFor, listed, open, pathsOf, reach } from './s3-support.ts';

const ODD = [
  'a b',
  'c#d',
  'e?f',
  'g%20h',
  'i+j',
  'Ünï→\u{1f600}',
  'line\nbreak',
  'q\'uo"te',
  '<&>',
  'x=y;z,(1)*!~',
];

describe('s3 listings', () => {
  let server: S3Server;
  before(async () => {
    server = await startS3({ pageSize: 3, emptyLastPage: true });
    for (const key of ['m/a', 'm/b/c', 'm/zero', 'm/d', 'm-v2/a', 'm.bin', 'mm', 'only'])
      server.put('b', key, key.endsWith('zero') ? '' : key);
    for (const key of ODD) server.put('odd', `o/${key}`, key);
    server.put('whole', 'x', 'x');
    server.put('whole', 'y/z', 'z');
    server.put('both', 'm', 'object');
    server.put('both', 'm/f', 'folder');
    server.put('marked', 'm/', '');
    server.put('marked', 'm/sub/', '');
    server.put('marked', 'm/sub/f', 'f');
    server.put('marked', 'e', '');
    server.put('marked', 'e/f', 'f');
    server.put('marked', 'lone', '');
    server.put('marked', 'lone-v2/x', 'x');
    server.put('marked', 'void/', '');
    server.put('full', 'm/a', 'a');
    server.put('full', 'm/dir/', 'not empty');
    server.put('hostile', 'm//x', 'x');
    server.put('hostile', 'm/../y', 'y');
  });
  after(() => server.close());

  it('matches a folder whole, never by the beginning of its name', async () => {
    assert.deepEqual(await pathsOf(server, 's3://b/m'), ['a', 'b/c', 'd', 'zero']);
    assert.deepEqual(await pathsOf(server, 's3://b/m/'), ['a', 'b/c', 'd', 'zero']);
  });

  it('takes s3a:// for the same, and a bucket alone as everything in it', async () => {
    assert.deepEqual(await pathsOf(server, 's3a://b/m/b'), ['c']);
    assert.deepEqual(await pathsOf(server, 's3://whole'), ['x', 'y/z']);
    assert.deepEqual(await pathsOf(server, 's3://whole/'), ['x', 'y/z']);
  });

  it('describes entries by size, ETag as the header has it, and key', async () => {
    const [entry] = await listed(await open(server, 's3://b/m'));
    const { etag } = server.put('b', 'm/a', 'm/a');
    assert.deepEqual(entry, { path: 'a', size: 3, version: etag, source: 'm/a' });
    const zero = (await listed(await open(server, 's3://b/m'))).find(({ path }) => path === 'zero');
    assert.equal(zero?.size, 0);
  });

  it('lists one object under its base name, pinned by its ETag', async () => {
    const fetcher = await open(server, 's3://b/m/b/c');
    const { etag } = server.put('b', 'm/b/c', 'm/b/c');
    assert.equal(fetcher.revision, etag);
    assert.equal(fetcher.uri, 's3://b/m/b/c');
    assert.deepEqual(await listed(fetcher), [
      { path: 'c', size: 5, version: etag, source: 'm/b/c' },
    ]);
  });

  it('notices on a second listing that an object was replaced', async () => {
    server.put('b', 'changing', 'one');
    const fetcher = await open(server, 's3://b/changing');
    const [first] = await listed(fetcher);
    server.put('b', 'changing', 'two!');
    const [second] = await listed(fetcher);
    assert.notEqual(first?.version, second?.version);
    assert.equal(second?.size, 4);
  });

  it('prefers the object m to the folder m/, unless the slash is written', async () => {
    assert.deepEqual(await pathsOf(server, 's3://both/m'), ['m']);
    assert.deepEqual(await pathsOf(server, 's3://both/m/'), ['f']);
  });

  it('skips the empty objects that stand for folders', async () => {
    assert.deepEqual(await pathsOf(server, 's3://marked/m'), ['sub/f']);
    assert.deepEqual(await pathsOf(server, 's3://marked/e'), ['f']);
    assert.deepEqual(await pathsOf(server, 's3://marked/lone'), ['lone']);
    await assert.rejects(pathsOf(server, 's3://marked/void'), { code: 'NOT_FOUND' });
  });

  it('refuses an object whose name ends in a slash and that holds bytes', async () => {
    await assert.rejects(pathsOf(server, 's3://full/m'), { code: 'UNSAFE_PATH', path: 'dir/' });
  });

  it('yields doubled slashes and dots as they are: the engine refuses them', async () => {
    assert.deepEqual(await pathsOf(server, 's3://hostile/m'), ['../y', '/x']);
  });

  it('brings every odd key home, and finds it alone as well', async () => {
    const paths = await pathsOf(server, 's3://odd/o');
    assert.deepEqual(new Set(paths), new Set(ODD));
    for (const key of ODD.filter((name) => !name.includes('\n')))
      assert.deepEqual(await pathsOf(server, `s3://odd/o/${key}`), [key]);
  });

  it('says NOT_FOUND for what is not there: a key, a beginning of one, a bucket', async () => {
    for (const uri of ['s3://b/nope', 's3://b/onl', 's3://b/only/', 's3://nope/m', 's3://nope'])
      await assert.rejects(pathsOf(server, uri), { code: 'NOT_FOUND' }, uri);
  });

  it('asks for the next page while one is read, and no further', async () => {
    const wide = await startS3({ pageSize: 10 });
    for (let index = 0; index < 50; index++)
      wide.put('b', `m/${String(index).padStart(2, '0')}`, 'x');
    const fetcher = await open(wide, 's3://b/m/');
    for await (const entry of fetcher.list()) {
      while (wide.requests.length < 2) await new Promise(setImmediate);
      if (entry.path === '09') break;
    }
    assert.equal(wide.requests.length, 2);
    await wide.close();
  });

  it('asks once for a folder written with its slash, twice without', async () => {
    const small = await startS3();
    small.put('b', 'm/a', 'a');
    await pathsOf(small, 's3://b/m/');
    assert.equal(small.requests.length, 1);
    await pathsOf(small, 's3://b/m');
    assert.equal(small.requests.length, 3);
    await small.close();
  });

  it('does not take the page of a captive portal for an empty listing, nor for an object', async () => {
    for (const body of [
      '<html><body>Sign in</body></html>',
      '<!doctype html><p>Sign in<br>',
      '',
      'plain',
    ]) {
      const portal = await startS3({
        faults: () => ({ body, headers: { 'content-type': 'text/html' } }),
      });
      for (const uri of ['s3://b/m/', 's3://b/m'])
        await assert.rejects(pathsOf(portal, uri), { code: 'BAD_RESPONSE' }, `${uri} ${body}`);
      await portal.close();
    }
  });

  it('refuses a listing that goes on without saying where', async () => {
    const body =
      '<ListBucketResult><Name>b</Name><IsTruncated>true</IsTruncated><Contents><Key>m/a</Key><Size>1</Size></Contents></ListBucketResult>';
    const stuck = await startS3({
      faults: () => ({ body, headers: { 'content-type': 'application/xml' } }),
    });
    await assert.rejects(pathsOf(stuck, 's3://b/m/'), { code: 'BAD_RESPONSE' });
    await stuck.close();
  });

  it('refuses what is no bucket before it asks anyone', async () => {
    const context = contextFor();
    for (const [uri, code] of [
      ['s3:///key', 'INVALID_URI'],
      ['s3://user@b/k', 'INVALID_URI'],
      ['s3://b/m/?versionId=x', 'INVALID_URI'],
      ['s3://b--euw1-az1--x-s3/k', 'UNSUPPORTED'],
      ['s3://arn:aws:s3:eu-west-1:1:accesspoint/x/k', 'UNSUPPORTED'],
    ] as const)
      await assert.rejects(
        async () => s3(reach(server)).resolve(parseRef(uri), context),
        { code },
        uri,
      );
  });

  it('stops when it is told to', async () => {
    const slow = await startS3({ faults: () => ({ delayMs: 5000 }) });
    const controller = new AbortController();
    const asked = open(slow, 's3://b/m', {}, contextFor(controller.signal));
    setTimeout(() => controller.abort(), 50);
    const began = Date.now();
    await assert.rejects(asked, { code: 'ABORTED' });
    assert.ok(Date.now() - began < 2000);
    await slow.close();
  });
});
