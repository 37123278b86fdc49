import assert from 'node:assert/strict';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { suite, test, type TestContext } from 'node:test';
import { fromPlatform } from '../../src/cli/kserve.ts';
import { ModelFetchError } from '../../src/errors.ts';
import { certificatePath, serverCertificate } from '../support/certs.ts';
import { startHttpServer } from '../servers/http.ts';
import { startS3, type S3Options, type S3Server } from '../servers/s3.ts';
import { folder, lastLine, records } from './child.ts';
import { inProcess } from './host.ts';

const noFiles = (path: string): string => {
  throw Object.assign(new Error(`no ${path}`), { code: 'ENOENT' });
};
const SECRET = 'hunter2-hunter2';

/** What `env` becomes, and nothing else: no file is there. */
const translated = (env: Record<string, string>) => fromPlatform(env, noFiles);

function refused(pattern: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof ModelFetchError, String(error));
    assert.deepEqual([error.code, error.exitStatus], ['INVALID_OPTION', 2]);
    assert.match(error.message, pattern);
    assert.doesNotMatch(`${error.stack ?? ''}${String(error.cause)}${error.hint ?? ''}`, /hunter2/);
    return true;
  };
}

async function s3(t: TestContext, options: S3Options = {}): Promise<S3Server> {
  const server = await startS3(options);
  t.after(() => server.close());
  server.put('b', 'm/a.json', '{}');
  server.put('b', 'm/sub/b.bin', 'bbbb');
  return server;
}

/** Fetches `uri` in `env`, and answers what is there then. */
async function fetched(t: TestContext, uri: string, env: Record<string, string>) {
  const dest = join(await folder(t), 'models');
  const ended = await inProcess([uri, dest, '--connect-grace', '0s'], { env });
  const names = await readdir(dest, { recursive: true }).catch(() => []);
  const files = names.filter((name) => !name.startsWith('.model-fetch')).sort();
  return { ...ended, files, told: records(ended.stderr) };
}

const KEYS = { AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'secret' };

suite('nothing of a platform', () => {
  test('is nothing', () => {
    const env = { PATH: '/bin', HOME: '/h' };
    assert.deepEqual(fromPlatform(env), { env, options: {}, warnings: [], notes: [] });
  });

  test("and what KServe's webhook always adds is not a word", () => {
    const env = {
      HF_HUB_ENABLE_HF_TRANSFER: '1',
      HF_XET_HIGH_PERFORMANCE: '1',
      HF_XET_NUM_CONCURRENT_RANGE_GETS: '8',
      S3_VERIFY_SSL: '0',
      S3_ENDPOINT: 'minio.t:9000',
      AWS_ENDPOINT_URL: 'http://minio.t:9000',
    };
    const { warnings, notes } = translated(env);
    assert.deepEqual([warnings, notes], [[], []]);
  });
});

