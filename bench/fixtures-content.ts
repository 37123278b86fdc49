/** Contents of the models: noise, numbers that compress as weights do, and text that compresses as vocabularies do. */
import { createCipheriv, createHash } from 'node:crypto';
import { closeSync, openSync, readSync, writeFileSync, writeSync } from 'node:fs';

const PIECE = 4 * 2 ** 20;

/** The same bytes for the same `seed`, unlike for any other; nothing compresses them. */
export function writeRandom(path: string, size: number, seed: string): void {
  write(path, size, noise(seed));
}

/** Sixteen-bit floats of a bell shape: the low bytes are noise, the high ones come from a few values (gzip: about 80 %). */
export function writeWeights(path: string, size: number, seed: string): void {
  const random = noise(seed);
  write(path, size, (length) => {
    const bytes = random(length);
    for (let index = 1; index < length; index += 2) bytes[index] = EXPONENTS[bytes[index]!]!;
    return bytes;
  });
}

/** Lines of JSON with words that come again. */
export function writeText(path: string, size: number, seed: number): void {
  const lines: string[] = ['{'];
  for (let length = 2, index = seed; length < size; index += 1) {
    const line = `  "token_${(index * 7919) % 50_000}": {"id": ${index}, "special": ${index % 17 === 0}},`;
    lines.push(line);
    length += line.length + 1;
  }
  writeFileSync(path, lines.join('\n').slice(0, size));
}

/** Hex, read in pieces. */
export function sha256Of(path: string): string {
  const hash = createHash('sha256');
  const buffer = Buffer.allocUnsafe(PIECE);
  const file = openSync(path, 'r');
  for (let read; (read = readSync(file, buffer)) > 0;) hash.update(buffer.subarray(0, read));
  closeSync(file);
  return hash.digest('hex');
}

function noise(seed: string): (length: number) => Buffer {
  const key = createHash('sha256').update(seed).digest().subarray(0, 16);
  const stream = createCipheriv('aes-128-ctr', key, Buffer.alloc(16));
  const zeros = Buffer.alloc(PIECE);
  return (length) => stream.update(zeros.subarray(0, length));
}

function write(path: string, size: number, next: (length: number) => Buffer): void {
  const file = openSync(path, 'w');
  for (let left = size; left > 0; left -= PIECE) writeSync(file, next(Math.min(left, PIECE)));
  closeSync(file);
}

/** High bytes of bfloat16 around ±0.02, by how often each occurs in 256 draws. */
const EXPONENTS = Uint8Array.from({ length: 256 }, (_, draw) => {
  const sign = draw & 1 ? 0x80 : 0;
  const rank = draw >> 1;
  return (
    sign | (rank < 64 ? 0x3c : rank < 100 ? 0x3b : rank < 118 ? 0x3d : rank < 125 ? 0x3a : 0x39)
  );
});
