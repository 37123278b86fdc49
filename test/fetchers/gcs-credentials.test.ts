import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer as createHttpServer } from 'node:http';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, afterEach, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { ModelFetchError, type ErrorCode } from '../../src/errors.ts';
import type { HttpLocation } from '../../src/fetcher.ts';
import { fromEnv } from '../../src/fetchers/gcs.ts';
import { parseRef } from '../../src/ref.ts';
import type { Env } from '../../src/registry.ts';
import { collect, openBench, type Bench } from '../servers/gcs-context.ts';
import { CLIENT, SERVICE_ACCOUNT, SUBJECT_TOKEN } from '../servers/gcs-tokens.ts';
import { startGcs, type GcsServer } from '../servers/gcs.ts';

/** Where nothing listens: what PrimeHub sets so that public buckets are read at once. */
const NO_SERVER = '127.0.0.1:9';
let server: GcsServer;
let bench: Bench;
let folder: string;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gcs-credentials-'));
});
after(() => rm(folder, { recursive: true }));
beforeEach(async () => {
  server = await startGcs({ requireAuth: true, buckets: { b: { 'm/a': 'bytes' } } });
  bench = openBench();
});
afterEach(async () => {
  bench.close();
  await server.close();
});

async function file(json: unknown, name = 'key.json'): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, typeof json === 'string' ? json : JSON.stringify(json));
  return path;
}

const workloadIdentity = async () => ({
  type: 'external_account',
  audience: '//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/k',
  subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
  token_url: `${server.url}/v1/token`,
  credential_source: { file: await file(SUBJECT_TOKEN, 'subject') },
});

const env = (more: Env): Env => ({
  MODEL_FETCH_GCS_ENDPOINT: server.url,
  GCE_METADATA_HOST: NO_SERVER,
  ...more,
});

/** Resolves, lists, locates and reads with what `more` says; the location is answered. */
async function fetchWith(more: Env): Promise<HttpLocation> {
  const fetcher = await bench.resolve(fromEnv(env(more)), 'gs://b/m');
  const [entry] = await collect(fetcher);
  const location = (await fetcher.locate(entry!)) as HttpLocation;
  assert.equal(await bench.read(location, 5), 'bytes');
  return location;
}

function fails(code: ErrorCode, told: RegExp, ...secrets: string[]) {
  return (error: unknown) => {
    assert.ok(error instanceof ModelFetchError, String(error));
    assert.equal(error.code, code, error.message);
    const text = `${error.message} ${error.hint ?? ''}`;
    assert.match(text, told);
    for (const secret of secrets) assert.ok(!text.includes(secret), 'a secret in the error');
    return true;
  };
}

