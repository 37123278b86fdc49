/** Identities as pods have them: a role by a web identity token (IRSA), Pod Identity, and keys that end before the download. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startAgent } from './agent.ts';
import { makeAuthority } from './authority.ts';
import { MODEL, type Bench, type Env, type Suite } from './bench.ts';
import { AUDIENCE, startIssuer, type Issuer } from './issuer.ts';
import type { Outcome } from './programs.ts';
import { startRecorder, type Recorded, type Recorder } from './recorder.ts';
import { serverKind, varied, type RealServer } from './servers.ts';
import { startTinyproxy } from './tinyproxy.ts';
import { assumeRole, revoke, type TemporaryKeys } from './temporary-keys.ts';

const ROLE = 'arn:aws:iam::123456789012:role/model-reader';
const URI = 's3://models/m';
const MIB = 1 << 20;

interface Scene {
  readonly bench: Bench;
  readonly server: RealServer;
  readonly issuer: Issuer;
  /** In front of the server. */
  readonly recorder: Recorder;
}

type Cases = Record<string, () => Promise<void>>;

export const IDENTITY_SUITE: Suite = {
  name: 'identity',
  needs: ['minio', 'openssl', 'tinyproxy', 'libnss_wrapper', 'libfaketime'],
  open: async (bench) => {
    const issuer = await startIssuer(bench);
    const env = {
      MINIO_IDENTITY_OPENID_CONFIG_URL: issuer.configUrl,
      MINIO_IDENTITY_OPENID_CLIENT_ID: AUDIENCE,
    };
    const { server, store } = await bench.serve(varied(serverKind('MinIO'), { env }));
    await store.createBucket('models');
    await store.put('models', 'm/', MODEL);
    const recorder = await startRecorder(bench, server.url);
    const scene = { bench, server, issuer, recorder };
    return { ...webIdentityCases(scene), ...podIdentityCases(scene), ...endingCases(scene) };
  },
};

/** No keys by name; a region, as everywhere on EKS. */
function nobody(url: string): Env {
  return { AWS_ENDPOINT_URL: url, AWS_REGION: 'us-east-1', AWS_EC2_METADATA_DISABLED: 'true' };
}

/** The token in a file of its own, and kept out of all output. */
function tokenFile(bench: Bench, token: string): string {
  const file = join(bench.newFolder(), 'token');
  writeFileSync(file, token);
  bench.secrets.push(token);
  return file;
}

