import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import type { FailedLocation, HttpLocation } from '../../src/fetcher.ts';
import { startS3, type PutOptions, type S3Server } from '../servers/s3.ts';
import { listed, locateOnly, open, read } from './s3-support.ts';

const MIB = 1024 * 1024;

describe('s3 locations', () => {
  let server: S3Server;
  before(async () => {
    server = await startS3({
      buckets: [
        { name: 'payer', requesterPays: true },
        { name: 'ver', versioned: true },
      ],
      publicBuckets: ['open'],
    });
    server.put('b', 'm/a.txt', 'hello, world');
  });
  after(() => server.close());

  it('sign once for every range, with If-Match and Range outside the signature', async () => {
    const { location, entry } = await locateOnly(await open(server, 's3://b/m/a.txt'));
    assert.equal(location.kind, 'http');
    assert.equal(location.url, `${server.url}/b/m/a.txt`);
    assert.deepEqual(location.pin, {
      request: { 'if-match': entry.version },
      response: { etag: entry.version },
    });
    assert.deepEqual(location.transport, { reach: 'any' });
    assert.ok(!('host' in location.headers) && !('range' in location.headers));
    assert.equal((await read(location)).body.toString(), 'hello, world');
    const part = await read(location, { start: 7, end: 12 });
    assert.equal(part.status, 206);
    assert.equal(part.body.toString(), 'world');
    assert.equal(part.headers['etag'], entry.version);
    const signed = /SignedHeaders=([^,]+)/.exec(location.headers['authorization']!)![1]!.split(';');
    for (const name of Object.keys(location.headers).filter((one) => one.startsWith('x-amz-')))
      assert.ok(signed.includes(name), name);
  });

  it('expire a little before S3 would refuse them', async () => {
    const { location } = await locateOnly(await open(server, 's3://b/m/a.txt'));
    const left = location.expiresAt! - Date.now();
    assert.ok(left > 13 * 60_000 && left <= 14 * 60_000);
  });

  it('reach odd keys at the address that was signed', async () => {
    for (const key of [
      'a b',
      'c#d',
      'e?f=1&g',
      'h%20i',
      'j+k',
      'Ünï→\u{1f600}',
      "(l)'*!~",
      'n|o^p`{}',
      'q\\r',
      'a//b',
      '/lead',
      '=;,:@$',
    ]) {
      server.put('odd', key, key);
      const fetcher = await open(server, 's3://odd/');
      const location = await fetcher.locate({ path: 'x', source: key });
      const answer = await read(location as HttpLocation);
      assert.equal(answer.body.toString(), key, `${key}: ${answer.status}`);
    }
  });

  it('refuse a key that no URL can name', async () => {
    const fetcher = await open(server, 's3://odd/');
    for (const key of ['a/../b', '../b', 'a/./b', '..'])
      await assert.rejects(fetcher.locate({ path: 'b', source: key }), { code: 'UNSAFE_PATH' });
  });

  it('are the virtual host where that is asked for', async () => {
    server.put('models', 'm/a.txt', 'hello, world');
    const options = {
      endpoint: `http://localhost:${server.port}`,
      addressing: 'virtual' as const,
    };
    const { location } = await locateOnly(await open(server, 's3://models/m/a.txt', options));
    assert.equal(location.url, `http://models.localhost:${server.port}/m/a.txt`);
    assert.equal((await read(location)).body.toString(), 'hello, world');
  });

  it('ask who signs once a second, and anew after a refusal', async () => {
    let asked = 0;
    let accessKeyId = 'first';
    const credentials = (): Promise<{ accessKeyId: string; secretAccessKey: string }> => {
      asked++;
      // Over at once: nobody keeps them but the signer.
      const expiration = new Date(Date.now() + 1000);
      return Promise.resolve({ accessKeyId, secretAccessKey: 's', expiration });
    };
    const fetcher = await open(server, 's3://open/', { credentials });
    const entry = { path: 'x', size: 1, source: 'm/x' };
    const signedBy = async (failed?: FailedLocation): Promise<string> => {
      const location = (await fetcher.locate(entry, { ...(failed && { failed }) })) as HttpLocation;
      return /Credential=(\w+)/.exec(location.headers['authorization']!)![1]!;
    };
    // Not at the end of a second.
    await setTimeout(1000 - (Date.now() % 1000));
    const first = (await fetcher.locate(entry)) as HttpLocation;
    const before = asked;
    for (let i = 0; i < 20; i++) assert.equal(await signedBy(), 'first');
    assert.equal(asked, before);
    accessKeyId = 'second';
    const body = '<Error><Code>InvalidAccessKeyId</Code></Error>';
    assert.equal(await signedBy({ location: first, status: 403, body }), 'second');
    assert.equal(await signedBy(), 'second');
  });

  it('follow the SDK to the region, the accelerated, dual-stack and FIPS host of Amazon', async () => {
    const { S3Access } = await import('../../src/fetchers/s3-client.ts');
    const { locationOf } = await import('../../src/fetchers/s3-sign.ts');
    const { contextFor } = await import('./s3-support.ts');
    const credentials = { accessKeyId: 'k', secretAccessKey: 's' };
    const urlFor = async (options: object, bucket = 'bucket'): Promise<string> => {
      const access = new S3Access(
        { credentials, region: 'eu-west-1', ...options },
        contextFor().http,
      );
      return (await locationOf(access, { address: { bucket, key: 'k/e y', versionId: 'v+1' } }))
        .url;
    };
    const tail = '/k/e%20y?versionId=v%2B1';
    assert.equal(await urlFor({}), `https://bucket.s3.eu-west-1.amazonaws.com${tail}`);
    assert.equal(
      await urlFor({}, 'dots.in.it'),
      `https://s3.eu-west-1.amazonaws.com/dots.in.it${tail}`,
    );
    assert.equal(
      await urlFor({ accelerate: true }),
      `https://bucket.s3-accelerate.amazonaws.com${tail}`,
    );
    assert.equal(
      await urlFor({ dualstack: true }),
      `https://bucket.s3.dualstack.eu-west-1.amazonaws.com${tail}`,
    );
    assert.equal(
      await urlFor({ fips: true, region: 'us-west-2' }),
      `https://bucket.s3-fips.us-west-2.amazonaws.com${tail}`,
    );
    assert.equal(
      await urlFor({ addressing: 'path' }),
      `https://s3.eu-west-1.amazonaws.com/bucket${tail}`,
    );
    await assert.rejects(urlFor({}, 'x--euw1-az1--x-s3'), { code: 'UNSUPPORTED' });
  });

  it('carry no signature when the reader is anonymous', async () => {
    server.put('open', 'm', 'public');
    const { location } = await locateOnly(
      await open(server, 's3://open/m', { credentials: 'anonymous' }),
    );
    assert.equal(location.headers['authorization'], undefined);
    assert.equal(location.expiresAt, undefined);
    assert.equal((await read(location)).body.toString(), 'public');
    assert.equal(server.requests.at(-1)!.accessKeyId, undefined);
  });

  it('sign the session token, the requester and the customer key', async () => {
    const key = Buffer.alloc(32, 7);
    const session = await startS3({
      credentials: [
        { accessKeyId: 'ASIATEST', secretAccessKey: 'secret', sessionToken: 'token/+=' },
      ],
      buckets: [{ name: 'b', requesterPays: true }],
    });
    session.put('b', 'm/secret', 'sealed', { customerKey: key });
    const credentials = {
      accessKeyId: 'ASIATEST',
      secretAccessKey: 'secret',
      sessionToken: 'token/+=',
    };
    const options = { credentials, requesterPays: true, customerKey: key.toString('base64') };
    const { location } = await locateOnly(await open(session, 's3://b/m/secret', options));
    assert.equal((await read(location)).body.toString(), 'sealed');
    assert.equal(location.headers['x-amz-security-token'], 'token/+=');
    const folder = await open(session, 's3://b/m', options);
    assert.deepEqual(
      (await listed(folder)).map(({ path }) => path),
      ['secret'],
    );
    await assert.rejects(open(session, 's3://b/m/secret', { ...options, requesterPays: false }), {
      code: 'PERMISSION_DENIED',
      hint: /requester/,
    });
    await assert.rejects(open(session, 's3://b/m/secret', { credentials, requesterPays: true }), {
      code: 'BAD_RESPONSE',
      hint: /SSE_C/,
    });
    await session.close();
  });

  it('read the version that was pinned, and only it', async () => {
    const { versionId: first } = server.put('ver', 'm', 'one');
    const { versionId: second } = server.put('ver', 'm', 'two');
    const old = await open(server, `s3://ver/m?versionId=${first}`);
    assert.equal(old.revision, first);
    assert.equal(old.uri, `s3://ver/m?versionId=${first}`);
    const { entry, location } = await locateOnly(old);
    assert.equal(entry.path, 'm');
    assert.equal((await read(location)).body.toString(), 'one');
    const newest = await open(server, 's3://ver/m');
    assert.equal(newest.revision, second);
    assert.equal(newest.uri, `s3://ver/m?versionId=${second}`);
    await assert.rejects(open(server, 's3://ver/m?versionId=nope'), { code: 'NOT_FOUND' });
    server.remove('ver', 'm');
    await assert.rejects(async () => listed(await open(server, 's3://ver/m')), {
      code: 'NOT_FOUND',
    });
    assert.equal(
      (await read((await locateOnly(await open(server, `s3://ver/m?versionId=${first}`))).location))
        .status,
      200,
    );
  });
});

