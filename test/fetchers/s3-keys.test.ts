import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { FailedLocation, HttpLocation } from '../../src/fetcher.ts';
import { fromEnv } from '../../src/fetchers/s3.ts';
import { optionsFromEnv } from '../../src/fetchers/s3-options.ts';
import { parseRef } from '../../src/ref.ts';
import { startS3, type S3Credentials } from '../servers/s3.ts';
import { contextFor, listed, read } from './s3-support.ts';

const OLD: S3Credentials = {
  accessKeyId: 'OLD',
  secretAccessKey: 'old',
  sessionToken: 'old-token',
};
const NEW: S3Credentials = {
  accessKeyId: 'NEW',
  secretAccessKey: 'new',
  sessionToken: 'new-token',
};

describe('s3 keys', () => {
  let folder: string;
  before(async () => (folder = await mkdtemp(join(tmpdir(), 's3-keys-'))));
  after(() => rm(folder, { recursive: true }));

  const write = async (keys: S3Credentials): Promise<Record<string, string>> => {
    await writeFile(join(folder, 'id'), `${keys.accessKeyId}\n`);
    await writeFile(join(folder, 'secret'), keys.secretAccessKey);
    await writeFile(join(folder, 'token'), `${keys.sessionToken ?? ''}\n`);
    return {
      AWS_ACCESS_KEY_ID_FILE: join(folder, 'id'),
      AWS_SECRET_ACCESS_KEY_FILE: join(folder, 'secret'),
      AWS_SESSION_TOKEN_FILE: join(folder, 'token'),
    };
  };
  const keysIn = async (env: Record<string, string>): Promise<unknown> => {
    const { credentials } = optionsFromEnv(env);
    return typeof credentials === 'function' ? credentials() : credentials;
  };

  it('may be files, each of the three, and are read by them', async () => {
    const files = await write(OLD);
    assert.deepEqual(await keysIn(files), OLD);
    assert.deepEqual(await keysIn({ ...files, AWS_ACCESS_KEY_ID: 'given' }), {
      ...OLD,
      accessKeyId: 'given',
    });
    assert.equal(await keysIn({ ...files, AWS_ACCESS_KEY_ID_FILE: '' }), undefined);
  });

  it('in files that cannot be used are told by variable and path', async () => {
    const files = await write(OLD);
    await writeFile(join(folder, 'empty'), '\n');
    for (const name of ['nope', 'empty'])
      assert.throws(
        () => optionsFromEnv({ ...files, AWS_SECRET_ACCESS_KEY_FILE: join(folder, name) }),
        { code: 'INVALID_OPTION', message: /^AWS_SECRET_ACCESS_KEY_FILE names .*(ENOENT|empty)/ },
      );
  });

  it('in files are explained as such', async () => {
    const explained = await fromEnv(await write(OLD)).explain!(parseRef('s3://b/m'), contextFor());
    assert.equal(explained.credentials, 'keys in files (AWS_SECRET_ACCESS_KEY_FILE)');
  });

  it('that are renewed in their files while a model is read are taken from there', async () => {
    const credentials = [OLD];
    await using server = await startS3({ credentials });
    server.put('b', 'm/a', 'the model');
    const env = { AWS_ENDPOINT_URL: server.url, ...(await write(OLD)) };
    const fetcher = await fromEnv(env).resolve(parseRef('s3://b/m'), contextFor());
    const [entry] = await listed(fetcher);
    const location = (await fetcher.locate(entry!)) as HttpLocation;
    credentials.splice(0, 1, NEW);
    await write(NEW);
    const { status, headers, body } = await read(location);
    assert.equal(status, 403);
    const failed: FailedLocation = { location, status, headers, body: body.toString() };
    const fresh = (await fetcher.locate(entry!, { failed })) as HttpLocation;
    assert.equal((await read(fresh)).body.toString(), 'the model');
    // Once only: keys that are refused and have not changed are wrong.
    credentials.splice(0, 1);
    const again = await read(fresh);
    const refused = {
      location: fresh,
      status: again.status,
      headers: again.headers,
      body: again.body.toString(),
    };
    await assert.rejects(fetcher.locate(entry!, { failed: refused }), { code: 'UNAUTHENTICATED' });
  });
});
