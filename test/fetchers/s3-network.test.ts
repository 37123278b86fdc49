/** S3 over the package's own network: certificates, the address policy, and names of buckets as hosts. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { HttpLocation, ResolveContext } from '../../src/fetcher.ts';
import { fromEnv } from '../../src/fetchers/s3.ts';
import { createHttpClient } from '../../src/http/client.ts';
import { createSlowLane } from '../../src/http/slow-lane.ts';
import { createNetwork } from '../../src/net/create-network.ts';
import { parseRef } from '../../src/ref.ts';
import type { Env } from '../../src/registry.ts';
import { startS3, type S3Server } from '../servers/s3.ts';
import { certificatePath, serverCertificate } from '../support/certs.ts';
import { contextFor, listed } from './s3-support.ts';

/** The text of the one file at `uri`, by the environment alone. */
async function fetchText(server: S3Server, uri: string, env: Env): Promise<string> {
  const network = createNetwork({
    policy: 'public',
    lookup: () => Promise.resolve(['127.0.0.1']),
  });
  const context: ResolveContext = { ...contextFor(), http: createHttpClient({ network }) };
  const keys = {
    AWS_ACCESS_KEY_ID: 'test',
    AWS_SECRET_ACCESS_KEY: 'secret',
    AWS_REGION: 'us-east-1',
  };
  try {
    const resolver = fromEnv({ AWS_ENDPOINT_URL: server.url, ...keys, ...env });
    const fetcher = await resolver.resolve(parseRef(uri), context);
    const [entry] = await listed(fetcher);
    const location = (await fetcher.locate(entry!)) as HttpLocation;
    const chunks: Buffer[] = [];
    const signal = AbortSignal.timeout(10_000);
    await createSlowLane({ network })({
      location,
      sink: (chunk) => void chunks.push(Buffer.from(chunk)),
      signal,
      stallMs: 5000,
    });
    return Buffer.concat(chunks).toString();
  } finally {
    network.close();
  }
}

describe('s3 on the network', () => {
  it('reaches an endpoint of the operator, private or not, whatever the policy says', async () => {
    await using server = await startS3();
    server.put('models', 'm/a', 'private');
    assert.equal(await fetchText(server, 's3://models/m', {}), 'private');
  });

  it('reaches buckets by name of host', async () => {
    await using server = await startS3();
    server.put('models', 'm/a', 'virtual');
    const env = {
      AWS_ENDPOINT_URL: `http://localhost:${server.port}`,
      S3_USER_VIRTUAL_BUCKET: 'true',
    };
    assert.equal(await fetchText(server, 's3://models/m/a', env), 'virtual');
    assert.equal(server.requests.at(-1)?.headers['host'], `models.localhost:${server.port}`);
  });

  it('trusts the bundle it is given, on the control plane and for the bytes', async () => {
    await using server = await startS3({ tls: serverCertificate() });
    server.put('models', 'm/a', 'over TLS');
    assert.equal(
      await fetchText(server, 's3://models/m', { AWS_CA_BUNDLE: certificatePath('ca') }),
      'over TLS',
    );
    assert.equal(await fetchText(server, 's3://models/m', { S3_VERIFY_SSL: 'false' }), 'over TLS');
  });

  it('trusts nobody else', async () => {
    await using server = await startS3({ tls: serverCertificate() });
    server.put('models', 'm/a', 'over TLS');
    await assert.rejects(
      fetchText(server, 's3://models/m', {}),
      (error: Error & { code?: string; hint?: string }) => {
        assert.equal(error.code, 'BAD_RESPONSE');
        assert.ok(error.hint);
        return true;
      },
    );
    assert.equal(server.requests.length, 0);
    await assert.rejects(
      fetchText(server, 's3://models/m', { AWS_CA_BUNDLE: '/no/such/bundle.pem' }),
    );
  });
});