describe('s3 digests', () => {
  const bytes = Buffer.alloc(9 * MIB, 'model');
  const sha256 = createHash('sha256').update(bytes).digest('hex');

  const digestsWith = async (put: PutOptions): Promise<readonly string[] | undefined> => {
    await using server = await startS3();
    server.put('b', 'm/big', bytes, put);
    server.put('b', 'm/small', 'x', { checksums: ['crc32'] });
    const fetcher = await open(server, 's3://b/m/');
    const [big, small] = await listed(fetcher);
    const location = (await fetcher.locate(big!)) as HttpLocation;
    const before = server.requests.length;
    const other = (await fetcher.locate(small!)) as HttpLocation;
    assert.equal(other.digests, undefined);
    assert.equal(server.requests.length, before, 'a small object is worth no HEAD');
    return location.digests;
  };

  it('of whole objects are learnt before a large one is read', async () => {
    assert.deepEqual(await digestsWith({ checksums: ['sha256'] }), [`sha256:${sha256}`]);
    const all = await digestsWith({
      checksums: ['crc32', 'crc32c', 'crc64nvme', 'sha1', 'sha256'],
    });
    assert.deepEqual(
      all?.map((digest) => digest.split(':')[0]),
      ['sha256', 'sha1', 'crc64nvme', 'crc32c', 'crc32'],
    );
  });

  it('of whole multipart objects are taken by their type', async () => {
    const digests = await digestsWith({
      parts: 5 * MIB,
      checksums: ['crc64nvme'],
      checksumType: 'FULL_OBJECT',
    });
    assert.match(digests![0]!, /^crc64nvme:[0-9a-f]{16}$/);
  });

  it('of parts are never taken for digests of the whole', async () => {
    assert.equal(await digestsWith({ parts: 5 * MIB, checksums: ['sha256', 'crc32c'] }), undefined);
    assert.equal(
      await digestsWith({ parts: 5 * MIB, checksums: ['sha256'], stateType: false }),
      undefined,
    );
    // No type and no -N, as one server does: only the ETag tells.
    const stated = { sha256: createHash('sha256').update('digests').digest('base64') };
    assert.equal(await digestsWith({ parts: 5 * MIB, stated, stateType: false }), undefined);
  });

  it('that are no checksums at all are left out', async () => {
    assert.equal(await digestsWith({ stated: { sha256: 'AAAA', crc32c: '!!' } }), undefined);
    assert.equal(await digestsWith({}), undefined);
  });

  it('come with the listing of a single object, without a second HEAD', async () => {
    await using server = await startS3();
    server.put('b', 'big', bytes, { checksums: ['sha256'] });
    const { entry, location } = await locateOnly(await open(server, 's3://b/big'));
    assert.deepEqual(entry.digests, [`sha256:${sha256}`]);
    assert.deepEqual(location.digests, [`sha256:${sha256}`]);
    assert.equal(server.requests.length, 1);
  });

  it('belong to the version that was listed', async () => {
    await using server = await startS3();
    server.put('b', 'm/big', bytes, { checksums: ['sha256'] });
    const fetcher = await open(server, 's3://b/m/');
    const [entry] = await listed(fetcher);
    server.put('b', 'm/big', Buffer.alloc(9 * MIB, 'other'), { checksums: ['sha256'] });
    await assert.rejects(fetcher.locate(entry!), { code: 'SOURCE_CHANGED' });
  });
});
