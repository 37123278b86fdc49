import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Entry, FailedLocation, Fetcher, HttpLocation } from '../../src/fetcher.ts';
import { startS3 } from '../servers/s3.ts';
import { freeAddress } from '../support/free-address.ts';
import { contextFor, listed, locateOnly, open, pathsOf, read } from './s3-support.ts';

const EU = { region: 'eu-central-1' };

/** What the engine tells `locate` after this location was refused. */
async function failureAt(location: HttpLocation): Promise<FailedLocation> {
  const { status, headers, body } = await read(location);
  assert.ok(status >= 300, `refused: ${status}`);
  return { location, status, headers, body: body.toString() };
}

async function again(
  fetcher: Fetcher,
  entry: Entry,
  location: HttpLocation,
): Promise<HttpLocation> {
  return (await fetcher.locate(entry, { failed: await failureAt(location) })) as HttpLocation;
}

describe('s3, a region that is wrong', () => {
  for (const regionError of ['signature', 'redirect'] as const)
    it(`is learnt from a ${regionError} error, once for the bucket`, async () => {
      await using server = await startS3({ ...EU, regionError });
      server.put('b', 'm/a', 'a');
      server.put('b', 'm/sub/b', 'b');
      const context = contextFor();
      const fetcher = await open(server, 's3://b/m', {}, context);
      assert.deepEqual(
        (await listed(fetcher)).map(({ path }) => path),
        ['a', 'sub/b'],
      );
      assert.deepEqual(
        server.requests.map(({ status }) => status),
        [regionError === 'redirect' ? 301 : 400, 404, 200],
      );
      const location = (await fetcher.locate({ path: 'a', source: 'm/a' })) as HttpLocation;
      assert.equal((await read(location)).status, 200);
    });

  it('is learnt from a listing as well', async () => {
    await using server = await startS3(EU);
    server.put('b', 'm/a', 'a');
    assert.deepEqual(await pathsOf(server, 's3://b/m/'), ['a']);
  });

  it('is learnt on the data plane, where nothing was listed before', async () => {
    await using server = await startS3({ ...EU, regionError: 'redirect' });
    server.put('b', 'm/a', 'a');
    const fetcher = await open(server, 's3://b/m/');
    const entry = { path: 'a', source: 'm/a' };
    const first = (await fetcher.locate(entry)) as HttpLocation;
    const second = await again(fetcher, entry, first);
    assert.equal((await read(second)).body.toString(), 'a');
    // A second worker that was refused with the old region gets the new one without further ado.
    assert.equal((await read(await again(fetcher, entry, first))).status, 200);
  });

  it('is given up when two places send us to each other', async () => {
    const say = (region: string): object => ({
      status: 301,
      code: 'PermanentRedirect',
      headers: { 'x-amz-bucket-region': region },
    });
    await using server = await startS3({
      faults: ({ headers }) =>
        say(headers['authorization']!.includes('us-east-1') ? 'eu-west-1' : 'us-east-1'),
    });
    await assert.rejects(pathsOf(server, 's3://b/m/'), { code: 'BAD_RESPONSE' });
    assert.equal(server.requests.length, 2);
  });
});

