import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { suite, test, type TestContext } from 'node:test';
import { remoteRegistrations } from '../../src/cli/seldon.ts';
import { gcsEnv, httpEnv, s3Env, type Remote } from '../../src/cli/seldon/remote-env.ts';
import { startGcs } from '../servers/gcs.ts';
import { startHttpServer } from '../servers/http.ts';
import { startS3, type S3Options, type S3Server } from '../servers/s3.ts';
import { folder, lastLine } from './child.ts';
import { inProcess } from './host.ts';

const ELSEWHERE = {
  AWS_ENDPOINT_URL: 'http://127.0.0.1:1',
  AWS_ACCESS_KEY_ID: 'of-another-store',
  AWS_SECRET_ACCESS_KEY: 'of-another-store',
};

async function s3(t: TestContext, options: S3Options = {}): Promise<S3Server> {
  const server = await startS3(options);
  t.after(() => server.close());
  server.put('b', 'm/a.bin', 'of the remote');
  return server;
}

/** The variables of a remote in the pod's environment. */
function remote(name: string, settings: Record<string, string>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(settings).map(([key, value]) => [`RCLONE_CONFIG_${name}_${key}`, value]),
  );
}

async function fetched(t: TestContext, uri: string, env: Record<string, string>) {
  const dest = join(await folder(t), 'models');
  const ended = await inProcess([uri, dest, '--connect-grace', '0s'], { env });
  const names = await readdir(dest, { recursive: true }).catch(() => []);
  return { ...ended, dest, files: names.filter((name) => !name.startsWith('.model-fetch')).sort() };
}