suite('STORAGE_CONFIG', () => {
  const s3Config = (config: object, override?: object) =>
    translated({
      STORAGE_CONFIG: JSON.stringify({ type: 's3', ...config }),
      ...(override && { STORAGE_OVERRIDE_CONFIG: JSON.stringify(override) }),
    }).env;

  test('of type s3 becomes the variables of AWS and KServe, key by key', () => {
    const env = s3Config({
      endpoint_url: 'http://minio:9000',
      access_key_id: 'id',
      secret_access_key: 'key',
      session_token: 'token',
      region: 'eu-central-1',
      ca_bundle: '/ca.crt',
      verify_ssl: '1',
      anonymous: 'True',
      bucket: 'ignored',
    });
    assert.partialDeepStrictEqual(env, {
      AWS_ENDPOINT_URL: 'http://minio:9000',
      AWS_ACCESS_KEY_ID: 'id',
      AWS_SECRET_ACCESS_KEY: 'key',
      AWS_SESSION_TOKEN: 'token',
      AWS_DEFAULT_REGION: 'eu-central-1',
      AWS_CA_BUNDLE: '/ca.crt',
      S3_VERIFY_SSL: '1',
      awsAnonymousCredential: 'True',
    });
  });

  test('may have values of any type that can be meant', () => {
    const env = s3Config({ anonymous: true, verify_ssl: false, access_key_id: 12, region: null });
    assert.partialDeepStrictEqual(env, {
      awsAnonymousCredential: 'true',
      S3_VERIFY_SSL: 'false',
      AWS_ACCESS_KEY_ID: '12',
    });
    assert.equal('AWS_DEFAULT_REGION' in env, false);
    assert.equal(s3Config({ anonymous: 1 })['awsAnonymousCredential'], 'true');
    assert.throws(
      () => s3Config({ secret_access_key: [SECRET] }),
      refused(/^secret_access_key in/),
    );
  });

  test('is replaced key by key by STORAGE_OVERRIDE_CONFIG', () => {
    const env = s3Config({ region: 'a', access_key_id: 'id' }, { region: 'b', anonymous: true });
    assert.partialDeepStrictEqual(env, {
      AWS_DEFAULT_REGION: 'b',
      AWS_ACCESS_KEY_ID: 'id',
      awsAnonymousCredential: 'true',
    });
    const alone = translated({ STORAGE_OVERRIDE_CONFIG: '{"type":"s3","region":"c"}' });
    assert.equal(alone.env['AWS_DEFAULT_REGION'], 'c');
  });

  test('wins over the variables, the narrower ones too, and brings no foreign session token', () => {
    const { env } = translated({
      STORAGE_CONFIG:
        '{"type":"s3","endpoint_url":"http://new","region":"new","access_key_id":"new"}',
      AWS_ENDPOINT_URL: 'http://old',
      AWS_ENDPOINT_URL_S3: 'http://old',
      AWS_REGION: 'old',
      AWS_SESSION_TOKEN: 'old',
    });
    assert.doesNotMatch(JSON.stringify(env), /old/);
    assert.deepEqual([env['AWS_REGION'], env['AWS_ENDPOINT_URL']], ['new', 'http://new']);
  });

  test('of another type, or of none, is passed over with a note for debugging', () => {
    for (const config of [{ type: 'hdfs', HDFS_NAMENODE: SECRET }, { password: SECRET }]) {
      const { env, warnings, notes } = translated({ STORAGE_CONFIG: JSON.stringify(config) });
      assert.deepEqual([Object.keys(env), warnings, notes.length], [['STORAGE_CONFIG'], [], 1]);
      assert.doesNotMatch(notes[0]!, /hunter2/);
    }
  });

  test('that is no JSON object is an error that does not tell what it holds', async () => {
    for (const text of [
      `{"type":"s3","secret_access_key":"${SECRET}"`,
      `"${SECRET}"`,
      `["${SECRET}"]`,
    ])
      for (const name of ['STORAGE_CONFIG', 'STORAGE_OVERRIDE_CONFIG'])
        assert.throws(
          () => translated({ [name]: text }),
          refused(new RegExp(`^${name} is not a JSON object$`)),
        );
    const { status, stderr } = await inProcess(['ls', 's3://b/m', '--log-level', 'debug'], {
      env: { STORAGE_CONFIG: SECRET },
    });
    assert.equal(status, 2);
    assert.doesNotMatch(stderr, /hunter2/);
  });

  test('is enough to fetch a model', async (t) => {
    const server = await s3(t);
    const config = {
      type: 's3',
      endpoint_url: server.url,
      access_key_id: 'test',
      secret_access_key: 'secret',
      bucket: 'b',
      region: 'us-east-1',
      anonymous: false,
      verify_ssl: false,
    };
    const { status, files, stderr, told } = await fetched(t, 's3://b/m', {
      STORAGE_CONFIG: JSON.stringify(config),
    });
    assert.deepEqual([status, files], [0, ['a.json', 'sub', 'sub/b.bin']], stderr);
    assert.deepEqual(
      told.filter(({ level }) => level !== 'info'),
      [],
    );
  });
});