function webIdentityCases({ bench, issuer, recorder }: Scene): Cases {
  const envOf = (file: string): Env => ({
    ...nobody(recorder.url),
    AWS_ROLE_ARN: ROLE,
    AWS_WEB_IDENTITY_TOKEN_FILE: file,
    AWS_ENDPOINT_URL_STS: recorder.url,
  });
  const refused = async (token: string, message: RegExp): Promise<void> => {
    const env = envOf(tokenFile(bench, token));
    await bench.refused(URI, env, { code: 'UNAUTHENTICATED', exit: 11, message, hint: /role/ });
  };
  return {
    'a role is assumed with the web identity token, and its session signs every request':
      async () => {
        const token = issuer.token();
        recorder.requests();
        await bench.fetched(URI, envOf(tokenFile(bench, token)));
        const { sts, s3 } = apart(recorder.requests());
        assert.equal(sts.length, 1);
        const asked = new URLSearchParams(sts[0]!.body);
        assert.equal(asked.get('Action'), 'AssumeRoleWithWebIdentity');
        assert.equal(asked.get('RoleArn'), ROLE);
        assert.equal(asked.get('WebIdentityToken'), token);
        assertSession(s3);
      },
    'the role is assumed over TLS with a private authority, and not without it': async () => {
      const authority = await makeAuthority(bench.tool('openssl'), bench.newFolder(), [
        'IP:127.0.0.1',
      ]);
      const sts = await startRecorder(bench, recorder.url, authority);
      const env = {
        ...envOf(tokenFile(bench, issuer.token())),
        AWS_ENDPOINT_URL_STS: sts.url,
      };
      await bench.fetched(URI, { ...env, AWS_CA_BUNDLE: authority.ca });
      await bench.fetched(URI, { ...env, SSL_CERT_FILE: authority.ca });
      await bench.refused(URI, env, {
        code: 'BAD_RESPONSE',
        exit: 13,
        message: /certificate of 127/,
        hint: /SSL_CERT_FILE/,
      });
    },
    'the role is assumed through the proxy': async () => {
      const proxy = await startTinyproxy(bench, { hosts: [] });
      await bench.fetched(URI, {
        ...envOf(tokenFile(bench, issuer.token())),
        HTTP_PROXY: proxy.url,
      });
      const asked = proxy.seen().filter((line) => line.startsWith('POST '));
      assert.deepEqual(asked, [`POST ${recorder.url}/`]);
    },
    'the role is assumed a few times, and not for each request, by a clock that is hours off':
      async () => {
        for (const offset of ['+5h', '-5h']) {
          recorder.requests();
          await bench.fetched(URI, {
            ...envOf(tokenFile(bench, issuer.token())),
            LD_PRELOAD: bench.tool('libfaketime'),
            FAKETIME: offset,
            FAKETIME_DONT_FAKE_MONOTONIC: '1',
          });
          const { sts } = apart(recorder.requests());
          assert.ok(sts.length <= 4, `${offset}: ${String(sts.length)} times`);
        }
      },
    'a token that was rotated is read anew by the next run': async () => {
      const file = tokenFile(bench, issuer.token());
      await bench.fetched(URI, envOf(file));
      const fresh = issuer.token();
      writeFileSync(file, fresh);
      recorder.requests();
      await bench.fetched(URI, envOf(file));
      const { sts } = apart(recorder.requests());
      assert.deepEqual(
        sts.map(({ body }) => new URLSearchParams(body).get('WebIdentityToken')),
        [fresh],
      );
    },
    'a token that has expired is told as such': () =>
      refused(issuer.token({ secondsLeft: -120 }), /expired/i),
    'a token of another issuer is refused': () =>
      refused(issuer.token({ forged: true }), /credentials/),
    'a token that is none is refused': () => refused('not.a.token', /credentials/),
    'a token file that is missing is named': async () => {
      const file = join(bench.folder, 'no-such-token');
      await bench.refused(URI, envOf(file), {
        code: 'UNAUTHENTICATED',
        exit: 11,
        message: /no-such-token/,
      });
    },
  };
}

function podIdentityCases({ bench, server, recorder }: Scene): Cases {
  const open = async (shown = 'a.pod.token'): Promise<{ env: Env; keys: TemporaryKeys }> => {
    const keys = await temporary(bench, server);
    const agent = await startAgent(bench, 'a.pod.token', keys);
    const env = {
      ...nobody(recorder.url),
      AWS_CONTAINER_CREDENTIALS_FULL_URI: agent.url,
      AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: tokenFile(bench, shown),
    };
    return { env, keys };
  };
  return {
    "Pod Identity's agent gives keys for the pod's token, and they sign every request":
      async () => {
        const { env, keys } = await open();
        recorder.requests();
        await bench.fetched(URI, env);
        const { sts, s3 } = apart(recorder.requests());
        assert.equal(sts.length, 0);
        assertSession(s3, keys.sessionToken);
      },
    'a pod whose token the agent does not take is refused': async () => {
      const { env } = await open('another.pod.token');
      await bench.refused(URI, env, {
        code: 'UNAUTHENTICATED',
        exit: 11,
        message: /Pod Identity/,
        hint: /token/,
      });
    },
    'temporary keys work by name': async () => {
      const keys = await temporary(bench, server);
      recorder.requests();
      await bench.fetched(URI, { ...nobody(recorder.url), ...named(keys) });
      assertSession(apart(recorder.requests()).s3, keys.sessionToken);
    },
  };
}