suite('a remote of type s3', () => {
  const settings = (server: S3Server) => ({
    TYPE: 's3',
    PROVIDER: 'minio',
    ENV_AUTH: 'false',
    ACCESS_KEY_ID: 'test',
    SECRET_ACCESS_KEY: 'secret',
    ENDPOINT: server.url,
  });

  test('is a scheme of its own, and not that of the other store in the environment', async (t) => {
    const server = await s3(t);
    const env = { ...ELSEWHERE, ...remote('MYS3', settings(server)) };
    for (const uri of ['mys3:b/m', 'MYS3:b/m/', 'mys3://b/m']) {
      const { status, files, stderr } = await fetched(t, uri, env);
      assert.deepEqual([status, files], [0, ['a.bin']], stderr);
    }
  });

  test('may be called s3, as in Seldon’s own examples: then it is who answers for s3://', async (t) => {
    const server = await s3(t);
    const env = { ...ELSEWHERE, ...remote('S3', settings(server)) };
    for (const uri of ['s3://b/m', 's3:b/m'])
      assert.equal((await fetched(t, uri, env)).status, 0, uri);
  });

  test('may have underscores in its name', async (t) => {
    const env = remote('MY_S3', settings(await s3(t)));
    assert.equal((await fetched(t, 'my_s3:b/m', env)).status, 0);
  });

  test('may have its secret in a file', async (t) => {
    const { SECRET_ACCESS_KEY, ...rest } = settings(await s3(t));
    const file = join(await folder(t), 'secret');
    await writeFile(file, `${SECRET_ACCESS_KEY}\n`);
    const env = remote('MYS3', { ...rest, SECRET_ACCESS_KEY_FILE: file });
    assert.equal((await fetched(t, 'mys3:b/m', env)).status, 0);
  });

  test('may have its keys in files, which are read again when they were renewed', async (t) => {
    const place = await folder(t);
    const names = ['ACCESS_KEY_ID', 'SECRET_ACCESS_KEY', 'SESSION_TOKEN'];
    const write = (word: string): void => {
      for (const name of names) writeFileSync(join(place, name), `${word}-${name}\n`);
    };
    const keysOf = (word: string, expiresAt?: number) => ({
      accessKeyId: `${word}-ACCESS_KEY_ID`,
      secretAccessKey: `${word}-SECRET_ACCESS_KEY`,
      sessionToken: `${word}-SESSION_TOKEN`,
      ...(expiresAt !== undefined && { expiresAt }),
    });
    write('old');
    const server = await s3(t, {
      credentials: [keysOf('old', 1), keysOf('new')],
      faults: () => {
        write('new');
        return undefined;
      },
    });
    const files = Object.fromEntries(names.map((name) => [`${name}_FILE`, join(place, name)]));
    const env = remote('MYS3', { TYPE: 's3', ENDPOINT: server.url, ...files });
    const { status, stderr } = await fetched(t, 'mys3:b/m', env);
    assert.equal(status, 0, stderr);
    assert.ok(server.requests.some(({ code }) => code === 'ExpiredToken'));
  });

  test('has the key of its objects by value or in a file', async (t) => {
    const key = Buffer.alloc(32, 7).toString('base64');
    const file = join(await folder(t), 'key');
    await writeFile(file, `${key}\n`);
    const server = await s3(t);
    for (const more of [{ SSE_CUSTOMER_KEY_BASE64: key }, { SSE_CUSTOMER_KEY_BASE64_FILE: file }]) {
      server.requests.length = 0;
      await fetched(t, 'mys3:b/m', remote('MYS3', { ...settings(server), ...more }));
      const sent = server.requests.map(
        ({ headers }) => headers['x-amz-server-side-encryption-customer-key'],
      );
      assert.ok(sent.includes(key), JSON.stringify(Object.keys(more)));
    }
  });

  test('without keys is read as nobody; with ENV_AUTH by the keys of the environment', async (t) => {
    const server = await s3(t, { publicBuckets: ['open'] });
    server.put('open', 'm/x', 'x');
    const bare = remote('MYS3', { TYPE: 's3', ENDPOINT: server.url });
    const keys = { AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'secret' };
    assert.equal((await fetched(t, 'mys3:open/m', { ...keys, ...bare })).status, 0);
    assert.equal((await fetched(t, 'mys3:b/m', { ...keys, ...bare })).status, 11);
    const byEnv = { ...keys, ...bare, RCLONE_CONFIG_MYS3_ENV_AUTH: 'true' };
    assert.equal((await fetched(t, 'mys3:b/m', byEnv)).status, 0);
  });

  test('with a session token is read with it', async (t) => {
    const credentials = [
      { accessKeyId: 'ASIA', secretAccessKey: 'secret', sessionToken: 'the-token' },
    ];
    const server = await s3(t, { credentials });
    const env = remote('MYS3', {
      ...settings(server),
      ACCESS_KEY_ID: 'ASIA',
      SESSION_TOKEN: 'the-token',
    });
    assert.equal((await fetched(t, 'mys3:b/m', env)).status, 0);
    const without = remote('MYS3', { ...settings(server), ACCESS_KEY_ID: 'ASIA' });
    assert.equal((await fetched(t, 'mys3:b/m', without)).status, 11);
  });

  test('becomes the words of AWS', () => {
    const of = (more: Record<string, string>): Remote => ({
      name: 'r',
      settings: { TYPE: 's3', ...more },
    });
    const env = s3Env(
      of({
        ACCESS_KEY_ID: 'k',
        SECRET_ACCESS_KEY: 's',
        REGION: 'eu-west-1',
        ENDPOINT: 'minio:9000',
        FORCE_PATH_STYLE: 'false',
        REQUESTER_PAYS: 'true',
        USE_ACCELERATE_ENDPOINT: 'true',
        SSE_CUSTOMER_KEY_BASE64: 'c3Nl',
      }),
      { ...ELSEWHERE, AWS_REGION: 'us-west-2', S3_USE_HTTPS: '0', HTTPS_PROXY: 'http://p' },
    );
    assert.deepEqual(env, {
      AWS_ACCESS_KEY_ID: 'k',
      AWS_SECRET_ACCESS_KEY: 's',
      AWS_REGION: 'eu-west-1',
      AWS_REQUEST_PAYER: 'requester',
      MODEL_FETCH_S3_SSE_C_KEY: 'c3Nl',
      S3_ENDPOINT: 'minio:9000',
      S3_USER_VIRTUAL_BUCKET: 'true',
      S3_USE_ACCELERATE: 'true',
      HTTPS_PROXY: 'http://p',
    });
    const profile = s3Env(of({ ENV_AUTH: 'true', PROFILE: 'prod' }), {});
    assert.deepEqual(profile, { AWS_PROFILE: 'prod' });
  });
});

