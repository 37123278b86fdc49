import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { S3Client } from '@aws-sdk/client-s3';
import { byServerClock } from '../../src/fetchers/s3-clock.ts';
import { fromEnv } from '../../src/fetchers/s3.ts';
import { parseRef } from '../../src/ref.ts';
import { startS3 } from '../servers/s3.ts';
import { contextFor, listed } from './s3-support.ts';

const HOUR = 3_600_000;

describe('s3, temporary credentials and a clock that is wrong', () => {
  it('are kept until they end by the clock of the server', async () => {
    let asked = 0;
    let offset = -5 * HOUR;
    const end = new Date(Date.now() - 4 * HOUR);
    const client = new S3Client({
      region: 'us-east-1',
      credentials: () => {
        asked += 1;
        return Promise.resolve({ accessKeyId: 'a', secretAccessKey: 's', expiration: end });
      },
    });
    const provider = byServerClock(client.config.credentials, () => offset);
    await provider();
    const first = asked;
    for (let calls = 0; calls < 5; calls += 1) await provider();
    assert.equal(asked, first);
    offset = -4 * HOUR;
    await provider();
    assert.ok(asked > first, 'they end now');
  });
});

describe('s3, a role by a clock that is ahead', () => {
  const session = {
    accessKeyId: 'ASIASESSION',
    secretAccessKey: 'session-secret',
    sessionToken: 'session-token',
  };
  let asked = 0;
  const agent = createServer((_request, response) => {
    asked += 1;
    response.setHeader('content-type', 'application/json').end(
      JSON.stringify({
        AccessKeyId: session.accessKeyId,
        SecretAccessKey: session.secretAccessKey,
        Token: session.sessionToken,
        // An hour left at the server, four too late here.
        Expiration: new Date(Date.now() - 4 * HOUR).toISOString(),
      }),
    );
  });
  before(async () => {
    await new Promise<void>((resolve) => agent.listen(0, '127.0.0.1', resolve));
    const { port } = agent.address() as AddressInfo;
    // The SDK's own chain reads the process's environment.
    process.env['AWS_CONTAINER_CREDENTIALS_FULL_URI'] = `http://127.0.0.1:${String(port)}/`;
  });
  after(() => {
    delete process.env['AWS_CONTAINER_CREDENTIALS_FULL_URI'];
    agent.closeAllConnections();
    agent.close();
  });

  it('is not assumed for each request', async () => {
    await using server = await startS3({
      credentials: [session],
      clock: () => Date.now() - 5 * HOUR,
    });
    for (let file = 0; file < 20; file += 1) server.put('b', `m/${String(file)}`, 'x');
    const env = { AWS_ENDPOINT_URL: server.url, AWS_REGION: 'us-east-1' };
    const fetcher = await fromEnv(env).resolve(parseRef('s3://b/m/'), contextFor());
    const entries = await listed(fetcher);
    assert.equal(entries.length, 20);
    for (const entry of entries) {
      const location = await fetcher.locate(entry);
      assert.ok(location.kind === 'http' && location.expiresAt! > Date.now(), 'it is over at once');
    }
    assert.ok(asked <= 4, `asked ${String(asked)} times`);
  });
});