/** Keys that end while bytes flow: what is running goes on, what is asked next is refused. */
function endingCases({ bench, server }: Scene): Cases {
  const slowly = ['--limit-rate', '8Mi', '--concurrency', '2'];
  /** Runs in `env`, and takes `keys` back when a part of the model is there; `then` comes first. */
  const interrupted = async (env: Env, keys: TemporaryKeys, then: () => void): Promise<Outcome> => {
    server.wire.reset();
    const running = bench.fetch(URI, env, slowly);
    for (let waited = 0; server.wire.received() < 3 * MIB && waited < 200; waited += 1)
      await sleep(50);
    then();
    await revoke(server.url, keys);
    return running;
  };
  const failedFor = (outcome: Outcome): void => {
    assert.equal(outcome.status, 11, outcome.stderr);
    const { error } = JSON.parse(outcome.stdout) as { error: { code: string; hint?: string } };
    assert.equal(error.code, 'UNAUTHENTICATED');
    assert.match(error.hint ?? '', /temporary credentials|session/);
    assert.deepEqual([...outcome.tree.keys()], []);
  };
  const withAgent = async (fresh?: TemporaryKeys): Promise<{ outcome: Outcome; given: number }> => {
    const keys = await temporary(bench, server);
    const agent = await startAgent(bench, 'a.pod.token', keys);
    const env = {
      ...nobody(server.url),
      AWS_CONTAINER_CREDENTIALS_FULL_URI: agent.url,
      AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: tokenFile(bench, 'a.pod.token'),
    };
    const outcome = await interrupted(env, keys, () => {
      if (fresh) agent.keys = fresh;
    });
    return { outcome, given: agent.given() };
  };
  return {
    'keys that end half-way are asked for again, and the run finishes': async () => {
      const { outcome, given } = await withAgent(await temporary(bench, server));
      assert.equal(outcome.status, 0, outcome.stderr);
      assert.equal(outcome.tree.size, MODEL.length);
      assert.equal(given, 2);
    },
    'keys that end half-way, and no others, end the run': async () => {
      failedFor((await withAgent()).outcome);
    },
    'keys in files that are renewed half-way are read again': async () => {
      const [keys, fresh] = [await temporary(bench, server), await temporary(bench, server)];
      const folder = bench.newFolder();
      const variables = Object.keys(named(keys));
      const write = (now: TemporaryKeys): void => {
        for (const [name, value] of Object.entries(named(now)))
          writeFileSync(join(folder, name), value);
      };
      write(keys);
      const files = variables.map((name) => [`${name}_FILE`, join(folder, name)]);
      const env = { ...nobody(server.url), ...(Object.fromEntries(files) as Env) };
      const outcome = await interrupted(env, keys, () => {
        write(fresh);
      });
      assert.equal(outcome.status, 0, outcome.stderr);
      assert.equal(outcome.tree.size, MODEL.length);
    },
    'keys by name that end half-way end the run': async () => {
      const keys = await temporary(bench, server);
      failedFor(
        await interrupted({ ...nobody(server.url), ...named(keys) }, keys, () => undefined),
      );
    },
  };
}

async function temporary(bench: Bench, server: RealServer): Promise<TemporaryKeys> {
  const keys = await assumeRole(server.url);
  bench.secrets.push(keys.secretAccessKey, keys.sessionToken);
  return keys;
}

function named(keys: TemporaryKeys): Env {
  return {
    AWS_ACCESS_KEY_ID: keys.accessKeyId,
    AWS_SECRET_ACCESS_KEY: keys.secretAccessKey,
    AWS_SESSION_TOKEN: keys.sessionToken,
  };
}

function apart(requests: readonly Recorded[]): { sts: Recorded[]; s3: Recorded[] } {
  const isSts = ({ method, path }: Recorded): boolean => method === 'POST' && path === '/';
  return { sts: requests.filter(isSts), s3: requests.filter((one) => !isSts(one)) };
}

/** Listings, heads and reads, each signed with a session token inside the signature. */
function assertSession(requests: readonly Recorded[], token?: string): void {
  const reads = requests.filter(({ path }) => path.includes('weights.bin'));
  assert.ok(requests.length >= 4 && reads.length >= 2, 'too few requests to show anything');
  for (const { headers, path } of requests) {
    const sent = headers['x-amz-security-token'];
    assert.ok(sent !== undefined && (token === undefined || sent === token), path);
    assert.match(headers.authorization ?? '', /SignedHeaders=\S*x-amz-security-token/, path);
  }
}