suite('secrets in files', () => {
  const files: Record<string, string> = { '/s/key': 'sesame\n', '/s/empty': ' \n' };
  const read = (path: string) => files[path] ?? noFiles(path);

  test('stand for the variables without _FILE', () => {
    for (const name of [
      'HTTPS_PROXY',
      'HTTP_PROXY',
      'ALL_PROXY',
      'https_proxy',
      'http_proxy',
      'all_proxy',
      'MODEL_FETCH_GCS_CREDENTIALS',
      'models.example.com-headers',
      'RCLONE_CONFIG_MYS3_SSE_CUSTOMER_KEY_BASE64',
      'RCLONE_CONFIG_GS_SERVICE_ACCOUNT_CREDENTIALS',
      'RCLONE_CONFIG_WEB_HEADERS',
    ])
      assert.equal(fromPlatform({ [`${name}_FILE`]: '/s/key' }, read).env[name], 'sesame', name);
  });

  test('do so for STORAGE_CONFIG before it is read', () => {
    const config = () => '{"type":"s3","region":"r"}\n';
    const { env } = fromPlatform({ STORAGE_CONFIG_FILE: '/c' }, config);
    assert.equal(env['AWS_DEFAULT_REGION'], 'r');
    const override = fromPlatform({ STORAGE_OVERRIDE_CONFIG_FILE: '/c' }, config);
    assert.equal(override.env['AWS_DEFAULT_REGION'], 'r');
  });

  test('are not looked for behind names that mean a file themselves', () => {
    const env = {
      AWS_WEB_IDENTITY_TOKEN_FILE: '/nope',
      AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: '/nope',
      AWS_SHARED_CREDENTIALS_FILE: '/nope',
      AWS_CONFIG_FILE: '/nope',
      SSL_CERT_FILE: '/nope',
      MODEL_FETCH_S3_SSE_C_KEY_FILE: '/nope',
      RCLONE_CONFIG_GS_SERVICE_ACCOUNT_FILE: '/nope',
      SOME_FILE: '/nope',
      RCLONE_CONFIG_AZ_KEY_FILE: '/nope',
    };
    assert.deepEqual(fromPlatform(env, read).env, env);
  });

  test('stay files where keys are renewed, and are read when they are needed', () => {
    for (const name of ['ACCESS_KEY_ID', 'SECRET_ACCESS_KEY', 'SESSION_TOKEN']) {
      const variable = `RCLONE_CONFIG_MYS3_${name}_FILE`;
      const env = { [variable]: '/s/key', [`AWS_${name}_FILE`]: '/nope' };
      assert.deepEqual(fromPlatform(env, read).env, env);
      assert.throws(
        () => fromPlatform({ [variable]: '/nope' }, read),
        refused(new RegExp(`${variable} names /nope.*ENOENT`)),
      );
    }
  });

  test('yield to the variable itself, which is worth a warning', () => {
    const env = { AWS_SECRET_ACCESS_KEY: SECRET, AWS_SECRET_ACCESS_KEY_FILE: '/nope' };
    const told = fromPlatform(env, read);
    assert.equal(told.env['AWS_SECRET_ACCESS_KEY'], SECRET);
    assert.match(told.warnings.join(), /^AWS_SECRET_ACCESS_KEY_FILE is not looked at/);
    assert.doesNotMatch(told.warnings.join(), /hunter2/);
  });

  test('that are not there, or empty, are errors that name the variable and the file', () => {
    for (const [path, why] of [
      ['/nope', 'ENOENT'],
      ['/s/empty', 'it is empty'],
    ] as const)
      assert.throws(
        () => fromPlatform({ HTTPS_PROXY_FILE: path }, read),
        refused(new RegExp(`HTTPS_PROXY_FILE names ${path}.*${why}`)),
      );
  });

  test('are enough to fetch a model', async (t) => {
    const server = await s3(t);
    const place = await folder(t);
    await writeFile(join(place, 'id'), 'test\n');
    await writeFile(join(place, 'key'), 'secret\n');
    const { status, stderr } = await fetched(t, 's3://b/m', {
      AWS_ENDPOINT_URL: server.url,
      AWS_ACCESS_KEY_ID_FILE: join(place, 'id'),
      AWS_SECRET_ACCESS_KEY_FILE: join(place, 'key'),
    });
    assert.equal(status, 0, stderr);
  });
});

