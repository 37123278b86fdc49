import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { ALGORITHMS } from '../../scripts/crc-kernel/algorithms.ts';
import { generated } from '../../scripts/crc-kernel/generated.ts';
import { createCrcKernel, plainKernel, updateCrc } from '../../src/verify/crc-kernel.ts';
import { CRC_PARAMETERS } from '../../src/verify/crc-parameters.ts';
import { LAYOUT } from '../../src/verify/crc-wasm.ts';
import { bitwise } from './bitwise.ts';

const KERNEL = new URL('../../src/verify/crc-kernel.ts', import.meta.url);
const NAMES = ALGORITHMS.map(({ name }) => name);
const CHECK = Buffer.from('123456789');
const CHECKS = {
  crc32: 0xcbf43926n,
  crc32c: 0xe3069283n,
  crc64nvme: 0xae8b14860a799888n,
};
const plain = plainKernel();
const BYTES = randomBytes(3 * LAYOUT.inputLength + 1234);

describe('the CRC kernel', () => {
  for (const name of NAMES) {
    test(`${name} has the check value of the catalogue`, () => {
      assert.equal(updateCrc(name, 0n, CHECK), CHECKS[name]);
      assert.equal(plain.update(name, 0n, CHECK), CHECKS[name]);
      assert.equal(updateCrc(name, 0n, new Uint8Array()), 0n);
      assert.equal(updateCrc(name, CHECKS[name], new Uint8Array()), CHECKS[name]);
    });

    test(`${name} byte by byte is that of the definition`, () => {
      fc.assert(
        fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
          assert.equal(plain.update(name, 0n, bytes), bitwise(name, bytes));
        }),
        { numRuns: 50 },
      );
      const long = BYTES.subarray(0, 40_000);
      assert.equal(updateCrc(name, 0n, long), bitwise(name, long));
    });

    test(`${name} is right whatever the length, the place and the cuts`, () => {
      const room = createCrcKernel(60_000).room;
      room.set(BYTES.subarray(0, room.length));
      const length = fc.oneof(fc.nat(200), fc.nat(50_000));
      fc.assert(
        fc.property(fc.nat(5000), fc.array(length, { maxLength: 4 }), (start, lengths) => {
          let at = start;
          let [copied, inPlace] = [0n, 0n];
          for (const piece of lengths) {
            const end = Math.min(at + piece, room.length);
            copied = updateCrc(name, copied, BYTES.subarray(at, end));
            inPlace = updateCrc(name, inPlace, room.subarray(at, end));
            at = end;
          }
          const expected = plain.update(name, 0n, BYTES.subarray(start, at));
          assert.equal(copied, expected);
          assert.equal(inPlace, expected);
        }),
        { numRuns: 150 },
      );
      assert.deepEqual(Buffer.from(room), BYTES.subarray(0, room.length), 'only read');
    });

    test(`${name} is right at every edge of its stages`, () => {
      const { multiples } = ALGORITHMS.find((one) => one.name === name)!;
      const edges = [
        8,
        LAYOUT.inputLength,
        2 * LAYOUT.inputLength,
        ...multiples.flatMap(({ degree }) => [
          degree,
          2 * degree,
          16_384 + degree,
          32_768 + degree,
        ]),
      ];
      for (const edge of edges)
        for (const off of [-65, -64, -63, -16, -1, 0, 1, 15, 16, 17, 63, 64, 65, 127, 128]) {
          const bytes = BYTES.subarray(3, 3 + Math.max(0, edge + off));
          assert.equal(updateCrc(name, 1n, bytes), plain.update(name, 1n, bytes), `${edge + off}`);
        }
    });

    test(`the multiples of ${name} are divisible by its polynomial`, () => {
      const { width, polynomial } = CRC_PARAMETERS[name];
      for (const { degree, terms } of ALGORITHMS.find((one) => one.name === name)!.multiples) {
        // x^(8n) mod P, reflected: the top bit is x^0.
        let power = 1n << BigInt(width - 1);
        let sum = 0n;
        for (let byte = 0; byte <= degree; byte++) {
          if (byte === degree || terms.includes(byte)) sum ^= power;
          for (let bit = 0; bit < 8; bit++)
            power = power & 1n ? (power >> 1n) ^ polynomial : power >> 1n;
        }
        assert.equal(sum, 0n, `degree ${degree}`);
        // A step may not need what it has not stored yet.
        assert.ok(terms.includes(0) && Math.max(...terms) <= degree - 16);
      }
    });
  }

  test('agrees with zlib over long buffers and many chunks', () => {
    assert.equal(updateCrc('crc32', 0n, BYTES), BigInt(crc32(BYTES)));
    let value = 0n;
    for (let at = 0; at < BYTES.length; at += 99_991)
      value = updateCrc('crc32', value, BYTES.subarray(at, at + 99_991));
    assert.equal(value, BigInt(crc32(BYTES)));
    const zeros = new Uint8Array(1_000_000);
    assert.equal(updateCrc('crc32', 0n, zeros), BigInt(crc32(zeros)));
  });

  test('has the room it was asked for, up to its last byte', () => {
    for (const size of [0, 1, 65_536, 65_472, 65_473, 1_000_000]) {
      const { room, update } = createCrcKernel(size);
      assert.equal(room.length, size);
      room.set(BYTES.subarray(0, size));
      const last = room.subarray(Math.max(0, size - 20_000));
      assert.equal(update('crc32', 0n, last), BigInt(crc32(last)));
    }
  });

  test('does without WebAssembly', () => {
    const scope = globalThis as { WebAssembly?: unknown };
    const { WebAssembly } = scope;
    try {
      delete scope.WebAssembly;
      const { update, room } = createCrcKernel(100);
      for (const name of NAMES) assert.equal(update(name, 0n, CHECK), CHECKS[name]);
      assert.equal(room.length, 100);
    } finally {
      scope.WebAssembly = WebAssembly;
    }
  });

  test('works in threads', async () => {
    const code = `
      const { parentPort, workerData } = require('node:worker_threads');
      import(${JSON.stringify(KERNEL.href)}).then(({ updateCrc }) => {
        parentPort.postMessage(workerData.names.map((name) => updateCrc(name, 0n, workerData.bytes)));
      });`;
    const expected = NAMES.map((name) => plain.update(name, 0n, BYTES));
    const workers = [1, 2, 3].map(
      () => new Worker(code, { eval: true, workerData: { names: NAMES, bytes: BYTES } }),
    );
    try {
      for (const answer of await Promise.all(workers.map((worker) => once(worker, 'message'))))
        assert.deepEqual(answer[0], expected);
    } finally {
      await Promise.all(workers.map((worker) => worker.terminate()));
    }
  });

  test('is what its generator writes', async () => {
    const source = readFileSync(new URL('../../src/verify/crc-wasm.ts', import.meta.url), 'utf8');
    assert.equal(source, await generated(), 'run node scripts/crc-kernel/build.ts');
  });
});