describe('credentials', () => {
  test('a service account signs for a token, which serves until its end', async () => {
    const location = await fetchWith({
      GOOGLE_APPLICATION_CREDENTIALS: await file(server.serviceAccount()),
    });
    assert.equal(server.tokens.issued.length, 1);
    assert.equal(location.headers['authorization'], `Bearer ${server.tokens.issued[0]!}`);
    assert.ok(Math.abs(location.expiresAt! - Date.now() - 3_600_000) < 10_000);
  });

  test('a service account may come as text', async () => {
    const text = JSON.stringify(server.serviceAccount());
    await fetchWith({
      MODEL_FETCH_GCS_CREDENTIALS: text,
      GOOGLE_APPLICATION_CREDENTIALS: '/of/another/store.json',
    });
    assert.equal(server.tokens.issued.length, 1);
  });

  test('a key that is not the account’s is UNAUTHENTICATED, and is not told', async () => {
    const { privateKey } = generateKeyPairSync('rsa', {
      modulusLength: 2048,
      privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
      publicKeyEncoding: { type: 'spki', format: 'pem' },
    });
    const key = await file({ ...server.serviceAccount(), private_key: privateKey });
    await assert.rejects(
      fetchWith({ GOOGLE_APPLICATION_CREDENTIALS: key }),
      fails('UNAUTHENTICATED', /invalid_grant.*Signature/, privateKey.slice(40, 80)),
    );
  });

  test('gcloud’s own file is found, in CLOUDSDK_CONFIG or under HOME', async () => {
    await mkdir(join(folder, '.config', 'gcloud'), { recursive: true });
    await file(server.authorizedUser(), 'application_default_credentials.json');
    await file(server.authorizedUser(), '.config/gcloud/application_default_credentials.json');
    await fetchWith({ CLOUDSDK_CONFIG: folder });
    await fetchWith({ HOME: folder });
    assert.equal(server.tokens.issued.length, 2);
  });

  test('a refresh token that was revoked is told by its reason', async () => {
    const user = await file({ ...server.authorizedUser(), refresh_token: 'revoked-refresh-token' });
    await assert.rejects(
      fetchWith({ GOOGLE_APPLICATION_CREDENTIALS: user }),
      fails(
        'UNAUTHENTICATED',
        /invalid_grant: Token has been expired/,
        'revoked-refresh',
        CLIENT.secret,
      ),
    );
  });

  for (const impersonates of [false, true])
    test(`a workload identity is exchanged${impersonates ? ', then impersonates an account' : ''}`, async () => {
      const workload = await workloadIdentity();
      await fetchWith({
        GOOGLE_APPLICATION_CREDENTIALS: await file({
          ...workload,
          ...(impersonates && {
            service_account_impersonation_url: `${server.url}/v1/projects/-/serviceAccounts/${SERVICE_ACCOUNT}:generateAccessToken`,
          }),
        }),
      });
      assert.equal(server.tokens.issued.length, impersonates ? 2 : 1);
    });

  test('a user impersonates a service account', async () => {
    await fetchWith({
      GOOGLE_APPLICATION_CREDENTIALS: await file({
        type: 'impersonated_service_account',
        service_account_impersonation_url: `${server.url}/v1/projects/-/serviceAccounts/${SERVICE_ACCOUNT}:generateAccessToken`,
        source_credentials: server.authorizedUser(),
      }),
    });
    assert.equal(server.tokens.issued.length, 2);
  });

  test('the metadata server gives a token', async () => {
    await fetchWith({ GCE_METADATA_HOST: server.metadataHost });
    await fetchWith({ GCE_METADATA_HOST: '', GCE_METADATA_IP: server.metadataHost });
    assert.equal(server.tokens.issued.length, 2);
  });

  test('a file that is named and cannot be used is INVALID_OPTION, and its text is not told', async () => {
    const named = (path: string) => fetchWith({ GOOGLE_APPLICATION_CREDENTIALS: path });
    await assert.rejects(
      named(join(folder, 'absent.json')),
      fails('INVALID_OPTION', /absent\.json.*ENOENT/),
    );
    await assert.rejects(
      named(await file('secret-words')),
      fails('INVALID_OPTION', /not a JSON object/, 'secret-words'),
    );
    await assert.rejects(
      named(await file({ type: 'service_account' })),
      fails('INVALID_OPTION', /client_email/),
    );
    await assert.rejects(named(await file({ type: 'magic' })), fails('INVALID_OPTION', /"magic"/));
  });

  test('explain names the source and the parts, never a secret', async () => {
    const key = server.serviceAccount();
    const resolver = fromEnv(env({ GOOGLE_APPLICATION_CREDENTIALS: await file(key) }));
    const told = await resolver.explain!(parseRef('gs://b/m/x#7'), bench.context);
    assert.deepEqual(told.parts, { bucket: 'b', name: 'm/x', generation: '7' });
    assert.equal(told.endpoint, server.url);
    assert.match(
      told.credentials,
      /^service account reader@project\.iam\.gserviceaccount\.com, from .*key\.json/,
    );
    assert.ok(!JSON.stringify(told).includes(key['private_key']!.slice(40, 80)));
    const nobody = await fromEnv(env({})).explain!(parseRef('gs://b'), openBench().context);
    assert.equal(nobody.credentials, 'none: anonymous, no credentials were found');
  });
});

