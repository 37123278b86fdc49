import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { describe, test } from 'node:test';
import type { Digest } from '../../src/fetcher.ts';
import { checkedStream, type CheckedStream } from '../../src/verify/checked-stream.ts';
import { sha256 } from '../publish/scene.ts';

const BYTES = Buffer.from('the bytes of a model, in a few pieces');
const details = { uri: 'x://y', path: 'p' };

/** The same buffer for every chunk, as sockets have it. */
async function* chunks(): AsyncGenerator<Uint8Array> {
  const buffer = Buffer.alloc(10);
  for (let at = 0; at < BYTES.length; at += 10) {
    yield buffer.subarray(0, BYTES.copy(buffer, 0, at, at + 10));
    buffer.fill(0);
  }
}

async function through({ bytes }: CheckedStream): Promise<string> {
  const parts: Buffer[] = [];
  for await (const chunk of bytes) parts.push(Buffer.from(chunk));
  return Buffer.concat(parts).toString();
}

describe('a checked stream', () => {
  test('passes the bytes on, and knows their length, CRC and what they were checked against', async () => {
    const declared: Digest[] = [`md5:${createHash('md5').update(BYTES).digest('hex')}`];
    const checked = checkedStream(chunks(), [`sha256:${sha256(BYTES)}`], () => declared, details);
    assert.throws(() => checked.result());
    assert.equal(await through(checked), BYTES.toString());
    assert.deepEqual(checked.result(), {
      size: BYTES.length,
      crc: `crc32:${crc32(BYTES).toString(16).padStart(8, '0')}`,
      against: [`sha256:${sha256(BYTES)}`, ...declared],
    });
  });

  test('asks for what is declared when the first bytes are there', async () => {
    let asked = 0;
    let begun = false;
    async function* late(): AsyncGenerator<Uint8Array> {
      begun = true;
      yield* chunks();
    }
    const declared = (): Digest[] => {
      assert.ok(begun);
      asked++;
      return [];
    };
    await through(checkedStream(late(), [], declared, details));
    assert.equal(asked, 1);
  });

  for (const algorithm of ['sha256', 'md5', 'crc32c', 'crc64nvme', 'crc32'] as const)
    test(`fails at its end when the ${algorithm} is another`, async () => {
      const wrong: Digest = `${algorithm}:${'0'.repeat(8)}`;
      const checked = checkedStream(chunks(), [], () => [wrong], details);
      await assert.rejects(through(checked), { code: 'DIGEST_MISMATCH', path: 'p' });
      assert.throws(() => checked.result());
    });

  test('of nothing is checked as well', async () => {
    const none = (async function* (): AsyncGenerator<Uint8Array> {})();
    const checked = checkedStream(none, [`sha256:${sha256('')}`], () => [], details);
    assert.equal(await through(checked), '');
    assert.equal(checked.result().crc, 'crc32:00000000');
  });

  test('that is left early lets go of its source, and has no result', async () => {
    let closed = false;
    async function* source(): AsyncGenerator<Uint8Array> {
      try {
        yield* chunks();
      } finally {
        closed = true;
      }
    }
    const checked = checkedStream(source(), [], () => [], details);
    for await (const chunk of checked.bytes) {
      assert.ok(chunk.length > 0);
      break;
    }
    assert.ok(closed);
    assert.throws(() => checked.result());
  });
});
