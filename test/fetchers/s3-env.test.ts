import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { HttpLocation } from '../../src/fetcher.ts';
import { fromEnv } from '../../src/fetchers/s3.ts';
import { optionsFromEnv } from '../../src/fetchers/s3-options.ts';
import { parseRef } from '../../src/ref.ts';
import { startS3 } from '../servers/s3.ts';
import { contextFor, listed, read } from './s3-support.ts';

describe('s3 options from the environment', () => {
  const endpoint = (env: Record<string, string>): string | undefined =>
    optionsFromEnv(env).endpoint;

  it("take the endpoint by precedence, KServe's own words last", () => {
    assert.equal(endpoint({}), undefined);
    assert.equal(endpoint({ AWS_ENDPOINT_URL: 'http://minio:9000/' }), 'http://minio:9000');
    assert.equal(
      endpoint({ AWS_ENDPOINT_URL: 'http://a', AWS_ENDPOINT_URL_S3: 'http://b' }),
      'http://b',
    );
    assert.equal(endpoint({ S3_ENDPOINT: 'minio:9000' }), 'https://minio:9000');
    assert.equal(endpoint({ S3_ENDPOINT: 'minio:9000', S3_USE_HTTPS: '0' }), 'http://minio:9000');
    assert.equal(endpoint({ S3_ENDPOINT: 'minio:9000', S3_USE_HTTPS: '1' }), 'https://minio:9000');
    assert.equal(endpoint({ S3_ENDPOINT: 'http://minio' }), 'http://minio');
    assert.equal(endpoint({ S3_ENDPOINT: 'x', AWS_ENDPOINT_URL: 'http://a' }), 'http://a');
    assert.equal(endpoint({ AWS_ENDPOINT_URL: 'https://s3.amazonaws.com' }), undefined);
    assert.throws(() => endpoint({ AWS_ENDPOINT_URL: 'minio:9000' }), { code: 'INVALID_OPTION' });
  });

  it('take region, addressing, payer and anonymity', () => {
    assert.equal(optionsFromEnv({ AWS_DEFAULT_REGION: 'a' }).region, 'a');
    assert.equal(optionsFromEnv({ AWS_DEFAULT_REGION: 'a', AWS_REGION: 'b' }).region, 'b');
    assert.equal(optionsFromEnv({ S3_USER_VIRTUAL_BUCKET: 'True' }).addressing, 'virtual');
    assert.equal(optionsFromEnv({ S3_USER_VIRTUAL_BUCKET: 'false' }).addressing, undefined);
    assert.equal(optionsFromEnv({ S3_USE_ACCELERATE: 'true' }).accelerate, true);
    assert.equal(optionsFromEnv({ AWS_REQUEST_PAYER: 'requester' }).requesterPays, true);
    assert.equal(optionsFromEnv({ MODEL_FETCH_S3_REQUEST_PAYER: 'requester' }).requesterPays, true);
    assert.equal(
      optionsFromEnv({
        awsAnonymousCredential: 'true',
        AWS_ACCESS_KEY_ID: 'k',
        AWS_SECRET_ACCESS_KEY: 's',
      }).credentials,
      'anonymous',
    );
    assert.equal(optionsFromEnv({ MODEL_FETCH_S3_ANONYMOUS: 'true' }).credentials, 'anonymous');
    assert.equal(optionsFromEnv({ awsAnonymousCredential: 'false' }).credentials, undefined);
  });

  it('take keys only in pairs', () => {
    assert.deepEqual(
      optionsFromEnv({ AWS_ACCESS_KEY_ID: 'k', AWS_SECRET_ACCESS_KEY: 's', AWS_SESSION_TOKEN: 't' })
        .credentials,
      {
        accessKeyId: 'k',
        secretAccessKey: 's',
        sessionToken: 't',
      },
    );
    assert.equal(optionsFromEnv({ AWS_ACCESS_KEY_ID: 'k' }).credentials, undefined);
  });

  it('take certificates by reference', () => {
    assert.deepEqual(optionsFromEnv({ AWS_CA_BUNDLE: '/ca.pem' }).transport, { ca: '/ca.pem' });
    assert.deepEqual(optionsFromEnv({ S3_VERIFY_SSL: '0' }).transport, { insecure: true });
    assert.deepEqual(optionsFromEnv({ S3_VERIFY_SSL: 'False' }).transport, { insecure: true });
    assert.equal(optionsFromEnv({ S3_VERIFY_SSL: '1' }).transport, undefined);
    const mounted = {
      CA_BUNDLE_CONFIGMAP_NAME: 'cas',
      CA_BUNDLE_VOLUME_MOUNT_POINT: '/etc/ssl/custom-certs/',
    };
    assert.deepEqual(optionsFromEnv(mounted).transport, {
      ca: '/etc/ssl/custom-certs/cabundle.crt',
    });
  });

  it('take the customer key, and refuse one that is none', async () => {
    const folder = await mkdtemp(join(tmpdir(), 's3-env-'));
    const key = Buffer.alloc(32, 1).toString('base64');
    await writeFile(join(folder, 'key'), `${key}\n`);
    assert.equal(optionsFromEnv({ MODEL_FETCH_S3_SSE_C_KEY: key }).customerKey, key);
    assert.equal(
      optionsFromEnv({ MODEL_FETCH_S3_SSE_C_KEY_FILE: join(folder, 'key') }).customerKey,
      key,
    );
    const refused = { code: 'INVALID_OPTION' };
    assert.throws(() => optionsFromEnv({ MODEL_FETCH_S3_SSE_C_KEY: 'c2hvcnQ=' }), refused);
    assert.throws(
      () => optionsFromEnv({ MODEL_FETCH_S3_SSE_C_KEY_FILE: join(folder, 'none') }),
      refused,
    );
    await rm(folder, { recursive: true });
  });

  it('are enough to read a model', async () => {
    await using server = await startS3({ region: 'eu-west-3' });
    server.put('b', 'm/a', 'a');
    const resolver = fromEnv({
      AWS_ENDPOINT_URL: server.url,
      AWS_ACCESS_KEY_ID: 'test',
      AWS_SECRET_ACCESS_KEY: 'secret',
    });
    const fetcher = await resolver.resolve(parseRef('s3://b/m'), contextFor());
    const [entry] = await listed(fetcher);
    const location = (await fetcher.locate(entry!)) as HttpLocation;
    assert.equal((await read(location)).body.toString(), 'a');
  });
});