describe('a token that is refused', () => {
  test('is not the rule: many readers who start at once share one', async () => {
    const resolver = fromEnv(env({ GCE_METADATA_HOST: server.metadataHost }));
    const fetchers = await Promise.all(
      Array.from({ length: 6 }, () => bench.resolve(resolver, 'gs://b/m/')),
    );
    await Promise.all(fetchers.map(collect));
    assert.equal(server.tokens.issued.length, 1);
  });

  test('is renewed once for all who were refused, and then given up', async () => {
    const fetcher = await bench.resolve(
      fromEnv(env({ GCE_METADATA_HOST: server.metadataHost })),
      'gs://b/m',
    );
    const [entry] = await collect(fetcher);
    const location = (await fetcher.locate(entry!)) as HttpLocation;
    server.tokens.revokeAll();
    await assert.rejects(bench.read(location, 5), /HTTP 401/);
    const again = await Promise.all(
      Array.from({ length: 8 }, () =>
        fetcher.locate(entry!, { failed: { location, status: 401 } }),
      ),
    );
    assert.equal(server.tokens.issued.length, 2);
    for (const one of again) assert.equal(await bench.read(one as HttpLocation, 5), 'bytes');
    const failed = { location: again[0]!, status: 401 };
    await assert.rejects(
      fetcher.locate(entry!, { failed }),
      fails('UNAUTHENTICATED', /token was refused/),
    );
  });

  test('is renewed with the key that is in the file by now', async () => {
    const key = await file(server.serviceAccount());
    const resolver = fromEnv(env({ GOOGLE_APPLICATION_CREDENTIALS: key }));
    const fetcher = await bench.resolve(resolver, 'gs://b/m');
    const [entry] = await collect(fetcher);
    const location = (await fetcher.locate(entry!)) as HttpLocation;
    const failed = { location, status: 401 };
    server.tokens.revokeAll();
    server.tokens.renewKeys();
    await assert.rejects(fetcher.locate(entry!, { failed }), fails('UNAUTHENTICATED', /Signature/));
    await file(server.serviceAccount());
    const fresh = (await fetcher.locate(entry!, { failed })) as HttpLocation;
    assert.equal(await bench.read(fresh, 5), 'bytes');
  });

  test('is not waited for: one that ends is renewed with the key that is in the file by now', async () => {
    // Google's clients renew what lasts less than some minutes at each use.
    const short = await startGcs({
      requireAuth: true,
      tokenLifetimeS: 60,
      buckets: { b: { 'm/a': 'bytes' } },
    });
    try {
      const key = await file(short.serviceAccount());
      const more = { MODEL_FETCH_GCS_ENDPOINT: short.url, GOOGLE_APPLICATION_CREDENTIALS: key };
      const fetcher = await bench.resolve(fromEnv(env(more)), 'gs://b/m/');
      short.tokens.renewKeys();
      await file(short.serviceAccount());
      assert.equal((await collect(fetcher)).length, 1);
      short.tokens.renewKeys();
      await assert.rejects(collect(fetcher), fails('UNAUTHENTICATED', /Signature/));
    } finally {
      await short.close();
    }
  });

  test('half-way through a listing is renewed there', async () => {
    const fetcher = await bench.resolve(
      fromEnv(env({ GCE_METADATA_HOST: server.metadataHost })),
      'gs://b/m/',
    );
    await collect(fetcher);
    server.tokens.revokeAll();
    assert.equal((await collect(fetcher)).length, 1);
  });
});