describe('s3, credentials that are wrong', () => {
  const cases: [string, object, string][] = [
    [
      'an unknown key',
      { credentials: { accessKeyId: 'nobody', secretAccessKey: 'secret' } },
      'UNAUTHENTICATED',
    ],
    [
      'a wrong secret',
      { credentials: { accessKeyId: 'test', secretAccessKey: 'wrong' } },
      'UNAUTHENTICATED',
    ],
    [
      'a token that is none',
      { credentials: { accessKeyId: 'test', secretAccessKey: 'secret', sessionToken: 'x' } },
      'UNAUTHENTICATED',
    ],
    ['nobody at a private bucket', { credentials: 'anonymous' }, 'PERMISSION_DENIED'],
  ];
  for (const [name, options, code] of cases)
    it(`are told apart: ${name} is ${code}, for an object and for a folder`, async () => {
      await using server = await startS3();
      server.put('b', 'm/a', 'a');
      for (const uri of ['s3://b/m/a', 's3://b/m', 's3://b/m/'])
        await assert.rejects(
          pathsOf(server, uri, options),
          (error: Error & { hint?: string; code?: string }) => {
            assert.equal(error.code, code, uri);
            assert.ok(error.hint);
            assert.ok(!`${error.message} ${error.hint}`.includes('wrong'));
            return true;
          },
        );
    });

  it('say so when a session is over and there is no other', async () => {
    const credentials = { accessKeyId: 'ASIA', secretAccessKey: 's', sessionToken: 't' };
    await using server = await startS3({
      credentials: [{ ...credentials, expiresAt: Date.now() + 60_000_000 }],
    });
    server.put('b', 'm/a', 'a');
    const fetcher = await open(server, 's3://b/m/a', { credentials });
    const { entry, location } = await locateOnly(fetcher);
    await using over = await startS3({ credentials: [{ ...credentials, expiresAt: 1 }] });
    over.put('b', 'm/a', 'a');
    const failed = {
      ...(await failureAt({ ...location, url: location.url.replace(server.url, over.url) })),
    };
    // The host is part of the signature: refused for that, it is still an answer about who we are.
    await assert.rejects(fetcher.locate(entry, { failed }), { code: 'UNAUTHENTICATED' });
    await assert.rejects(open(over, 's3://b/m/a', { credentials }), {
      code: 'UNAUTHENTICATED',
      message: /ExpiredToken/,
    });
  });

  it('are not asked for by a denied listing when the object itself may be read', async () => {
    await using server = await startS3({ allow: (action) => action !== 's3:ListBucket' });
    server.put('b', 'm/a', 'alone');
    const { location } = await locateOnly(await open(server, 's3://b/m/a'));
    assert.equal((await read(location)).body.toString(), 'alone');
    await assert.rejects(pathsOf(server, 's3://b/m/'), {
      code: 'PERMISSION_DENIED',
      hint: /s3:ListBucket on arn:aws:s3:::b /,
    });
    await assert.rejects(pathsOf(server, 's3://b/nope'), {
      code: 'PERMISSION_DENIED',
      hint: /s3:GetObject on arn:aws:s3:::b\/nope/,
    });
  });

  it('may read everything under a folder and not the object of its name', async () => {
    await using server = await startS3({
      allow: (action, _bucket, key) => action !== 's3:GetObject' || key.startsWith('m/'),
    });
    server.put('b', 'm/a', 'a');
    assert.deepEqual(await pathsOf(server, 's3://b/m'), ['a']);
  });
});

