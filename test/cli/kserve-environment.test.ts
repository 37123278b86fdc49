/** The table of variables: complete, true to the sources, shown by tests, and the same as its page. */
import assert from 'node:assert/strict';
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { FLAGS, variableOf } from '../../src/cli/flags.ts';
import { VARIABLES } from '../../src/cli/kserve/variables.ts';
import { FETCHER_VARIABLES } from '../../src/cli/settle.ts';
import { terminationLogPath } from '../../src/cli/termination-log.ts';
import { optionsFrom } from '../../src/fetchers/gcs-options.ts';
import { optionsFromEnv } from '../../src/fetchers/s3-options.ts';
import { folder } from './child.ts';
import { FILE, render } from './environment-doc.ts';

const ROOT = join(import.meta.dirname, '../..');
const source = (path: string): string => readFileSync(join(ROOT, path), 'utf8');

const S3 = 'test/fetchers/s3-env.test.ts';
const S3_KEYS = 'test/fetchers/s3-credentials.test.ts';
const GCS = 'test/fetchers/gcs-credentials.test.ts';
const KSERVE = 'test/cli/kserve.test.ts';
const SELDON = 'test/cli/seldon.test.ts';
const PROXY = 'test/net/proxy.test.ts';
const HERE = 'test/cli/kserve-environment.test.ts';

type Shown = readonly [file: string, title: string];
const POD_IDENTITY: Shown = [S3_KEYS, 'come from the container, as in EKS with Pod Identity'];
const WEB_IDENTITY: Shown = [
  S3_KEYS,
  'come from a web identity, as in EKS with a role for the service account',
];
const PROFILE: Shown = [S3_KEYS, 'come from a profile'];
const KEY_FILES: Shown = [
  'test/fetchers/s3-keys.test.ts',
  'may be files, each of the three, and are read by them',
];
const OWN: Shown = [S3, 'take region, addressing, payer and anonymity'];
const ENDPOINT: Shown = [S3, "take the endpoint by precedence, KServe's own words last"];
const CUSTOMER_KEY: Shown = [S3, 'take the customer key, and refuse one that is none'];
const NOBODY: Shown = [
  GCS,
  'reads a public bucket at once where the metadata server refuses, or is not to be asked',
];
const PAYS: Shown = [HERE, 'a project pays for gs://'];
const TIMEOUTS: Shown = [KSERVE, 'the timeouts are one clock here: the longer of the two'];
const BUNDLE: Shown = [
  KSERVE,
  'it is trusted for every scheme, and its absence is a warning, not an error',
];
const ROOTS: Shown = [KSERVE, 'REQUESTS_CA_BUNDLE and SSL_CERT_FILE are trusted for every scheme'];
const PATTERNS: Shown = [KSERVE, 'choose among the files of a folder, allow first, then ignore'];
const PROXIES: Shown = [
  PROXY,
  'the protocol of the URL decides, then ALL_PROXY, and lower case wins',
];
const MOUNTS: Shown = [KSERVE, 'phfs and nfs are the mounts that they become'];
const SILENT: Shown = [KSERVE, "and what KServe's webhook always adds is not a word"];
const SECRET_FILES: Shown = [KSERVE, 'stand for the variables without _FILE'];
const REMOTE: Shown = [
  SELDON,
  'is a scheme of its own, and not that of the other store in the environment',
];
const REMOTE_WORDS: Shown = [SELDON, 'becomes the words of AWS'];
const REMOTE_GCS: Shown = [SELDON, 'is read with the account that it brings as text, or as a file'];
const REMOTE_HTTP: Shown = [SELDON, 'is a file below its URL, with its headers'];

