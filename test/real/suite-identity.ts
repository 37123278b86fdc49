/** Identities as pods have them: a role by a web identity token (IRSA), Pod Identity, and keys that end before the download. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startAgent } from './agent.ts';
import { makeAuthority } from './authority.ts';
import { endingCases } from './cases-ending.ts';
import { MODEL, type Bench, type Env, type Suite } from './bench.ts';
import { AUDIENCE, startIssuer, type Issuer } from './issuer.ts';
import { named, nobody, temporary, tokenFile } from './keyless.ts';
import { startRecorder, type Recorded, type Recorder } from './recorder.ts';
import { serverKind, varied, type RealServer } from './servers.ts';
import { startTinyproxy } from './tinyproxy.ts';
import type { TemporaryKeys } from './temporary-keys.ts';

const ROLE = 'arn:aws:iam::123456789012:role/model-reader';
const URI = 's3://models/m';

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
    return {
      ...webIdentityCases(scene),
      ...podIdentityCases(scene),
      ...endingCases(bench, server),
    };
  },
};

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
