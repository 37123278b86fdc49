/** Our signatures against the general signer's, over whatever keys, headers and credentials there may be. */
import assert from 'node:assert/strict';
import { createHash, createHmac } from 'node:crypto';
import { describe, test } from 'node:test';
import { SignatureV4 } from '@smithy/signature-v4';
import fc from 'fast-check';
import { encodeKey, encodePart } from '../../src/fetchers/s3-address.ts';
import { signer } from '../../src/fetchers/s3-sigv4.ts';

/** What the signer wants for a hash. */
class Sha256 {
  readonly #hash;
  constructor(secret?: unknown) {
    this.#hash =
      secret === undefined ? createHash('sha256') : createHmac('sha256', secret as Buffer);
  }
  update(bytes: Uint8Array): void {
    this.#hash.update(bytes);
  }
  digest(): Promise<Uint8Array> {
    return Promise.resolve(this.#hash.digest());
  }
  reset(): void {
    throw new Error('not used');
  }
}

const word = fc.stringMatching(/^[A-Za-z0-9/+=]{1,40}$/);

describe('a signature', () => {
  test('is the general one', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.string({ unit: 'grapheme', minLength: 1, maxLength: 60 }),
        fc.option(fc.string({ minLength: 1, maxLength: 40 }), { nil: undefined }),
        fc.record({
          accessKeyId: word,
          secretAccessKey: word,
          sessionToken: fc.option(word, { nil: undefined }),
        }),
        fc.constantFrom('us-east-1', 'eu-central-1', 'auto'),
        fc.date({ min: new Date('2020-01-01'), max: new Date('2040-01-01'), noInvalidDate: true }),
        fc.dictionary(
          fc.stringMatching(/^x-amz-[a-z][a-z-]{0,20}[a-z]$/),
          fc.stringMatching(/^[ -~]{1,40}$/),
          { maxKeys: 4 },
        ),
        async (key, versionId, identity, region, date, headers) => {
          const path = `/bucket/${encodeKey(key)}`;
          const general = await new SignatureV4({
            service: 's3',
            region,
            credentials: identity as typeof identity & { sessionToken: string },
            sha256: Sha256,
            uriEscapePath: false,
            applyChecksum: true,
          }).sign(
            {
              method: 'GET',
              protocol: 'http:',
              hostname: 'store',
              path,
              query: versionId === undefined ? {} : { versionId },
              headers: {
                ...headers,
                host: 'store:9000',
                'x-amz-content-sha256': 'UNSIGNED-PAYLOAD',
              },
            },
            { signingDate: date },
          );
          const query = versionId === undefined ? '' : `versionId=${encodePart(versionId)}`;
          const ours = signer({ host: 'store:9000', headers, region, identity, date })(path, query);
          assert.deepEqual({ ...ours, host: 'store:9000' }, { ...general.headers });
        },
      ),
      { numRuns: 300 },
    );
  });
});