suite('a remote of type google cloud storage', () => {
  test('is read with the account that it brings as text, or as a file', async (t) => {
    const server = await startGcs({ requireAuth: true, buckets: { b: { 'm/a.bin': 'a' } } });
    t.after(() => server.close());
    const file = join(await folder(t), 'key.json');
    const account = JSON.stringify(server.serviceAccount());
    await writeFile(file, account);
    const env = { GOOGLE_APPLICATION_CREDENTIALS: '/of/another/store.json' };
    const settings = { TYPE: 'google cloud storage', ENDPOINT: `${server.url}/storage/v1/` };
    for (const more of [
      { SERVICE_ACCOUNT_CREDENTIALS: account },
      { SERVICE_ACCOUNT_CREDENTIALS_FILE: file },
      { SERVICE_ACCOUNT_FILE: file },
    ])
      for (const uri of ['gs://b/m', 'gs:b/m']) {
        const { status, files, stderr } = await fetched(t, uri, {
          ...env,
          ...remote('GS', { ...settings, ...more }),
        });
        assert.deepEqual([status, files], [0, ['a.bin']], stderr);
      }
    const broken = remote('GS', {
      ...settings,
      SERVICE_ACCOUNT_CREDENTIALS: '{"private_key":"hunter2"',
    });
    const { status, stderr } = await fetched(t, 'gs://b/m', broken);
    assert.equal(status, 2);
    assert.doesNotMatch(stderr, /hunter2/);
  });

  test('is read as nobody where it says so, whatever account there is', async (t) => {
    const server = await startGcs({ buckets: { b: { 'm/a.bin': 'a' } } });
    t.after(() => server.close());
    const file = join(await folder(t), 'key.json');
    await writeFile(file, JSON.stringify(server.serviceAccount()));
    const signed = async (anonymous: string): Promise<boolean> => {
      const settings = {
        TYPE: 'google cloud storage',
        ANONYMOUS: anonymous,
        ENDPOINT: server.url,
        SERVICE_ACCOUNT_FILE: file,
      };
      server.requests.length = 0;
      assert.equal((await fetched(t, 'gs://b/m', remote('GS', settings))).status, 0);
      return server.requests.some(({ headers }) => headers.authorization !== undefined);
    };
    assert.deepEqual([await signed('true'), await signed('false')], [false, true]);
  });

  test('becomes the words of Google', () => {
    const settings = { TYPE: 'gcs', USER_PROJECT: 'p', ANONYMOUS: 'false' };
    assert.deepEqual(gcsEnv({ name: 'g', settings }, { GOOGLE_APPLICATION_CREDENTIALS: '/k' }), {
      GOOGLE_APPLICATION_CREDENTIALS: '/k',
      MODEL_FETCH_GCS_USER_PROJECT: 'p',
    });
  });
});

suite('a remote of type http', () => {
  test('is a file below its URL, with its headers', async (t) => {
    const web = await startHttpServer();
    t.after(() => web.close());
    web.put('/base/m/a.onnx', 'onnx');
    const settings = { TYPE: 'http', URL: web.url('/base/'), HEADERS: 'X-Key,"a,b",X-Other,c' };
    const { status, dest, stderr } = await fetched(t, 'web:m/a.onnx', remote('WEB', settings));
    assert.equal(status, 0, stderr);
    assert.equal(await readFile(join(dest, 'a.onnx'), 'utf8'), 'onnx');
    assert.deepEqual(
      [web.requests[0]!.headers['x-key'], web.requests[0]!.headers['x-other']],
      ['a,b', 'c'],
    );
  });

  test('called http takes nothing away from http://', async (t) => {
    const [web, other] = [await startHttpServer(), await startHttpServer()];
    t.after(() => Promise.all([web.close(), other.close()]));
    const env = remote('HTTP', { TYPE: 'http', URL: web.url('/base') });
    web.put('/base/x', 'x');
    assert.equal((await fetched(t, other.put('/y', 'y'), env)).status, 0);
    assert.equal((await fetched(t, 'http:x', env)).status, 0);
    assert.deepEqual([web.requests.length > 0, other.requests.length > 0], [true, true]);
  });

  test('needs a URL', () => {
    assert.throws(() => httpEnv({ name: 'web', settings: { TYPE: 'http' } }, {}), {
      code: 'INVALID_OPTION',
      hint: /RCLONE_CONFIG_WEB_URL/,
    });
  });
});

suite('remotes', () => {
  test('of another type are told when they are asked for, and not before', async (t) => {
    const server = await s3(t, { publicBuckets: ['b'] });
    const env = {
      AWS_ENDPOINT_URL: server.url,
      awsAnonymousCredential: 'true',
      ...remote('AZ', { TYPE: 'azureblob' }),
    };
    assert.equal((await fetched(t, 's3://b/m', env)).status, 0);
    const { status, stderr } = await fetched(t, 'az:c/m', env);
    assert.equal(status, 17);
    assert.match(lastLine(stderr), /remote az is of type .*azureblob/);
  });

  test('are listed among the schemes, and explained', async () => {
    const env = remote('MYS3', {
      TYPE: 's3',
      ACCESS_KEY_ID: 'k',
      SECRET_ACCESS_KEY: 'hunter2',
      ENDPOINT: 'minio:9000',
    });
    assert.match((await inProcess(['schemes'], { env })).stdout, /^mys3 +mys3:bucket\/path$/m);
    const { stdout } = await inProcess(['explain', 'mys3:b/m'], { env });
    assert.match(stdout, /https:\/\/minio:9000/);
    assert.doesNotMatch(stdout, /hunter2/);
  });

  test('there are none without their variables', () => {
    assert.deepEqual(remoteRegistrations({ RCLONE_VERBOSE: '1', RCLONE_CONFIG: '/x' }), []);
  });
});