suite('patterns', () => {
  const patterns = (text: string) =>
    translated({ STORAGE_ALLOW_PATTERNS: text }).options.patterns?.allow;

  test('are a JSON array, a JSON string, or a list with commas', () => {
    assert.deepEqual(patterns('["*.safetensors", " *.json ", ""]'), ['*.safetensors', '*.json']);
    assert.deepEqual(patterns('"*.bin"'), ['*.bin']);
    assert.deepEqual(patterns('*.bin, *.json ,'), ['*.bin', '*.json']);
    assert.deepEqual(patterns('[ab]*.bin,c'), ['[ab]*.bin', 'c']);
    assert.deepEqual(patterns('*.bin'), ['*.bin']);
    for (const nothing of ['', ' ', '[]', '""', ',']) assert.equal(patterns(nothing), undefined);
  });

  test('choose among the files of a folder, allow first, then ignore', async (t) => {
    const server = await s3(t);
    server.put('b', 'm/sub/c.json', 'c');
    const env = { AWS_ENDPOINT_URL: server.url, ...KEYS };
    const allow = await fetched(t, 's3://b/m', { ...env, STORAGE_ALLOW_PATTERNS: '["s*"]' });
    assert.deepEqual(allow.files, ['sub', 'sub/b.bin', 'sub/c.json'], allow.stderr);
    const ignore = await fetched(t, 's3://b/m', { ...env, STORAGE_IGNORE_PATTERNS: '*.json' });
    assert.deepEqual(ignore.files, ['sub', 'sub/b.bin'], ignore.stderr);
    const both = { ...env, STORAGE_ALLOW_PATTERNS: 's*', STORAGE_IGNORE_PATTERNS: '"*.json"' };
    assert.deepEqual((await fetched(t, 's3://b/m', both)).files, ['sub', 'sub/b.bin']);
    const none = await fetched(t, 's3://b/m', { ...env, STORAGE_ALLOW_PATTERNS: 'x' });
    assert.equal(none.status, 10);
  });

  test('do not choose where the URI names one object', async (t) => {
    const server = await s3(t);
    const env = { AWS_ENDPOINT_URL: server.url, ...KEYS, STORAGE_ALLOW_PATTERNS: '*.safetensors' };
    assert.deepEqual((await fetched(t, 's3://b/m/a.json', env)).files, ['a.json']);
    const web = await startHttpServer();
    t.after(() => web.close());
    assert.deepEqual((await fetched(t, web.put('/x.onnx', 'x'), env)).files, ['x.onnx']);
  });
});

