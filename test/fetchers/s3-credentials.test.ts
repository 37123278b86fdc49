/** The SDK's own chain reads the process's environment: each source is tried in a process of its own. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { startS3, type S3Credentials, type S3Server } from '../servers/s3.ts';

const run = promisify(execFile);
const CHILD = join(import.meta.dirname, 's3-child.ts');
const SESSION = {
  accessKeyId: 'ASIASESSION',
  secretAccessKey: 'session-secret',
  sessionToken: 'session-token',
};
const LONG = { accessKeyId: 'AKIALONG', secretAccessKey: 'long-secret' };

describe('s3 credentials', { concurrency: 2 }, () => {
  let server: S3Server;
  let folder: string;
  const credentials: S3Credentials[] = [SESSION, LONG];
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 's3-cred-'));
    server = await startS3({ credentials, publicBuckets: ['open'] });
    server.put('b', 'm/a', 'the model');
    server.put('open', 'm/a', 'the public model');
    await writeFile(join(folder, 'token'), 'a.web.token');
    await writeFile(
      join(folder, 'credentials'),
      `[named]\naws_access_key_id = ${LONG.accessKeyId}\naws_secret_access_key = ${LONG.secretAccessKey}\n`,
    );
    await writeFile(join(folder, 'config'), '[profile named]\nregion = us-east-1\n');
  });
  after(async () => {
    await server.close();
    await rm(folder, { recursive: true });
  });

  /** Reads a model in a child whose environment is `env` and nothing else. */
  const read = async (
    env: Record<string, string>,
    uri = 's3://b/m',
  ): Promise<Record<string, unknown>> => {
    const { stdout } = await run(process.execPath, ['--no-warnings', CHILD, uri], {
      env: {
        HOME: folder,
        AWS_ENDPOINT_URL_S3: server.url,
        AWS_REGION: 'us-east-1',
        AWS_EC2_METADATA_DISABLED: 'true',
        ...env,
      },
      timeout: 30_000,
    });
    return JSON.parse(stdout) as Record<string, unknown>;
  };

  it('come from keys in the environment', async () => {
    const env = {
      AWS_ACCESS_KEY_ID: LONG.accessKeyId,
      AWS_SECRET_ACCESS_KEY: LONG.secretAccessKey,
    };
    assert.deepEqual(await read(env), {
      text: 'the model',
      source: 'environment keys (AWS_ACCESS_KEY_ID)',
    });
  });

  it('come from a profile', async () => {
    const env = {
      AWS_PROFILE: 'named',
      AWS_SHARED_CREDENTIALS_FILE: join(folder, 'credentials'),
      AWS_CONFIG_FILE: join(folder, 'config'),
    };
    assert.deepEqual(await read(env), { text: 'the model', source: 'profile named (AWS_PROFILE)' });
  });

  it('come from a profile that only the configuration file has', async () => {
    const file = join(folder, 'config-alone');
    const keys = `aws_access_key_id = ${LONG.accessKeyId}\naws_secret_access_key = ${LONG.secretAccessKey}\n`;
    await writeFile(file, `[profile other]\n${keys}`);
    const env = { AWS_PROFILE: 'other', AWS_CONFIG_FILE: file };
    assert.partialDeepStrictEqual(await read(env), { text: 'the model' });
  });

  it('are read again from the files of a profile that were renewed while a model is read', async () => {
    const file = join(folder, 'renewed');
    const write = ({ accessKeyId, secretAccessKey, sessionToken }: S3Credentials): void => {
      writeFileSync(
        file,
        `[default]\naws_access_key_id = ${accessKeyId}\naws_secret_access_key = ${secretAccessKey}\naws_session_token = ${String(sessionToken)}\n`,
      );
    };
    const old = { accessKeyId: 'ASIAOLD', secretAccessKey: 'old', sessionToken: 'old' };
    write(old);
    await using store = await startS3({
      credentials: [{ ...old, expiresAt: 1 }, SESSION],
      faults: () => {
        write(SESSION);
        return undefined;
      },
    });
    store.put('b', 'm/a', 'the model');
    const env = { AWS_ENDPOINT_URL_S3: store.url, AWS_SHARED_CREDENTIALS_FILE: file };
    assert.partialDeepStrictEqual(await read(env), { text: 'the model' });
  });

  it('come from a web identity, as in EKS with a role for the service account', async () => {
    const asked: string[] = [];
    await using sts = await serve((request, response) => {
      void bodyOf(request).then((body) => {
        asked.push(body);
        response.setHeader('content-type', 'text/xml').end(assumed());
      });
    });
    const env = {
      AWS_ROLE_ARN: 'arn:aws:iam::123456789012:role/reader',
      AWS_WEB_IDENTITY_TOKEN_FILE: join(folder, 'token'),
      AWS_ENDPOINT_URL_STS: sts.url,
    };
    assert.deepEqual(await read(env), {
      text: 'the model',
      source:
        'web identity, role arn:aws:iam::123456789012:role/reader (AWS_WEB_IDENTITY_TOKEN_FILE)',
    });
    assert.equal(asked.length, 1);
    assert.match(asked[0]!, /Action=AssumeRoleWithWebIdentity.*WebIdentityToken=a\.web\.token/);
  });

  it('come from the container, as in EKS with Pod Identity', async () => {
    await using agent = await serve((request, response) => {
      const allowed = request.headers.authorization === 'a.web.token';
      response
        .writeHead(allowed ? 200 : 403, { 'content-type': 'application/json' })
        .end(allowed ? sessionJson() : '{}');
    });
    const env = {
      AWS_CONTAINER_CREDENTIALS_FULL_URI: `${agent.url}/v1/credentials`,
      AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: join(folder, 'token'),
    };
    assert.partialDeepStrictEqual(await read(env), { text: 'the model' });
  });

  it('come from the container, whose token may be given by value', async () => {
    await using agent = await serve((request, response) => {
      const allowed = request.headers.authorization === 'a.value';
      response
        .writeHead(allowed ? 200 : 403, { 'content-type': 'application/json' })
        .end(allowed ? sessionJson() : '{}');
    });
    const env = {
      AWS_CONTAINER_CREDENTIALS_FULL_URI: `${agent.url}/v1/credentials`,
      AWS_CONTAINER_AUTHORIZATION_TOKEN: 'a.value',
    };
    assert.partialDeepStrictEqual(await read(env), { text: 'the model' });
  });

  it('come from instance metadata', async () => {
    await using metadata = await serve((request, response) => {
      const path = request.url ?? '';
      if (request.method === 'PUT' && path.endsWith('/api/token')) response.end('imds-token');
      else if (path.endsWith('/security-credentials/')) response.end('node-role');
      else if (path.endsWith('/security-credentials/node-role')) response.end(sessionJson());
      else response.writeHead(404).end();
    });
    const env = {
      AWS_EC2_METADATA_DISABLED: 'false',
      AWS_EC2_METADATA_SERVICE_ENDPOINT: metadata.url,
    };
    assert.partialDeepStrictEqual(await read(env), { text: 'the model' });
  });

  it('are renewed when a session ends early', async () => {
    let times = 0;
    await using agent = await serve((_request, response) => {
      times++;
      const stale = {
        ...session(),
        AccessKeyId: 'ASIASTALE',
        SecretAccessKey: 'stale',
        Token: 'stale',
      };
      response
        .setHeader('content-type', 'application/json')
        .end(JSON.stringify(times === 1 ? stale : session()));
    });
    credentials.push({
      accessKeyId: 'ASIASTALE',
      secretAccessKey: 'stale',
      sessionToken: 'stale',
      expiresAt: 1,
    });
    const result = await read({
      AWS_CONTAINER_CREDENTIALS_FULL_URI: `${agent.url}/v1/credentials`,
    });
    assert.partialDeepStrictEqual(result, { text: 'the model' });
    assert.equal(times, 2);
  });

  it('are not needed for a public bucket', async () => {
    const result = await read({ awsAnonymousCredential: 'true' }, 's3://open/m');
    assert.deepEqual(result, { text: 'the public model', source: 'anonymous' });
  });

  it('that their source does not give are an error that names the source, at once', async () => {
    await using agent = await serve((_request, response) => {
      response.writeHead(400, { 'content-type': 'application/json' }).end('{}');
    });
    const refused = await read({
      AWS_CONTAINER_CREDENTIALS_FULL_URI: `${agent.url}/v1/credentials`,
    });
    assert.equal(refused['code'], 'UNAUTHENTICATED');
    assert.match(String(refused['message']), /credentials from container .*Pod Identity/);
    const gone = await read({
      AWS_ROLE_ARN: 'arn:aws:iam::123456789012:role/reader',
      AWS_WEB_IDENTITY_TOKEN_FILE: join(folder, 'no-token'),
    });
    assert.equal(gone['code'], 'UNAUTHENTICATED');
    assert.match(String(gone['message']), /role\/reader .*no-token/);
    assert.match(String(gone['hint']), /token and its file/);
  });

  it('that are missing are an error that says what to do', async () => {
    const result = await read({});
    assert.partialDeepStrictEqual(result, { code: 'UNAUTHENTICATED', source: 'none' });
    assert.match(String(result['hint']), /awsAnonymousCredential=true/);
  });
});

function session(): Record<string, string> {
  return {
    Code: 'Success',
    Type: 'AWS-HMAC',
    AccessKeyId: SESSION.accessKeyId,
    SecretAccessKey: SESSION.secretAccessKey,
    Token: SESSION.sessionToken,
    Expiration: new Date(Date.now() + 3_600_000).toISOString(),
  };
}

const sessionJson = (): string => JSON.stringify(session());

function assumed(): string {
  const { AccessKeyId, SecretAccessKey, Token, Expiration } = session();
  return `<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult>
    <Credentials><AccessKeyId>${AccessKeyId}</AccessKeyId><SecretAccessKey>${SecretAccessKey}</SecretAccessKey>
    <SessionToken>${Token}</SessionToken><Expiration>${Expiration}</Expiration></Credentials>
    </AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`;
}

async function serve(listener: RequestListener): Promise<AsyncDisposable & { url: string }> {
  const server: Server = createServer(listener).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}