/** For each variable, the test that fails without it. */
const SHOWN_BY: Readonly<Record<string, Shown>> = {
  AWS_ACCESS_KEY_ID: [S3, 'take keys only in pairs'],
  AWS_SECRET_ACCESS_KEY: [S3, 'take keys only in pairs'],
  AWS_SESSION_TOKEN: [S3, 'take keys only in pairs'],
  AWS_ACCESS_KEY_ID_FILE: KEY_FILES,
  AWS_SECRET_ACCESS_KEY_FILE: KEY_FILES,
  AWS_SESSION_TOKEN_FILE: KEY_FILES,
  AWS_PROFILE: PROFILE,
  AWS_SHARED_CREDENTIALS_FILE: PROFILE,
  AWS_CONFIG_FILE: [S3_KEYS, 'come from a profile that only the configuration file has'],
  AWS_ROLE_ARN: WEB_IDENTITY,
  AWS_WEB_IDENTITY_TOKEN_FILE: WEB_IDENTITY,
  AWS_ENDPOINT_URL_STS: WEB_IDENTITY,
  AWS_CONTAINER_CREDENTIALS_FULL_URI: POD_IDENTITY,
  AWS_CONTAINER_CREDENTIALS_RELATIVE_URI: [S3, 'names the source of the credentials and no secret'],
  AWS_CONTAINER_AUTHORIZATION_TOKEN: [
    S3_KEYS,
    'come from the container, whose token may be given by value',
  ],
  AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: POD_IDENTITY,
  AWS_EC2_METADATA_DISABLED: [S3, 'names the source of the credentials and no secret'],
  AWS_EC2_METADATA_SERVICE_ENDPOINT: [S3_KEYS, 'come from instance metadata'],
  AWS_ENDPOINT_URL: ENDPOINT,
  AWS_ENDPOINT_URL_S3: ENDPOINT,
  AWS_REGION: OWN,
  AWS_DEFAULT_REGION: OWN,
  AWS_CA_BUNDLE: [
    KSERVE,
    'AWS_CA_BUNDLE is for S3; without it the store is not trusted, and a missing one is an error',
  ],
  AWS_REQUEST_PAYER: OWN,
  AWS_USE_DUALSTACK_ENDPOINT: [HERE, 'Amazon has other endpoints'],
  AWS_USE_FIPS_ENDPOINT: [HERE, 'Amazon has other endpoints'],
  MODEL_FETCH_S3_ANONYMOUS: OWN,
  MODEL_FETCH_S3_REQUEST_PAYER: OWN,
  MODEL_FETCH_S3_SSE_C_KEY: CUSTOMER_KEY,
  MODEL_FETCH_S3_SSE_C_KEY_FILE: CUSTOMER_KEY,
  STORAGE_CONFIG: [KSERVE, 'is enough to fetch a model'],
  STORAGE_OVERRIDE_CONFIG: [KSERVE, 'is replaced key by key by STORAGE_OVERRIDE_CONFIG'],
  awsAnonymousCredential: [KSERVE, 'awsAnonymousCredential reads a public bucket without keys'],
  S3_ENDPOINT: [KSERVE, 'S3_ENDPOINT with S3_USE_HTTPS, where AWS_ENDPOINT_URL does not say it'],
  S3_USE_HTTPS: [KSERVE, 'S3_ENDPOINT with S3_USE_HTTPS, where AWS_ENDPOINT_URL does not say it'],
  S3_VERIFY_SSL: [KSERVE, 'S3_VERIFY_SSL switches the check off, says so, and needs no bundle'],
  S3_USER_VIRTUAL_BUCKET: OWN,
  S3_USE_ACCELERATE: OWN,
  S3_CONNECT_TIMEOUT: TIMEOUTS,
  S3_READ_TIMEOUT: TIMEOUTS,
  S3_MAX_ATTEMPTS: [KSERVE, 'attempts are counted after the first, as boto does'],
  S3_MAX_FILE_CONCURRENCY: [
    KSERVE,
    'S3_MAX_FILE_CONCURRENCY is taken note of, and changes nothing',
  ],
  STORAGE_ALLOW_PATTERNS: PATTERNS,
  STORAGE_IGNORE_PATTERNS: PATTERNS,
  '<host>-headers': [
    'test/fetchers/http.test.ts',
    'headers for a host come from its variable, as KServe has them',
  ],
  CA_BUNDLE_CONFIGMAP_NAME: BUNDLE,
  CA_BUNDLE_VOLUME_MOUNT_POINT: BUNDLE,
  REQUESTS_CA_BUNDLE: ROOTS,
  SSL_CERT_FILE: ROOTS,
  NODE_EXTRA_CA_CERTS: ['test/kserve/pods.test.ts', 'the headers of https go to their host'],
  HTTPS_PROXY: PROXIES,
  HTTP_PROXY: PROXIES,
  ALL_PROXY: PROXIES,
  NO_PROXY: [
    'test/net/connect.test.ts',
    'plain http is for forward proxies, and NO_PROXY is honoured',
  ],
  REQUEST_METHOD: [PROXY, 'HTTP_PROXY in a CGI program is a header of some client'],
  GOOGLE_APPLICATION_CREDENTIALS: [
    GCS,
    'a service account signs for a token, which serves until its end',
  ],
  CLOUDSDK_CONFIG: [GCS, 'found, in CLOUDSDK_CONFIG or under HOME'],
  GCE_METADATA_HOST: [GCS, 'the metadata server gives a token'],
  GCE_METADATA_IP: [GCS, 'the metadata server gives a token'],
  METADATA_SERVER_DETECTION: NOBODY,
  NO_GCE_CHECK: NOBODY,
  STORAGE_EMULATOR_HOST: [
    GCS,
    'STORAGE_EMULATOR_HOST is honoured with and without scheme, and reached as nobody, at once',
  ],
  GOOGLE_CLOUD_QUOTA_PROJECT: PAYS,

  MODEL_FETCH_GCS_USER_PROJECT: PAYS,
  MODEL_FETCH_GCS_ENDPOINT: [
    GCS,
    'a service account signs for a token, which serves until its end',
  ],
  MODEL_FETCH_GCS_ANONYMOUS: NOBODY,
  MODEL_FETCH_GCS_CREDENTIALS: [GCS, 'a service account may come as text'],
  MODEL_FETCH_GCS_CREDENTIALS_FILE: SECRET_FILES,
  'RCLONE_CONFIG_<REMOTE>_TYPE': REMOTE,
  'RCLONE_CONFIG_<REMOTE>_ACCESS_KEY_ID': REMOTE,
  'RCLONE_CONFIG_<REMOTE>_SECRET_ACCESS_KEY': REMOTE,
  'RCLONE_CONFIG_<REMOTE>_SESSION_TOKEN': [SELDON, 'with a session token is read with it'],
  'RCLONE_CONFIG_<REMOTE>_ENV_AUTH': [
    SELDON,
    'without keys is read as nobody; with ENV_AUTH by the keys of the environment',
  ],
  'RCLONE_CONFIG_<REMOTE>_ENDPOINT': REMOTE,
  'RCLONE_CONFIG_<REMOTE>_REGION': REMOTE_WORDS,
  'RCLONE_CONFIG_<REMOTE>_PROVIDER': REMOTE,
  'RCLONE_CONFIG_<REMOTE>_PROFILE': REMOTE_WORDS,
  'RCLONE_CONFIG_<REMOTE>_FORCE_PATH_STYLE': REMOTE_WORDS,
  'RCLONE_CONFIG_<REMOTE>_REQUESTER_PAYS': REMOTE_WORDS,
  'RCLONE_CONFIG_<REMOTE>_USE_ACCELERATE_ENDPOINT': REMOTE_WORDS,
  'RCLONE_CONFIG_<REMOTE>_SSE_CUSTOMER_KEY_BASE64': [
    SELDON,
    'has the key of its objects by value or in a file',
  ],
  'RCLONE_CONFIG_<REMOTE>_ANONYMOUS': [
    SELDON,
    'is read as nobody where it says so, whatever account there is',
  ],
  'RCLONE_CONFIG_<REMOTE>_SERVICE_ACCOUNT_FILE': REMOTE_GCS,
  'RCLONE_CONFIG_<REMOTE>_SERVICE_ACCOUNT_CREDENTIALS': REMOTE_GCS,
  'RCLONE_CONFIG_<REMOTE>_USER_PROJECT': [SELDON, 'becomes the words of Google'],
  'RCLONE_CONFIG_<REMOTE>_URL': REMOTE_HTTP,
  'RCLONE_CONFIG_<REMOTE>_HEADERS': REMOTE_HTTP,
  OUTPUT_PATH: ['test/cli/end-to-end.test.ts', 'goes to OUTPUT_PATH when the URI stands alone'],
  MODEL_FETCH_PHFS: MOUNTS,
  MODEL_FETCH_NFS: MOUNTS,
  KUBERNETES_SERVICE_HOST: [HERE, 'in a pod the end is told where the kubelet looks'],
  HOME: [GCS, 'found, in CLOUDSDK_CONFIG or under HOME'],
  HF_HUB_ENABLE_HF_TRANSFER: SILENT,
  HF_XET_HIGH_PERFORMANCE: SILENT,
  HF_XET_NUM_CONCURRENT_RANGE_GETS: SILENT,
};