suite("KServe's knobs for S3", () => {
  const options = (env: Record<string, string>) => translated(env).options;

  test('the timeouts are one clock here: the longer of the two', () => {
    assert.deepEqual(options({ S3_READ_TIMEOUT: '60' }), { stallTimeoutMs: 60_000 });
    assert.deepEqual(options({ S3_CONNECT_TIMEOUT: '60' }), { stallTimeoutMs: 60_000 });
    assert.deepEqual(options({ S3_CONNECT_TIMEOUT: '5' }), { stallTimeoutMs: 30_000 });
    assert.deepEqual(options({ S3_READ_TIMEOUT: '5' }), { stallTimeoutMs: 15_000 });
    assert.deepEqual(options({ S3_READ_TIMEOUT: '5', S3_CONNECT_TIMEOUT: '2' }), {
      stallTimeoutMs: 5000,
    });
  });

  test('attempts are counted after the first, as boto does', () => {
    assert.deepEqual(options({ S3_MAX_ATTEMPTS: '3' }), { attempts: 4 });
    assert.deepEqual(options({ S3_MAX_ATTEMPTS: '0' }), { attempts: 1 });
  });

  test('S3_MAX_FILE_CONCURRENCY is taken note of, and changes nothing', () => {
    const told = translated({ S3_MAX_FILE_CONCURRENCY: '2' });
    assert.deepEqual([told.options, told.warnings], [{}, []]);
    assert.match(told.notes.join(), /^S3_MAX_FILE_CONCURRENCY is not needed/);
  });

  test('one that is no number is a warning, and the model is fetched all the same', async (t) => {
    const server = await s3(t);
    const env = {
      AWS_ENDPOINT_URL: server.url,
      ...KEYS,
      S3_READ_TIMEOUT: '30s',
      S3_MAX_ATTEMPTS: '',
    };
    const { status, told } = await fetched(t, 's3://b/m', env);
    assert.equal(status, 0);
    const warnings = told.filter(({ level }) => level === 'warn').map(({ msg }) => msg);
    assert.deepEqual(warnings, ['S3_READ_TIMEOUT is not a whole number from 1: ignored']);
  });

  test('a flag wins over them', async (t) => {
    const server = await s3(t, {
      faults: ({ method, key }) =>
        method === 'GET' && key === 'm/a.json' ? { status: 500 } : undefined,
    });
    const env = { AWS_ENDPOINT_URL: server.url, ...KEYS };
    const asks = async (words: string[], more: Record<string, string>) => {
      server.requests.length = 0;
      await inProcess(['s3://b/m', join(await folder(t), 'x'), ...words], {
        env: { ...env, ...more },
      });
      return server.requests.filter(({ method, key }) => method === 'GET' && key === 'm/a.json')
        .length;
    };
    assert.equal(await asks([], { S3_MAX_ATTEMPTS: '1' }), 2);
    assert.equal(await asks(['--attempts', '1'], { S3_MAX_ATTEMPTS: '2' }), 1);
  });
});

suite('certificates', () => {
  const CA = certificatePath('ca');
  const mount = async (t: TestContext, text?: string) => {
    const place = await folder(t);
    if (text !== undefined) await writeFile(join(place, 'cabundle.crt'), text);
    return place;
  };

  test("KServe's global bundle is looked for where its webhook mounts it", () => {
    const told = fromPlatform({ CA_BUNDLE_CONFIGMAP_NAME: 'global-ca-bundle' }, (path) => {
      assert.equal(path, '/etc/ssl/custom-certs/cabundle.crt');
      return '-----BEGIN CERTIFICATE-----';
    });
    assert.equal(told.env['CA_BUNDLE_VOLUME_MOUNT_POINT'], '/etc/ssl/custom-certs');
  });

  test('it is trusted for every scheme, and its absence is a warning, not an error', async (t) => {
    const web = await startHttpServer({ tls: serverCertificate() });
    t.after(() => web.close());
    web.put('/m.bin', 'm');
    const uri = `https://localhost:${web.port}/m.bin`;
    const { readFile } = await import('node:fs/promises');
    const env = { CA_BUNDLE_CONFIGMAP_NAME: 'cas' };
    const good = await mount(t, await readFile(CA, 'utf8'));
    const trusted = await fetched(t, uri, { ...env, CA_BUNDLE_VOLUME_MOUNT_POINT: good });
    assert.deepEqual([trusted.status, trusted.files], [0, ['m.bin']], trusted.stderr);
    for (const bad of [await mount(t), await mount(t, 'no certificate')]) {
      const plain = await s3(t);
      const { status, told } = await fetched(t, 's3://b/m', {
        ...env,
        ...KEYS,
        AWS_ENDPOINT_URL: plain.url,
        CA_BUNDLE_VOLUME_MOUNT_POINT: `${bad}/`,
      });
      const [warning] = told.filter(({ level }) => level === 'warn');
      assert.equal(status, 0);
      assert.match(
        String(warning!['msg']),
        /CA_BUNDLE_CONFIGMAP_NAME is not used: .*cabundle\.crt/,
      );
    }
  });

  test('AWS_CA_BUNDLE is for S3; without it the store is not trusted, and a missing one is an error', async (t) => {
    const server = await s3(t, { tls: serverCertificate() });
    const env = { ...KEYS, AWS_ENDPOINT_URL: `https://localhost:${server.port}` };
    assert.equal((await fetched(t, 's3://b/m', { ...env, AWS_CA_BUNDLE: CA })).status, 0);
    assert.notEqual((await fetched(t, 's3://b/m', env)).status, 0);
    const missing = await fetched(t, 's3://b/m', { ...env, AWS_CA_BUNDLE: '/nope.crt' });
    assert.equal(missing.status, 2);
    assert.match(lastLine(missing.stderr), /\/nope\.crt/);
  });

  test('REQUESTS_CA_BUNDLE and SSL_CERT_FILE are trusted for every scheme', async (t) => {
    const server = await s3(t, { tls: serverCertificate() });
    const env = { ...KEYS, AWS_ENDPOINT_URL: `https://localhost:${server.port}` };
    for (const name of ['REQUESTS_CA_BUNDLE', 'SSL_CERT_FILE'])
      assert.equal((await fetched(t, 's3://b/m', { ...env, [name]: CA })).status, 0, name);
  });

  test('S3_VERIFY_SSL switches the check off, says so, and needs no bundle', async (t) => {
    const server = await s3(t, { tls: serverCertificate() });
    const env = {
      ...KEYS,
      AWS_ENDPOINT_URL: `https://localhost:${server.port}`,
      S3_VERIFY_SSL: 'False',
    };
    const { status, told, stderr } = await fetched(t, 's3://b/m', {
      ...env,
      AWS_CA_BUNDLE: '/nope',
    });
    assert.equal(status, 0, stderr);
    assert.match(JSON.stringify(told), /is not checked: S3_VERIFY_SSL says so/);
  });
});

