/** What KServe's own tests say about its environment, as cases of ours: `get_S3_config`, storage specs, bundles of authorities. */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { suite, test, type TestContext } from 'node:test';
import { fromPlatform } from '../../src/cli/kserve.ts';
import { optionsFromEnv } from '../../src/fetchers/s3-options.ts';
import { folder, lastLine, records } from '../cli/child.ts';
import { inProcess } from '../cli/host.ts';
import { startHttpServer } from '../servers/http.ts';
import { startS3 } from '../servers/s3.ts';
import { certificatePath, serverCertificate } from '../support/certs.ts';
import { noteCase, testDocument } from './conformance-doc.ts';

type Variables = Readonly<Record<string, string>>;

const CA = certificatePath('ca');
const KEYS = { AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'secret' };

const none = (path: string): string => {
  throw Object.assign(new Error(`no ${path}`), { code: 'ENOENT' });
};
/** What the S3 fetcher and the engine are told in `env`. */
const told = (env: Variables) => {
  const { env: translated, options } = fromPlatform(env, none);
  return { ...optionsFromEnv(translated), ...options };
};

suite('get_S3_config', () => {
  const table: readonly (readonly [name: string, env: Variables, part: object])[] = [
    ['nothing set', {}, { accelerate: false, requesterPays: false }],
    ['anonymous', { awsAnonymousCredential: 'True' }, { credentials: 'anonymous' }],
    ['not anonymous', { awsAnonymousCredential: 'False' }, { accelerate: false }],
    ['virtual addressing', { S3_USER_VIRTUAL_BUCKET: 'true' }, { addressing: 'virtual' }],
    ['acceleration', { S3_USE_ACCELERATE: 'true' }, { accelerate: true }],
    [
      "Amazon's old endpoint with a region: the endpoint of the region",
      { AWS_ENDPOINT_URL: 'https://s3.amazonaws.com', AWS_DEFAULT_REGION: 'eu-west-1' },
      { region: 'eu-west-1' },
    ],
    [
      'an endpoint of one’s own stays',
      { AWS_ENDPOINT_URL: 'http://minio:9000', AWS_DEFAULT_REGION: 'eu-west-1' },
      { endpoint: 'http://minio:9000', region: 'eu-west-1' },
    ],
    [
      '≠ timeouts: the longer of the two is the stall clock',
      { S3_CONNECT_TIMEOUT: '5', S3_READ_TIMEOUT: '60' },
      { stallTimeoutMs: 60_000 },
    ],
    ['attempts', { S3_MAX_ATTEMPTS: '7' }, { attempts: 8 }],
  ];
  for (const [name, env, part] of table)
    test(noteCase('get_S3_config', name), () => {
      assert.partialDeepStrictEqual(told(env), part);
      const { endpoint, credentials } = told(env);
      if (!('endpoint' in part)) assert.equal(endpoint, undefined);
      if (!('credentials' in part)) assert.equal(credentials, undefined);
    });
});

suite('update_with_storage_spec_s3', () => {
  const spec = (config: object, override?: object): Variables => ({
    STORAGE_CONFIG: JSON.stringify(config),
    ...(override && { STORAGE_OVERRIDE_CONFIG: JSON.stringify(override) }),
  });
  const changed = (env: Variables): object => {
    const { env: after } = fromPlatform(env, none);
    return Object.fromEntries(
      Object.entries(after).filter(([name]) => !name.startsWith('STORAGE_')),
    );
  };
  const full = {
    type: 's3',
    access_key_id: 'id',
    secret_access_key: 'key',
    endpoint_url: 'http://minio:9000',
    region: 'us-south',
    ca_bundle: '/bundle.crt',
    verify_ssl: '0',
    anonymous: 'False',
  };
  test(noteCase('update_with_storage_spec_s3', 'type alone sets nothing'), () => {
    assert.deepEqual(changed(spec({ type: 's3' })), {});
  });
  test(noteCase('update_with_storage_spec_s3', 'each key becomes its variable'), () => {
    assert.partialDeepStrictEqual(changed(spec(full)), {
      AWS_ACCESS_KEY_ID: 'id',
      AWS_SECRET_ACCESS_KEY: 'key',
      AWS_ENDPOINT_URL: 'http://minio:9000',
      AWS_DEFAULT_REGION: 'us-south',
      S3_VERIFY_SSL: '0',
    });
  });
  test(noteCase('update_with_storage_spec_s3', '≠ booleans and numbers are taken too'), () => {
    const { credentials, transport } = told(spec({ ...full, anonymous: true, verify_ssl: 0 }));
    assert.deepEqual([credentials, transport], ['anonymous', { insecure: true }]);
  });
  test(noteCase('update_with_storage_spec_s3', 'an override wins, key by key'), () => {
    const { region, endpoint } = told(spec(full, { region: 'eu-west-1' }));
    assert.deepEqual([region, endpoint], ['eu-west-1', 'http://minio:9000']);
  });
});

/** A folder as the config map of authorities is mounted. */
async function mounted(t: TestContext, text?: string): Promise<string> {
  const place = await folder(t);
  if (text !== undefined) await writeFile(join(place, 'cabundle.crt'), text);
  return place;
}