describe('s3, a refusal on the data plane', () => {
  it('means what its code says', async () => {
    const cases: [number, string, string][] = [
      [403, 'AccessDenied', 'PERMISSION_DENIED'],
      [403, 'InvalidAccessKeyId', 'UNAUTHENTICATED'],
      [403, 'SignatureDoesNotMatch', 'UNAUTHENTICATED'],
      [404, 'NoSuchKey', 'NOT_FOUND'],
      [404, 'NoSuchBucket', 'NOT_FOUND'],
      [412, 'PreconditionFailed', 'SOURCE_CHANGED'],
      [503, 'SlowDown', 'UNAVAILABLE'],
      [418, 'Teapot', 'BAD_RESPONSE'],
    ];
    let fault: object | undefined;
    await using server = await startS3({ faults: () => fault });
    server.put('b', 'a', 'a');
    const fetcher = await open(server, 's3://b/a');
    const { entry, location } = await locateOnly(fetcher);
    for (const [status, code, expected] of cases) {
      fault = { status, code, retryAfter: 3 };
      const failed = await failureAt(location);
      const expectation = { code: expected, retryAfterMs: 3000 };
      await assert.rejects(fetcher.locate(entry, { failed }), expectation, code);
    }
  });

  it('by If-Match is a source that changed', async () => {
    await using server = await startS3();
    server.put('b', 'a', 'one');
    const fetcher = await open(server, 's3://b/a');
    const { entry, location } = await locateOnly(fetcher);
    server.put('b', 'a', 'two');
    await assert.rejects(again(fetcher, entry, location), { code: 'SOURCE_CHANGED' });
  });

  it('of an old signature is answered by a new one; so is a connection that broke', async () => {
    let now = Date.now();
    await using server = await startS3({ clock: () => now });
    server.put('b', 'a', 'a');
    const fetcher = await open(server, 's3://b/a');
    const { entry, location } = await locateOnly(fetcher);
    now += 20 * 60_000;
    const fresh = await again(fetcher, entry, location);
    assert.equal((await read(fresh)).status, 200);
    const other = (await fetcher.locate(entry, { failed: { location } })) as HttpLocation;
    assert.equal((await read(other)).status, 200);
  });

  it("because of a clock that is far off is answered by the server's time", async () => {
    for (const hours of [-30, 3]) {
      await using server = await startS3({ clock: () => Date.now() + hours * 3_600_000 });
      server.put('b', 'm/a', 'a');
      const fetcher = await open(server, 's3://b/m/');
      const entry = { path: 'a', source: 'm/a' };
      const location = (await fetcher.locate(entry)) as HttpLocation;
      assert.equal((await read(await again(fetcher, entry, location))).status, 200);
      assert.deepEqual(await pathsOf(server, 's3://b/m'), ['a']);
    }
  });

  it('is not answered for ever: a clock that is right and a server that complains end', async () => {
    await using server = await startS3({
      faults: () => ({ status: 403, code: 'RequestTimeTooSkewed' }),
    });
    await assert.rejects(pathsOf(server, 's3://b/m/'), { code: 'UNAUTHENTICATED', hint: /clock/ });
    assert.ok(server.requests.length <= 4);
  });
});

describe('s3, the control plane', () => {
  it('tries again what may pass, as the server asks', async () => {
    const faults = [{ status: 503, retryAfter: 1 }, { refuse: true }, { status: 500 }];
    await using server = await startS3({ faults: ({ index }) => faults[index] });
    server.put('b', 'm/a', 'a');
    const began = Date.now();
    assert.deepEqual(await pathsOf(server, 's3://b/m/'), ['a']);
    assert.ok(Date.now() - began >= 1000);
    assert.equal(server.requests.length, 4);
  });

  it('gives up in the end, and tells what happened', async () => {
    await using server = await startS3({ faults: () => ({ status: 503 }) });
    await assert.rejects(pathsOf(server, 's3://b/m/'), {
      code: 'UNAVAILABLE',
      message: /503 SlowDown/,
    });
    assert.equal(server.requests.length, 5);
  });

  it('does not try again what will not pass', async () => {
    await using server = await startS3({ buckets: ['b'], allow: () => false });
    await assert.rejects(pathsOf(server, 's3://b/m/'), { code: 'PERMISSION_DENIED' });
    assert.equal(server.requests.length, 1);
  });

  it('says UNAVAILABLE when nobody listens', async () => {
    const server = await startS3(await freeAddress());
    await server.close();
    await assert.rejects(pathsOf(server, 's3://b/m/'), { code: 'UNAVAILABLE' });
  });

  it('stops waiting for the next attempt when it is told to', async () => {
    await using server = await startS3({ faults: () => ({ status: 503, retryAfter: 15 }) });
    const controller = new AbortController();
    const fetcher = await open(server, 's3://b/m/', {}, contextFor(controller.signal));
    setTimeout(() => controller.abort(), 100);
    await assert.rejects(listed(fetcher), { code: 'ABORTED' });
  });
});
