/** Random object trees. The same seed gives the same tree, so that what fails once can be looked at again. */
import { createCipheriv, createHash } from 'node:crypto';

const MIB = 1 << 20;

/** How an object is uploaded: whole, or in parts, with a checksum the store keeps, with a label. */
export interface Upload {
  readonly parts?: number;
  readonly algorithm?: 'CRC64NVME' | 'CRC32' | 'CRC32C' | 'SHA256' | 'SHA1';
  readonly type?: 'FULL_OBJECT' | 'COMPOSITE';
  /** The label `Content-Encoding`; of objects that are uploaded whole. */
  readonly encoding?: string;
}

export interface StoredObject {
  /** Relative to the tree. */
  readonly path: string;
  readonly body: Buffer;
  readonly upload?: Upload;
}

/** A plain object of `size` bytes, which are its own unless `seed` says whose. */
export const object = (path: string, size: number, seed = path): StoredObject => ({
  path,
  body: bytes(seed, size),
});

/** Names people and tools really give files, and the characters that URIs, shells and listings trip over. */
const NAMES = [
  'config.json',
  'model.onnx',
  'weights',
  '1',
  '000',
  'UPPER',
  'a b',
  'x+y',
  '100%',
  '50%41',
  '%2e%2e',
  'q?x=1',
  'h#1',
  "it's",
  'a&b=c',
  '.hidden',
  '(1)',
  '~tilde',
  'semi;colon',
  'comma,x',
  'at@x',
  '$HOME',
  '{brace}',
  '[0]',
  'star*',
  'quote"d',
  '<lt>',
  'caret^',
  'back`tick',
  'ünïcödé',
  '日本語',
  '🙂',
  'trailing.',
  'a'.repeat(120),
  '-dash',
  'tag:v1',
  'e\u0301',
];

const SIZES = [0, 1, 17, 511, 4096, 70_001, 262_144, 1_000_003];

const UPLOADS: readonly Upload[] = [
  { parts: 3 },
  { parts: 2, algorithm: 'CRC64NVME', type: 'FULL_OBJECT' },
  { parts: 2, algorithm: 'SHA256', type: 'COMPOSITE' },
  { parts: 2, algorithm: 'CRC32', type: 'COMPOSITE' },
];

/** About thirty objects: nested, some of no bytes, some of a few MiB, one of each kind of multipart upload. */
export function randomTree(
  seed: string,
  options: { readonly checksums?: boolean } = {},
): StoredObject[] {
  const random = generator(seed);
  const folders = [''];
  const paths = new Map<string, StoredObject>();
  const add = (size: number, upload?: Upload): void => {
    const path = `${pick(folders, random)}${pick(NAMES, random)}-${String(paths.size)}`;
    paths.set(path, { path, body: bytes(`${seed}/${path}`, size), ...(upload && { upload }) });
  };
  for (let count = 0; count < 8; count += 1)
    folders.push(`${pick(folders, random)}${pick(NAMES, random)}.d/`);
  for (let count = 0; count < 22; count += 1) add(pick(SIZES, random));
  add(5 * MIB + 7);
  add(0);
  for (const upload of UPLOADS)
    if (options.checksums || !upload.algorithm)
      add((upload.parts ?? 1) * 5 * MIB + 3 + Math.floor(random() * MIB), upload);
  return [...paths.values()];
}

/** The same `length` bytes for the same `seed`; they do not compress. */
export function bytes(seed: string, length: number): Buffer {
  const key = createHash('sha256').update(seed).digest();
  return createCipheriv('aes-128-ctr', key.subarray(0, 16), key.subarray(16)).update(
    Buffer.alloc(length),
  );
}

/** Numbers from 0 to below 1. */
function generator(seed: string): () => number {
  let count = 0;
  return () =>
    createHash('sha256')
      .update(`${seed}#${String(count++)}`)
      .digest()
      .readUInt32BE() /
    2 ** 32;
}

function pick<T>(from: readonly T[], random: () => number): T {
  return from[Math.floor(random() * from.length)]!;
}