/** Status and records of fetching `uri`. */
async function fetched(t: TestContext, uri: string, env: Variables) {
  const words = [uri, join(await folder(t), 'out'), '--connect-grace', '0s', '--attempts', '1'];
  const { status, stderr } = await inProcess(words, { env });
  const warned = records(stderr).filter(({ level }) => level === 'warn');
  return { status, warned: warned.length, last: lastLine(stderr) };
}

suite('ca_bundle', () => {
  const store = async (t: TestContext): Promise<Variables> => {
    const server = await startS3({ tls: serverCertificate() });
    t.after(() => server.close());
    server.put('b', 'm/a', 'a');
    return { ...KEYS, AWS_ENDPOINT_URL: `https://localhost:${String(server.port)}` };
  };
  const authority = () => readFile(CA, 'utf8');
  const named = { CA_BUNDLE_CONFIGMAP_NAME: 'cas' };
  const table: readonly (readonly [
    name: string,
    env: (t: TestContext) => Promise<Variables>,
    status: number,
  ])[] = [
    ['AWS_CA_BUNDLE alone', () => Promise.resolve({ AWS_CA_BUNDLE: CA }), 0],
    [
      'the config map alone',
      async (t) => ({
        ...named,
        CA_BUNDLE_VOLUME_MOUNT_POINT: await mounted(t, await authority()),
      }),
      0,
    ],
    [
      'both: AWS_CA_BUNDLE wins',
      async (t) => ({
        ...named,
        AWS_CA_BUNDLE: CA,
        CA_BUNDLE_VOLUME_MOUNT_POINT: await mounted(t),
      }),
      0,
    ],
    [
      'an empty AWS_CA_BUNDLE: the config map',
      async (t) => ({
        ...named,
        AWS_CA_BUNDLE: '',
        CA_BUNDLE_VOLUME_MOUNT_POINT: await mounted(t, await authority()),
      }),
      0,
    ],
    ['a missing one is an error', () => Promise.resolve({ AWS_CA_BUNDLE: '/nope.crt' }), 2],
    [
      'a missing one, and nothing is verified: it is not looked for',
      () => Promise.resolve({ AWS_CA_BUNDLE: '/nope.crt', S3_VERIFY_SSL: '0' }),
      0,
    ],
    [
      '≠ a config map without its file is a warning; the store is not trusted then',
      async (t) => ({ ...named, CA_BUNDLE_VOLUME_MOUNT_POINT: await mounted(t) }),
      13,
    ],
  ];
  for (const [name, env, status] of table)
    test(noteCase('ca_bundle (S3)', name), async (t) => {
      const result = await fetched(t, 's3://b/m', { ...(await store(t)), ...(await env(t)) });
      assert.equal(result.status, status, result.last);
    });
});

suite('global_ca_bundle', () => {
  const page = async (t: TestContext): Promise<string> => {
    const web = await startHttpServer({ tls: serverCertificate() });
    t.after(() => web.close());
    web.put('/m.bin', 'm');
    return `https://localhost:${String(web.port)}/m.bin`;
  };
  const named = { CA_BUNDLE_CONFIGMAP_NAME: 'cas' };
  const good = async (t: TestContext) => ({
    ...named,
    CA_BUNDLE_VOLUME_MOUNT_POINT: await mounted(t, await readFile(CA, 'utf8')),
  });
  const bad = async (t: TestContext, text?: string) => ({
    ...named,
    CA_BUNDLE_VOLUME_MOUNT_POINT: await mounted(t, text),
  });
  const table: readonly (readonly [
    name: string,
    env: (t: TestContext) => Promise<Variables>,
    status: number,
    warnings: number,
  ])[] = [
    ['the bundle is trusted beside the usual authorities', good, 0, 0],
    ['none set: nothing is trusted beside them', () => Promise.resolve({}), 13, 0],
    [
      'REQUESTS_CA_BUNDLE that is set already is kept',
      async (t) => ({ ...(await bad(t)), REQUESTS_CA_BUNDLE: CA }),
      0,
      1,
    ],
    [
      'SSL_CERT_FILE that is set already is kept',
      async (t) => ({ ...(await bad(t)), SSL_CERT_FILE: CA }),
      0,
      1,
    ],
    ['a missing file is a warning, and the download goes on without', (t) => bad(t), 13, 1],
    ['a file that holds no certificate is one too', (t) => bad(t, 'no PEM'), 13, 1],
    [
      'the mount point alone says nothing',
      async (t) => {
        const { CA_BUNDLE_VOLUME_MOUNT_POINT } = await good(t);
        return { CA_BUNDLE_VOLUME_MOUNT_POINT };
      },
      13,
      0,
    ],
  ];
  for (const [name, env, status, warnings] of table)
    test(noteCase('global_ca_bundle (https)', name), async (t) => {
      const result = await fetched(t, await page(t), await env(t));
      assert.deepEqual([result.status, result.warned], [status, warnings], result.last);
    });
});

testDocument('environment');
