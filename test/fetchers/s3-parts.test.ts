/** What is learnt of the parts of an object whose checksum is a composite. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, test } from 'node:test';
import type { HttpLocation, PartDigest } from '../../src/fetcher.ts';
import type { S3Options } from '../../src/fetchers/s3.ts';
import { large } from '../publish/scene.ts';
import { checksum } from '../servers/s3-checksums.ts';
import {
  startS3,
  type PutOptions,
  type S3Options as Server,
  type S3Server,
} from '../servers/s3.ts';
import { listed, open } from './s3-support.ts';

const MIB = 1024 * 1024;
const BYTES = large(11 * MIB);

type Name = 'crc32' | 'crc32c' | 'sha1' | 'sha256';

/** The location of a large object with these parts, through the listing of its folder. */
async function located(
  server: S3Server,
  put: PutOptions,
  options: S3Options = {},
): Promise<HttpLocation> {
  server.put('b', 'm/w.bin', BYTES, put);
  const fetcher = await open(server, 's3://b/m/', options);
  const [entry] = await listed(fetcher);
  server.requests.length = 0;
  return (await fetcher.locate(entry!)) as HttpLocation;
}

function partsFor(algorithm: Name, sizes: readonly number[]): PartDigest[] {
  let end = 0;
  return sizes.map((size) => ({
    digest: `${algorithm}:${checksum(algorithm, BYTES.subarray(end, end + size)).toString('hex')}`,
    end: (end += size),
  }));
}

/** The requests that were made, without what they have in common. */
function asked(server: S3Server): string[] {
  return server.requests.map(({ method, query }) =>
    query.has('attributes')
      ? 'attributes'
      : [method, query.get('partNumber')].filter(Boolean).join(' '),
  );
}

const THREE = [5 * MIB, 5 * MIB, MIB];
/** GetObjectAttributes needs a permission of its own, and some stores do not have it. */
const WITHOUT_ATTRIBUTES: Readonly<Record<string, Server>> = {
  'where the permission is missing': { allow: (action) => action !== 's3:GetObjectAttributes' },
  'where the store does not have the request': {
    faults: ({ query }) =>
      query.has('attributes') ? { status: 501, code: 'NotImplemented' } : undefined,
  },
  'where the store answers with something else': {
    faults: ({ query }) =>
      query.has('attributes') ? { status: 400, code: 'InvalidArgument' } : undefined,
  },
};

describe('the parts of an S3 object', () => {
  for (const name of ['crc32', 'crc32c', 'sha1', 'sha256'] as const)
    test(`are learnt with their ${name}`, async () => {
      await using server = await startS3();
      const { parts, digests } = await located(server, { parts: 5 * MIB, checksums: [name] });
      assert.deepEqual(parts?.digests, partsFor(name, THREE));
      assert.ok(parts.digest?.startsWith(`${name}:`));
      assert.equal(digests, undefined);
      assert.deepEqual(asked(server), ['HEAD', 'attributes']);
    });

  test('may be of different sizes', async () => {
    await using server = await startS3();
    const sizes = [6 * MIB, 1, 5 * MIB - 1];
    const { parts } = await located(server, { parts: sizes, checksums: ['crc32'] });
    assert.deepEqual(parts?.digests, partsFor('crc32', sizes));
  });

  test('are told a thousand at a time', async () => {
    await using server = await startS3();
    const { parts } = await located(server, { parts: 5 * 1024, checksums: ['crc32'] });
    const count = Math.ceil(BYTES.length / (5 * 1024));
    assert.equal(parts?.digests.length, count);
    assert.equal(parts.digests.at(-1)!.end, BYTES.length);
    assert.deepEqual(asked(server), [
      'HEAD',
      ...Array<string>(Math.ceil(count / 1000)).fill('attributes'),
    ]);
  });

  for (const [where, options] of Object.entries(WITHOUT_ATTRIBUTES))
    test(`are asked for one by one ${where}`, async () => {
      await using server = await startS3(options);
      const { parts } = await located(server, { parts: 5 * MIB, checksums: ['sha256'] });
      assert.deepEqual(parts?.digests, partsFor('sha256', THREE));
      assert.deepEqual(asked(server).sort(), ['HEAD', 'HEAD 1', 'HEAD 2', 'HEAD 3', 'attributes']);
    });

  for (const options of [{}, WITHOUT_ATTRIBUTES['where the permission is missing']])
    test(`are learnt with a customer key, ${options?.allow ? 'one by one' : 'all at once'}`, async () => {
      await using server = await startS3(options);
      const customerKey = randomBytes(32);
      const put = { parts: 5 * MIB, checksums: ['crc32c'], customerKey } as const;
      const { parts } = await located(server, put, { customerKey: customerKey.toString('base64') });
      assert.deepEqual(parts?.digests, partsFor('crc32c', THREE));
    });

  test('are learnt where neither type nor number says that it is a composite', async () => {
    await using server = await startS3();
    const put = { parts: 5 * MIB, checksums: ['sha256'] } as const;
    const digests = partsFor('sha256', THREE);
    const raw = Buffer.from(digests.map(({ digest }) => digest.split(':')[1]).join(''), 'hex');
    const composite = checksum('sha256', raw);
    const stated = { sha256: composite.toString('base64') };
    const { parts } = await located(server, { ...put, stated, stateType: false });
    assert.deepEqual(parts, { digests, digest: `sha256:${composite.toString('hex')}` });
  });

  test('are of no use where there are no checksums of theirs', async () => {
    await using server = await startS3();
    const stated = { crc32: 'AAAAAA==-3' };
    assert.equal((await located(server, { parts: 5 * MIB, stated })).parts, undefined);
    assert.deepEqual(asked(server), ['HEAD', 'attributes', 'HEAD 1']);
  });

  test('of an object that has no composite are not asked for', async () => {
    await using server = await startS3();
    for (const put of [{}, { parts: 5 * MIB }, { checksums: ['crc32'] }] satisfies PutOptions[]) {
      assert.equal((await located(server, put)).parts, undefined);
      assert.deepEqual(asked(server), ['HEAD']);
    }
  });

  for (const when of ['attributes', 'partNumber'])
    test(`of an object that is replaced meanwhile are not those of the old one: by ${when}`, async () => {
      await using server = await startS3({
        allow: (action) => when === 'attributes' || action !== 's3:GetObjectAttributes',
        faults: ({ query }) => {
          if (query.has(when))
            server.put('b', 'm/w.bin', large(11 * MIB, 2), {
              parts: 5 * MIB,
              checksums: ['crc32'],
            });
          return undefined;
        },
      });
      const { etag } = server.put('b', 'm/w.bin', BYTES, { parts: 5 * MIB, checksums: ['crc32'] });
      const { parts, pin } = await located(server, { parts: 5 * MIB, checksums: ['crc32'] });
      assert.equal(parts, undefined);
      assert.deepEqual(pin?.request, { 'if-match': etag });
    });

  test('stay unknown when the store is out of order, and the run says so', async () => {
    await using server = await startS3({
      faults: ({ query }) => (query.has('attributes') ? { status: 500 } : undefined),
    });
    const put = { parts: 5 * MIB, checksums: ['crc32'] } as const;
    await assert.rejects(located(server, put), { code: 'UNAVAILABLE' });
  });
});