describe('nobody', () => {
  let open: GcsServer;
  let silent: Server;
  before(async () => {
    open = await startGcs({ buckets: { b: { 'm/a': 'bytes' } } });
    silent = createServer();
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  });
  after(async () => {
    silent.close();
    await open.close();
  });
  const silentHost = () => `127.0.0.1:${String((silent.address() as AddressInfo).port)}`;
  const timed = async (more: Env) => {
    const started = performance.now();
    await fetchWith({ MODEL_FETCH_GCS_ENDPOINT: open.url, ...more });
    return performance.now() - started;
  };

  test('reads a public bucket at once where the metadata server refuses, or is not to be asked', async () => {
    assert.ok((await timed({})) < 700);
    assert.ok(
      (await timed({ GCE_METADATA_HOST: silentHost(), MODEL_FETCH_GCS_ANONYMOUS: 'true' })) < 700,
    );
    assert.ok((await timed({ GCE_METADATA_HOST: silentHost(), NO_GCE_CHECK: 'true' })) < 700);
    assert.ok(
      (await timed({ GCE_METADATA_HOST: silentHost(), METADATA_SERVER_DETECTION: 'none' })) < 700,
    );
  });

  test('waits a second, no more, for a metadata server that is silent', async () => {
    const ms = await timed({ GCE_METADATA_HOST: silentHost() });
    assert.ok(ms > 900 && ms < 2000, String(ms));
  });

  test('is who reads where the machine has no account, but not where it cannot say just now', async () => {
    const fault = { match: /computeMetadata/, times: 1, headers: { 'metadata-flavor': 'Google' } };
    open.faults.push({ ...fault, status: 404 });
    await timed({ GCE_METADATA_HOST: open.metadataHost });
    open.faults.push({ ...fault, status: 503, times: 3 });
    await assert.rejects(
      timed({ GCE_METADATA_HOST: open.metadataHost }),
      fails('UNAVAILABLE', /metadata server.*503/),
    );
  });

  test('does not take a token from a server that is no metadata server', async () => {
    const other = createHttpServer((_, response) =>
      response.end('{"access_token":"stranger","expires_in":3600}'),
    );
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    try {
      await timed({
        GCE_METADATA_HOST: `127.0.0.1:${String((other.address() as AddressInfo).port)}`,
      });
    } finally {
      other.close();
      other.closeAllConnections();
    }
  });

  test('is told that no credentials were found where the bucket is private', async () => {
    await assert.rejects(
      fetchWith({}),
      fails('UNAUTHENTICATED', /Anonymous caller.*No credentials were found/),
    );
  });

  test('becomes somebody when a metadata server was late and the bucket is private', async () => {
    server.faults.push({ match: /computeMetadata/, times: 1, delayMs: 1300 });
    await fetchWith({ GCE_METADATA_HOST: server.metadataHost });
  });
});

describe('in a process of its own', () => {
  const run = promisify(execFile);
  const child = join(import.meta.dirname, 'gcs-child.ts');
  const fetchIn = async (own: Record<string, string>, ...args: string[]) => {
    const { stdout, stderr } = await run(process.execPath, [child, 'gs://b/m', ...args], {
      env: { PATH: '/usr/bin', ...own },
      timeout: 15_000,
    });
    assert.equal(stderr, '');
    return JSON.parse(stdout) as { path: string; bytes: string; ms: number };
  };

  test('STORAGE_EMULATOR_HOST is honoured with and without scheme, and reached as nobody, at once', async () => {
    const open = await startGcs({ buckets: { b: { 'm/a': 'bytes' } } });
    try {
      for (const host of [open.url, open.metadataHost, `${open.url}/`, `${open.url}/storage/v1/`]) {
        const { bytes, ms } = await fetchIn({
          STORAGE_EMULATOR_HOST: host,
          GOOGLE_APPLICATION_CREDENTIALS: '/nowhere',
        });
        assert.equal(bytes, 'bytes');
        assert.ok(ms < 900, String(ms));
      }
    } finally {
      await open.close();
    }
  });

  test('only what was handed in counts, whatever the process’s own environment says', async () => {
    const nowhere = { HTTPS_PROXY: `http://${NO_SERVER}`, HTTP_PROXY: `http://${NO_SERVER}` };
    for (const key of [server.serviceAccount(), await workloadIdentity()]) {
      const given = env({ GOOGLE_APPLICATION_CREDENTIALS: await file(key) });
      const { bytes } = await fetchIn(
        {
          STORAGE_EMULATOR_HOST: NO_SERVER,
          GOOGLE_APPLICATION_CREDENTIALS: '/nowhere',
          GCE_METADATA_HOST: NO_SERVER,
          ...nowhere,
        },
        JSON.stringify(given),
      );
      assert.equal(bytes, 'bytes');
    }
  });
});

test('the server refuses an assertion that is not signed, not for it, or too old', async () => {
  const assertion = (claims: object, header = { alg: 'RS256' }) =>
    [header, claims]
      .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
      .join('.') + '.c2ln';
  const now = Math.floor(Date.now() / 1000);
  const claims = {
    iss: SERVICE_ACCOUNT,
    aud: server.tokenUrl,
    scope: 's',
    iat: now,
    exp: now + 60,
  };
  for (const bad of [assertion(claims), assertion(claims, { alg: 'none' }), 'nonsense']) {
    const answer = await fetch(server.tokenUrl, {
      method: 'POST',
      body: new URLSearchParams({
        grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
        assertion: bad,
      }),
    });
    assert.equal(answer.status, 400);
    assert.equal(((await answer.json()) as { error: string }).error, 'invalid_grant');
  }
});