describe('s3 explained', () => {
  let home: string;
  before(async () => (home = await mkdtemp(join(tmpdir(), 's3-home-'))));
  after(() => rm(home, { recursive: true }));

  const explain = async (
    env: Record<string, string>,
    uri = 's3://b/m',
  ): Promise<Record<string, unknown>> => ({
    ...(await fromEnv({ HOME: home, ...env }).explain!(parseRef(uri), contextFor())),
  });
  const source = async (env: Record<string, string>): Promise<unknown> =>
    (await explain(env))['credentials'];

  it('names the parts, the endpoint, the region and the form of address', async () => {
    const env = {
      AWS_ENDPOINT_URL: 'http://minio:9000',
      AWS_REGION: 'eu-west-1',
      awsAnonymousCredential: 'true',
    };
    assert.deepEqual(await explain(env, 's3://b/k#1?versionId=v'), {
      parts: { bucket: 'b', key: 'k#1', versionId: 'v', region: 'eu-west-1', addressing: 'path' },
      credentials: 'anonymous',
      endpoint: 'http://minio:9000',
    });
    assert.partialDeepStrictEqual(await explain({ awsAnonymousCredential: 'true' }), {
      parts: { region: 'us-east-1', addressing: 'virtual' },
    });
  });

  it('names the source of the credentials and no secret', async () => {
    const keys = { AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE', AWS_SECRET_ACCESS_KEY: 'sesame' };
    assert.equal(await source(keys), 'environment keys (AWS_ACCESS_KEY_ID)');
    assert.match(
      String(await source({ ...keys, AWS_SESSION_TOKEN: 'tok' })),
      /^environment temporary keys/,
    );
    assert.ok(
      !JSON.stringify(await explain({ ...keys, AWS_SESSION_TOKEN: 'tok' })).match(
        /sesame|AKID|"tok"/,
      ),
    );
    assert.equal(await source({ AWS_PROFILE: 'prod' }), 'profile prod (AWS_PROFILE)');
    const role = { AWS_ROLE_ARN: 'arn:aws:iam::1:role/r', AWS_WEB_IDENTITY_TOKEN_FILE: '/token' };
    assert.match(String(await source(role)), /^web identity, role arn:aws:iam::1:role\/r/);
    assert.match(
      String(await source({ AWS_CONTAINER_CREDENTIALS_FULL_URI: 'http://x' })),
      /Pod Identity/,
    );
    assert.match(String(await source({ AWS_CONTAINER_CREDENTIALS_RELATIVE_URI: '/x' })), /ECS/);
    assert.match(String(await source({})), /^instance metadata/);
    assert.equal(await source({ AWS_EC2_METADATA_DISABLED: 'true' }), 'none');
  });

  it('finds a default profile that has something to sign with', async () => {
    const file = join(home, 'credentials');
    const env = { AWS_SHARED_CREDENTIALS_FILE: file };
    await writeFile(file, '[default]\nregion = x\n[other]\naws_access_key_id = k\n');
    assert.match(String(await source(env)), /^instance metadata/);
    await writeFile(file, '[default]\naws_access_key_id = k\naws_secret_access_key = s\n');
    assert.equal(await source(env), 'profile default');
  });
});
