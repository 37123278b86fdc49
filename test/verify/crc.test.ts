import assert from 'node:assert/strict';
import { crc32 } from 'node:zlib';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { bitwise } from './bitwise.ts';
import { combineCrc, crcHex, createCrc, isCrc, type CrcAlgorithm } from '../../src/verify/crc.ts';

const ALGORITHMS = ['crc32', 'crc32c', 'crc64nvme'] as const;

function crcOf(algorithm: CrcAlgorithm, ...chunks: Uint8Array[]): bigint {
  const state = createCrc(algorithm);
  for (const chunk of chunks) state.update(chunk);
  return state.value();
}

describe('CRCs', () => {
  test('have the check values of the catalogue', () => {
    const check = Buffer.from('123456789');
    assert.equal(crcHex('crc32', crcOf('crc32', check)), 'cbf43926');
    assert.equal(crcHex('crc32c', crcOf('crc32c', check)), 'e3069283');
    assert.equal(crcHex('crc64nvme', crcOf('crc64nvme', check)), 'ae8b14860a799888');
    for (const name of ALGORITHMS) assert.equal(crcOf(name), 0n);
    assert.equal(crcHex('crc64nvme', 1n), '0000000000000001');
  });

  for (const name of ALGORITHMS) {
    test(`${name} of chunks is that of the definition`, () => {
      fc.assert(
        fc.property(fc.array(fc.uint8Array({ maxLength: 100 }), { maxLength: 5 }), (all) => {
          assert.equal(crcOf(name, ...all), bitwise(name, Buffer.concat(all)));
        }),
        { numRuns: 50 },
      );
    });

    test(`${name} of pieces, combined in any way, is that of the whole`, () => {
      const pieces = fc.array(fc.uint8Array({ maxLength: 300 }), { minLength: 1, maxLength: 8 });
      fc.assert(
        fc.property(pieces, fc.infiniteStream(fc.nat()), (all, choices) => {
          const parts = all.map((bytes) => ({ crc: crcOf(name, bytes), length: bytes.length }));
          // Neighbours are joined in a random order.
          while (parts.length > 1) {
            const at = choices.next().value % (parts.length - 1);
            const [a, b] = parts.splice(at, 2) as [(typeof parts)[0], (typeof parts)[0]];
            parts.splice(at, 0, {
              crc: combineCrc(name, a.crc, b.crc, b.length),
              length: a.length + b.length,
            });
          }
          assert.equal(parts[0]!.crc, crcOf(name, ...all));
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

  test('states are reused and forget what came', () => {
    const one = createCrc('crc32c');
    one.update(Buffer.from('something else'));
    one.reset();
    one.update(Buffer.from('123456789'));
    assert.equal(crcHex('crc32c', one.value()), 'e3069283');
    const two = createCrc('crc32c');
    const three = createCrc('crc32c');
    two.update(Buffer.from('1234'));
    three.update(Buffer.from('x'));
    two.update(Buffer.from('56789'));
    assert.equal(crcHex('crc32c', two.value()), 'e3069283');
  });

  test('are told from other digests', () => {
    assert.ok(isCrc('crc32') && isCrc('crc64nvme') && !isCrc('sha256') && !isCrc('md5'));
    assert.equal(crcHex('crc32', BigInt(crc32(Buffer.from('a')))), 'e8b7be43');
  });
});
