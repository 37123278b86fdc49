/** Random, and the same each time for a seed: names, contents, archives, patterns. */
import { dirname } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { tar, zip, type ZipMember } from '../support/archives.ts';

/** A whole number from 0 up to, not including, `below`. */
export type Random = (below: number) => number;

/** mulberry32, seeded with the letters of `seed`. */
export function generator(seed: string): Random {
  let state = Array.from(seed).reduce((sum, char) => Math.imul(sum, 31) + char.codePointAt(0)!, 7);
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

export const pick = <T>(random: Random, from: readonly T[]): T => from[random(from.length)]!;

/** A file of a source, and what is peculiar about it, in the words of `test/real/differences.ts`. */
export interface Made {
  readonly bytes: Buffer;
  readonly traits: readonly string[];
}

export const plain = (bytes: Buffer | string): Made => ({ bytes: Buffer.from(bytes), traits: [] });

export function content(random: Random): Made {
  return plain('x'.repeat(random(4) === 0 ? 0 : 1 + random(40)));
}

export type Kind = 'tar' | 'tar.gz' | 'tar.zst' | 'zip' | 'text';

/** An archive of one file or two, or what is none. */
export function bytesOf(kind: Kind, random: Random): Buffer {
  const members = ['a.bin', 'sub/b.json'].slice(0, 1 + random(2));
  const named = members.map((name) => ({ name, content: name }));
  if (kind === 'zip') return zip(named);
  if (kind === 'text') return Buffer.from(`no archive ${String(random(100))}`);
  const bytes = tar(...named);
  if (kind === 'tar') return bytes;
  return kind === 'tar.gz' ? gzipSync(bytes) : zstdCompressSync(bytes);
}

/** Archives that reach out of themselves, and a zip with a link in it. */
export function hostileBytes(kind: 'tar' | 'zip' | 'zip link', random: Random): Buffer {
  const good = { name: 'good', content: 'g' };
  if (kind === 'tar') return tar(good, { name: '/evil', content: 'e' });
  if (kind === 'zip')
    return zip([good, { name: pick(random, ['../evil', '/evil']), content: 'e' }]);
  const link: ZipMember = { name: 'link', content: 'good', attributes: (0o120777 << 16) >>> 0 };
  return zip([good, link]);
}

const HONEST: readonly (readonly [name: string, kind: Kind, ...traits: string[]])[] = [
  ['m.tar', 'tar'],
  ['m.tar', 'tar.gz'],
  ['m.tar.gz', 'tar.gz'],
  ['m.tgz', 'tar.gz'],
  ['m.TGZ', 'tar.gz'],
  ['m.zip', 'zip'],
  ['m.ZIP', 'zip'],
  ['m.pkl.gz', 'tar.gz'],
  ['m.tar.GZ', 'tar.gz', 'endings in capitals'],
  ['m.tar.zst', 'tar.zst', 'Zstandard archives'],
];
const DISHONEST: readonly (readonly [name: string, kind: Kind, ...traits: string[]])[] = [
  ['packed', 'tar', 'archives without an ending'],
  ['m.tar', 'zip', 'archives called something else'],
  ['m.zip', 'tar.gz', 'archives called something else'],
  ['m.tgz', 'text'],
  ['m.pth.tar', 'text', 'checkpoints called .tar'],
  ['m.tar.Z', 'text', 'archives made by compress'],
];

/** A name and what is under it: an archive, now and then one that is not what it is called. */
export function archive(random: Random): readonly [name: string, made: Made] {
  const [name, kind, ...traits] = pick(random, random(5) === 0 ? DISHONEST : HONEST);
  return [name, { bytes: bytesOf(kind, random), traits }];
}

const PATTERNS = ['*.json', '["*.bin", "a/*"]', '"[!.]*"', 'm*', '*', '*.tar.gz,*.zip', 'x*'];

export function randomPatterns(random: Random): Record<string, string> {
  return {
    ...(random(4) === 0 && { STORAGE_ALLOW_PATTERNS: pick(random, PATTERNS) }),
    ...(random(4) === 0 && { STORAGE_IGNORE_PATTERNS: pick(random, PATTERNS) }),
  };
}

const FOLDERS = ['', '', 'a/', 'a/b/', '.h/', 'm/'];
const NAMES = [
  'config.json',
  'w.bin',
  '__init__.py',
  '.hidden',
  'A.JSON',
  'a+b #?.txt',
  'v.safetensors',
  'm',
  'noext',
];

/** Files below each of `tops`, few or many, without clashes. `markers`: with objects in the place of folders and of `tops`. */
export function randomFiles(
  random: Random,
  tops: readonly string[],
  markers: boolean,
): Record<string, Made> {
  const files: Record<string, Made> = {};
  const few = random(3) === 0;
  const count = few ? 1 + random(2) : 2 + random(9);
  for (let at = 0; at < count; at++) {
    const top = pick(random, tops);
    const kind = random(12);
    if (kind === 0 && markers) files[`${top}/`] = plain('x'.repeat(random(2)));
    else if (kind === 1 && markers) files[top] = content(random);
    else if (kind < (few ? 9 : 3)) {
      const [name, made] = archive(random);
      files[`${top}/${pick(random, FOLDERS)}${name}`] = made;
    } else files[`${top}/${pick(random, FOLDERS)}${pick(random, NAMES)}`] = content(random);
  }
  return withoutClashes(files);
}

/** A key that is a folder of another cannot be both on a disk: both programs fail, each in its way. */
function withoutClashes(files: Record<string, Made>): Record<string, Made> {
  const folders = new Set(Object.keys(files).flatMap(parents));
  const tops = (key: string): boolean => !key.includes('/');
  return Object.fromEntries(
    Object.entries(files).filter(([key]) => tops(key) || !folders.has(key)),
  );
}

function parents(key: string): string[] {
  const above: string[] = [];
  for (let at = dirname(key); at !== '.'; at = dirname(at)) above.push(at);
  return above;
}