/** About the terminal, or set by us. */
const NOT_OURS = [
  'TERM',
  'CI',
  'LANG',
  'LC_ALL',
  'LC_CTYPE',
  'NO_COLOR',
  'FORCE_COLOR',
  'USERPROFILE',
  'AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED',
];

suite('the table of variables', () => {
  test('names each once, with all that is read in the sources', () => {
    const names = VARIABLES.map(({ name }) => name);
    assert.equal(new Set(names).size, names.length);
    const flags = FLAGS.map(variableOf);
    const known = new Set([...names, ...flags, ...NOT_OURS]);
    const missing: string[] = [];
    for (const path of globSync('src/**/*.ts', { cwd: ROOT }))
      for (const [, name] of source(path).matchAll(
        /\b(?:env\[|given\((?:env, )?|yes\(|either\(|knob\(env, )'([A-Za-z_0-9]+)'/g,
      ))
        if (!known.has(name!) && !known.has(name!.toUpperCase())) missing.push(`${path}: ${name}`);
    assert.deepEqual(missing, []);
  });

  test('says where each is read', () => {
    for (const { name, reader } of VARIABLES) {
      if (!reader.endsWith('.ts')) {
        assert.ok(['AWS SDK', 'Node', 'nobody'].includes(reader), name);
        continue;
      }
      // What varies is put together there.
      const word = name.startsWith('RCLONE_')
        ? name.split('>_')[1]!
        : name.replace('<host>', '').replace(/^(AWS_.*(?:KEY|KEY_ID|SESSION_TOKEN))_FILE$/, '$1');
      assert.ok(
        JSON_VARIABLES.includes(name) || source(`src/${reader}`).includes(word),
        `${name} in ${reader}`,
      );
    }
  });

  test('has a test for each that fails without it', () => {
    assert.deepEqual(Object.keys(SHOWN_BY).sort(), VARIABLES.map(({ name }) => name).sort());
    for (const [name, [file, title]] of Object.entries(SHOWN_BY))
      assert.ok(source(file).includes(title), `${name}: no test "${title}" in ${file}`);
  });

  test('holds every MODEL_FETCH_* variable that is no flag, so that none is called unknown', () => {
    const own = VARIABLES.map(({ name }) => name).filter((name) => name.startsWith('MODEL_FETCH_'));
    assert.deepEqual(own.sort(), [...FETCHER_VARIABLES].sort());
  });

  test('is what docs/environment.md says', () => {
    assert.equal(readFileSync(FILE, 'utf8'), render(), 'run node test/cli/environment-doc.ts');
  });
});

/** Read by a name that a constant holds. */
const JSON_VARIABLES = ['MODEL_FETCH_GCS_CREDENTIALS', 'MODEL_FETCH_GCS_CREDENTIALS_FILE'];

test('a project pays for gs://', () => {
  assert.equal(optionsFrom({}).userProject, undefined);
  const env = { GOOGLE_CLOUD_QUOTA_PROJECT: 'quota' };
  assert.equal(optionsFrom(env).userProject, 'quota');
  const both = { ...env, MODEL_FETCH_GCS_USER_PROJECT: 'payer' };
  assert.equal(optionsFrom(both).userProject, 'payer');
});

test('in a pod the end is told where the kubelet looks', async (t) => {
  const file = join(await folder(t), 'termination-log');
  const env = { KUBERNETES_SERVICE_HOST: '10.0.0.1' };
  assert.equal(terminationLogPath(undefined, env, file), undefined);
  writeFileSync(file, '');
  assert.equal(terminationLogPath(undefined, env, file), file);
  assert.equal(terminationLogPath(undefined, {}, file), undefined);
});

test('Amazon has other endpoints', () => {
  const { dualstack, fips } = optionsFromEnv({});
  assert.deepEqual([dualstack, fips], [false, false]);
  assert.equal(optionsFromEnv({ AWS_USE_DUALSTACK_ENDPOINT: 'true' }).dualstack, true);
  assert.equal(optionsFromEnv({ AWS_USE_FIPS_ENDPOINT: 'true' }).fips, true);
});
