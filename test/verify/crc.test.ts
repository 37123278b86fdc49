import assert from 'node:assert/strict';
import { crc32 } from 'node:zlib';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { combineCrc, crcHex, createCrc, isCrc, type CrcAlgorithm } from '../../src/verify/crc.ts';

const ALGORITHMS = ['crc32', 'crc32c', 'crc64nvme'] as const;

async function crcOf(algorithm: CrcAlgorithm, ...chunks: Uint8Array[]): Promise<bigint> {
  const state = await createCrc(algorithm);
  for (const chunk of chunks) state.update(chunk);
  const value = state.value();
  state.release();
  return value;
}

/** Bit by bit, as the definition has it. */
function slowCrc(width: bigint, polynomial: bigint, bytes: Uint8Array): bigint {
  const ones = (1n << width) - 1n;
  let value = ones;
  for (const byte of bytes) {
    value ^= BigInt(byte);
    for (let bit = 0; bit < 8; bit++) value = value & 1n ? (value >> 1n) ^ polynomial : value >> 1n;
  }
  return value ^ ones;
}

const SLOW: Record<CrcAlgorithm, (bytes: Uint8Array) => bigint> = {
  crc32: (bytes) => slowCrc(32n, 0xedb88320n, bytes),
  crc32c: (bytes) => slowCrc(32n, 0x82f63b78n, bytes),
  crc64nvme: (bytes) => slowCrc(64n, 0x9a6c9329ac4bc9b5n, bytes),
};

describe('CRCs', () => {
  test('have the check values of the catalogue', async () => {
    const check = Buffer.from('123456789');
    assert.equal(crcHex('crc32', await crcOf('crc32', check)), 'cbf43926');
    assert.equal(crcHex('crc32c', await crcOf('crc32c', check)), 'e3069283');
    assert.equal(crcHex('crc64nvme', await crcOf('crc64nvme', check)), 'ae8b14860a799888');
    for (const name of ALGORITHMS) assert.equal(await crcOf(name), 0n);
    assert.equal(crcHex('crc64nvme', 1n), '0000000000000001');
  });

  for (const name of ALGORITHMS) {
    test(`${name} of chunks is that of the definition`, async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.uint8Array({ maxLength: 100 }), { maxLength: 5 }),
          async (all) => {
            assert.equal(await crcOf(name, ...all), SLOW[name](Buffer.concat(all)));
          },
        ),
        { numRuns: 50 },
      );
    });

    test(`${name} of pieces, combined in any way, is that of the whole`, async () => {
      const pieces = fc.array(fc.uint8Array({ maxLength: 300 }), { minLength: 1, maxLength: 8 });
      await fc.assert(
        fc.asyncProperty(pieces, fc.infiniteStream(fc.nat()), async (all, choices) => {
          const parts = await Promise.all(
            all.map(async (bytes) => ({ crc: await crcOf(name, bytes), length: bytes.length })),
          );
          // Neighbours are joined in a random order.
          while (parts.length > 1) {
            const at = choices.next().value % (parts.length - 1);
            const [a, b] = parts.splice(at, 2) as [(typeof parts)[0], (typeof parts)[0]];
            parts.splice(at, 0, {
              crc: combineCrc(name, a.crc, b.crc, b.length),
              length: a.length + b.length,
            });
          }
          assert.equal(parts[0]!.crc, await crcOf(name, ...all));
        }),
        { numRuns: 60 },
      );
    });

    test(`${name} is combined over lengths beyond 32 bits`, () => {
      // (A·B)·C = A·(B·C), whatever the lengths.
      fc.assert(
        fc.property(
          fc.bigInt({ min: 0n, max: 0xffffffffn }),
          fc.bigInt({ min: 0n, max: 0xffffffffn }),
          fc.bigInt({ min: 0n, max: 0xffffffffn }),
          fc.integer({ min: 1, max: 2 ** 44 }),
          fc.integer({ min: 1, max: 2 ** 44 }),
          (a, b, c, lengthB, lengthC) => {
            const left = combineCrc(name, combineCrc(name, a, b, lengthB), c, lengthC);
            const right = combineCrc(name, a, combineCrc(name, b, c, lengthC), lengthB + lengthC);
            assert.equal(left, right);
          },
        ),
        { numRuns: 40 },
      );
    });
  }

  test('states are reused and forget what came', async () => {
    const one = await createCrc('crc32c');
    one.update(Buffer.from('something else'));
    one.reset();
    one.update(Buffer.from('123456789'));
    assert.equal(crcHex('crc32c', one.value()), 'e3069283');
    one.release();
    const two = await createCrc('crc32c');
    const three = await createCrc('crc32c');
    two.update(Buffer.from('1234'));
    three.update(Buffer.from('x'));
    two.update(Buffer.from('56789'));
    assert.equal(crcHex('crc32c', two.value()), 'e3069283');
    two.release();
    three.release();
  });

  test('are told from other digests', () => {
    assert.ok(isCrc('crc32') && isCrc('crc64nvme') && !isCrc('sha256') && !isCrc('md5'));
    assert.equal(crcHex('crc32', BigInt(crc32(Buffer.from('a')))), 'e8b7be43');
  });
});