suite("what belongs to KServe's own words for S3", () => {
  test('S3_ENDPOINT with S3_USE_HTTPS, where AWS_ENDPOINT_URL does not say it', async (t) => {
    const server = await s3(t);
    const env = { ...KEYS, S3_ENDPOINT: `127.0.0.1:${server.port}`, S3_USE_HTTPS: '0' };
    assert.equal((await fetched(t, 's3://b/m', env)).status, 0);
    const other = { ...env, S3_ENDPOINT: '127.0.0.1:1', AWS_ENDPOINT_URL: server.url };
    assert.equal((await fetched(t, 's3://b/m', other)).status, 0);
  });

  test('awsAnonymousCredential reads a public bucket without keys', async (t) => {
    const server = await s3(t, { publicBuckets: ['b'] });
    const env = {
      AWS_ENDPOINT_URL: server.url,
      AWS_ACCESS_KEY_ID: 'no',
      AWS_SECRET_ACCESS_KEY: 'no',
    };
    assert.equal(
      (await fetched(t, 's3://b/m', { ...env, awsAnonymousCredential: 'True' })).status,
      0,
    );
    assert.equal((await fetched(t, 's3://b/m', env)).status, 11);
  });
});

suite('PrimeHub', () => {
  test('phfs and nfs are the mounts that they become', async (t) => {
    const place = await folder(t);
    await mkdir(join(place, 'models'));
    await writeFile(join(place, 'models', 'a'), 'a');
    const phfs = await fetched(t, 'phfs:///models', { MODEL_FETCH_PHFS: place });
    assert.deepEqual([phfs.status, phfs.files], [0, ['a']], phfs.stderr);
    const nfs = await fetched(t, 'nfs://10.0.0.1/models/', { MODEL_FETCH_NFS: place });
    assert.deepEqual([nfs.status, nfs.files], [0, ['a']], nfs.stderr);
    const { stderr } = await inProcess(['schemes'], {
      env: { MODEL_FETCH_PHFS: place, MODEL_FETCH_NFS: place },
    });
    assert.equal(stderr, '');
  });
});
