import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { S3Client } from '@aws-sdk/client-s3';
import { SignatureV4 } from '@smithy/signature-v4';
import { startS3, type S3Server } from './s3.ts';

const run = promisify(execFile);
const MIB = 1024 * 1024;
const { sha256 } = new S3Client({ region: 'x' }).config;

interface Ask {
  readonly method?: string;
  readonly query?: Record<string, string>;
  readonly headers?: Record<string, string>;
  /** Added after signing. */
  readonly unsigned?: Record<string, string>;
  readonly secret?: string;
  readonly accessKeyId?: string;
  readonly region?: string;
  readonly date?: Date;
  readonly presign?: number;
  readonly anonymous?: boolean;
}

interface Answer {
  readonly status: number;
  readonly headers: Record<string, string>;
  readonly body: string;
  /** Of an XML error. */
  readonly code: string | undefined;
}

/** One request, signed by another's implementation. */
async function ask(server: S3Server, path: string, how: Ask = {}): Promise<Answer> {
  const host = `127.0.0.1:${server.port}`;
  const signer = new SignatureV4({
    service: 's3',
    region: how.region ?? 'us-east-1',
    credentials: {
      accessKeyId: how.accessKeyId ?? 'test',
      secretAccessKey: how.secret ?? 'secret',
    },
    sha256,
    uriEscapePath: false,
  });
  const plain = {
    method: how.method ?? 'GET',
    protocol: 'http:',
    hostname: '127.0.0.1',
    path,
    query: how.query ?? {},
    headers: {
      host,
      ...(how.presign !== undefined && { 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD' }),
      ...how.headers,
    },
  };
  const options = { signingDate: how.date ?? new Date() };
  const signed = how.anonymous
    ? plain
    : how.presign !== undefined
      ? await signer.presign(plain, { ...options, expiresIn: how.presign })
      : await signer.sign(plain, options);
  const query = new URLSearchParams(signed.query as Record<string, string>)
    .toString()
    .replaceAll('+', '%20');
  return new Promise((resolve, reject) => {
    const headers = { ...signed.headers, ...how.unsigned };
    const sent = request(
      {
        host: '127.0.0.1',
        port: server.port,
        method: plain.method,
        path: query ? `${path}?${query}` : path,
        headers,
        agent: false,
      },
      (answer) => {
        const chunks: Buffer[] = [];
        answer.on('data', (chunk: Buffer) => chunks.push(chunk));
        answer.on('error', reject);
        answer.on('end', () => {
          const body = Buffer.concat(chunks).toString();
          const code = /<Error><Code>([^<]+)/.exec(body)?.[1];
          resolve({
            status: answer.statusCode!,
            headers: answer.headers as Record<string, string>,
            body,
            code,
          });
        });
      },
    );
    sent.on('error', reject).end();
  });
}

const told = ({ status, code }: Answer): string => `${status} ${code ?? ''}`.trim();

describe('the in-process S3: signatures', () => {
  let server: S3Server;
  before(async () => {
    server = await startS3({ publicBuckets: ['open'] });
    server.put('b', 'k', 'content');
    server.put('open', 'k', 'public');
  });
  after(() => server.close());

  it('are recomputed, in headers and in a presigned query', async () => {
    assert.equal((await ask(server, '/b/k')).body, 'content');
    assert.equal((await ask(server, '/b/k', { presign: 60 })).body, 'content');
    assert.equal(
      (await ask(server, '/b', { query: { 'list-type': '2', prefix: 'a/b c', 'max-keys': '1' } }))
        .status,
      200,
    );
    for (const presign of [undefined, 60]) {
      const more = presign === undefined ? {} : { presign };
      assert.equal(
        told(await ask(server, '/b/k', { secret: 'wrong', ...more })),
        '403 SignatureDoesNotMatch',
      );
      assert.equal(
        told(await ask(server, '/b/k', { accessKeyId: 'who', ...more })),
        '403 InvalidAccessKeyId',
      );
      assert.equal(
        told(await ask(server, '/b/k', { region: 'mars', ...more })),
        '400 AuthorizationHeaderMalformed',
      );
    }
  });

  it('cover every x-amz header, and leave Range and If-Match free', async () => {
    assert.equal(
      told(await ask(server, '/b/k', { unsigned: { 'x-amz-checksum-mode': 'ENABLED' } })),
      '403 AccessDenied',
    );
    assert.equal(
      told(await ask(server, '/b/k', { headers: { 'x-amz-checksum-mode': 'ENABLED' } })),
      '200',
    );
    assert.equal(
      told(await ask(server, '/b/k', { unsigned: { range: 'bytes=0-1', 'if-match': '*' } })),
      '206',
    );
    assert.equal(
      told(await ask(server, '/b/k', { headers: { 'x-a': '1' }, unsigned: { 'x-a': '2' } })),
      '403 SignatureDoesNotMatch',
    );
  });

  it('live for 15 minutes, or for as long as they were made for', async () => {
    const at = (minutes: number): Date => new Date(Date.now() + minutes * 60_000);
    assert.equal(told(await ask(server, '/b/k', { date: at(-14) })), '200');
    assert.equal(told(await ask(server, '/b/k', { date: at(-16) })), '403 RequestTimeTooSkewed');
    assert.equal(told(await ask(server, '/b/k', { date: at(16) })), '403 RequestTimeTooSkewed');
    assert.equal(told(await ask(server, '/b/k', { date: at(-30), presign: 3600 })), '200');
    const late = await ask(server, '/b/k', { date: at(-30), presign: 60 });
    assert.equal(told(late), '403 AccessDenied');
    assert.match(late.body, /Request has expired/);
  });

  it('are not needed where everyone may read, and only there', async () => {
    assert.equal((await ask(server, '/open/k', { anonymous: true })).body, 'public');
    assert.equal(told(await ask(server, '/b/k', { anonymous: true })), '403 AccessDenied');
  });
});

describe('the in-process S3: objects', () => {
  let server: S3Server;
  before(async () => {
    server = await startS3({
      pageSize: 2,
      emptyLastPage: true,
      buckets: [{ name: 'paid', requesterPays: true }],
    });
    server.put('b', 'k', '0123456789', { checksums: ['crc32'] });
    server.put('b', 'l', 'l');
    server.put('paid', 'k', 'k');
  });
  after(() => server.close());

  it('answer ranges exactly', async () => {
    const range = async (value: string): Promise<string> => {
      const answer = await ask(server, '/b/k', { headers: { range: value } });
      return `${told(answer)} ${answer.headers['content-range'] ?? ''} ${answer.code ? '' : answer.body}`;
    };
    assert.equal(await range('bytes=2-4'), '206 bytes 2-4/10 234');
    assert.equal(await range('bytes=8-99'), '206 bytes 8-9/10 89');
    assert.equal(await range('bytes=-3'), '206 bytes 7-9/10 789');
    assert.equal(await range('bytes=10-'), '416 InvalidRange bytes */10 ');
    assert.equal(await range('bytes=0-1,3-4'), '200  0123456789');
  });

  it('keep conditions', async () => {
    const { headers } = await ask(server, '/b/k');
    const etag = headers['etag']!;
    const code = async (more: Record<string, string>): Promise<string> =>
      told(await ask(server, '/b/k', { headers: more }));
    assert.equal(await code({ 'if-match': etag }), '200');
    assert.equal(await code({ 'if-match': '"x"' }), '412 PreconditionFailed');
    assert.equal(await code({ 'if-none-match': etag }), '304');
    assert.equal(await code({ 'if-modified-since': headers['last-modified']! }), '304');
  });

  it('state checksums for wholes only, and only when asked', async () => {
    const crc = async (headers: Record<string, string>): Promise<string | undefined> =>
      (await ask(server, '/b/k', { headers })).headers['x-amz-checksum-crc32'];
    assert.equal(await crc({}), undefined);
    assert.equal(await crc({ 'x-amz-checksum-mode': 'ENABLED' }), 'poTHxg==');
    assert.equal(await crc({ 'x-amz-checksum-mode': 'ENABLED', range: 'bytes=0-9' }), undefined);
  });

  it('end a listing with a page that has no Contents', async () => {
    const first = await ask(server, '/b', { query: { 'list-type': '2' } });
    assert.match(first.body, /<IsTruncated>true/);
    const token = /<NextContinuationToken>([^<]+)/.exec(first.body)![1]!;
    const last = await ask(server, '/b', {
      query: { 'list-type': '2', 'continuation-token': token },
    });
    assert.match(last.body, /<KeyCount>0<.*<IsTruncated>false/s);
    assert.doesNotMatch(last.body, /Contents/);
  });

  it('cost their reader, where the requester pays', async () => {
    assert.equal(told(await ask(server, '/paid/k')), '403 AccessDenied');
    assert.equal(
      told(await ask(server, '/paid/k', { headers: { 'x-amz-request-payer': 'requester' } })),
      '200',
    );
  });
});

describe('the in-process S3: faults', () => {
  it('break one answer as they are told to, and the log keeps account', async () => {
    const content = Buffer.alloc(MIB, 'x');
    let fault: object = {};
    await using server = await startS3({ faults: () => fault });
    server.put('b', 'k', content);
    fault = { status: 503, retryAfter: 2 };
    const slow = await ask(server, '/b/k');
    assert.equal(told(slow), '503 SlowDown');
    assert.equal(slow.headers['retry-after'], '2');
    fault = { dropAfter: 1000 };
    await assert.rejects(ask(server, '/b/k'), { code: 'ECONNRESET' });
    assert.equal(server.requests.at(-1)?.sent, 1000);
    fault = { etag: '"other"' };
    assert.equal((await ask(server, '/b/k')).headers['etag'], '"other"');
    fault = { ignoreIfMatch: true };
    assert.equal(told(await ask(server, '/b/k', { headers: { 'if-match': '"x"' } })), '200');
    fault = { range: 'whole' };
    assert.equal((await ask(server, '/b/k', { headers: { range: 'bytes=0-0' } })).body.length, MIB);
    fault = { range: 'part' };
    const part = await ask(server, '/b/k', { headers: { range: 'bytes=0-0' } });
    assert.deepEqual(
      [part.status, part.body, part.headers['content-range']],
      [200, 'x', `bytes 0-0/${MIB}`],
    );
    fault = { refuse: true };
    await assert.rejects(ask(server, '/b/k'), { code: 'ECONNRESET' });
    assert.partialDeepStrictEqual(server.requests[0], {
      method: 'GET',
      bucket: 'b',
      key: 'k',
      status: 503,
      code: 'SlowDown',
    });
  });
});

const hasBoto = spawnSync('python3', ['-c', 'import boto3'], { timeout: 60_000 }).status === 0;

describe('the in-process S3', () => {
  it(
    'is read correctly by boto3',
    { skip: hasBoto ? false : "python3 -c 'import boto3' fails", timeout: 60_000 },
    async () => {
      const folder = await mkdtemp(join(tmpdir(), 's3-boto-'));
      const server = await startS3({ pageSize: 3, emptyLastPage: true, publicBuckets: ['open'] });
      try {
        const big = Buffer.alloc(20 * MIB, 'model');
        const { etag } = server.put('b', 'big', big, { parts: 8 * MIB, checksums: ['sha256'] });
        for (const key of ['m-v2/x', 'm/a', 'm/zero', 'o/a b#?%+é'])
          server.put('b', key, key.endsWith('zero') ? '' : key, { checksums: ['crc32'] });
        server.put('open', 'p', 'public');
        const { stdout } = await run('python3', [
          join(import.meta.dirname, 's3-boto.py'),
          server.url,
          join(folder, 'big'),
        ]);
        const all = ['big', 'm-v2/x', 'm/a', 'm/zero', 'o/a b#?%+é'];
        const sum = (bytes: Buffer): Buffer => createHash('sha256').update(bytes).digest();
        const pieces = [0, 8, 16].map((start) => sum(big.subarray(start * MIB, (start + 8) * MIB)));
        assert.deepEqual(JSON.parse(stdout), {
          v2: all,
          v1: all,
          startAfter: ['m/zero', 'o/a b#?%+é'],
          groups: ['m-v2/', 'm/', 'o/'],
          buckets: ['b', 'open'],
          etag,
          composite: [`${sum(Buffer.concat(pieces)).toString('base64')}-3`, 'COMPOSITE'],
          parts: [8 * MIB, 8 * MIB, 4 * MIB],
          part: `bytes ${8 * MIB}-${16 * MIB - 1}/${20 * MIB}`,
          odd: 'o/a b#?%+é',
          presigned: 'o/a b#?%+é',
          public: 'public',
          whole: 'm/a',
          otherRegion: 3,
          refusals: [
            'SignatureDoesNotMatch',
            'AccessDenied',
            'NoSuchKey',
            'NoSuchBucket',
            'PreconditionFailed',
            'InvalidRange',
            'MethodNotAllowed',
          ],
        });
        assert.ok((await readFile(join(folder, 'big'))).equals(big));
      } finally {
        await server.close();
        await rm(folder, { recursive: true });
      }
    },
  );
});
