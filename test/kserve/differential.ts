/**
 * KServe's own downloader and ours with `--compat kserve`, on the same random trees of objects, patterns and archives. Run as
 * a program it takes the number of trees and a seed: `node test/kserve/differential.ts 500 x`.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { inProcess } from '../cli/host.ts';
import { startS3, type S3Server } from '../servers/s3.ts';
import { tar, zip } from '../support/archives.ts';

const PYTHON = join(import.meta.dirname, '../../.tools/py/bin/python');

/** Why nothing can be compared here; false when it can. `npm run test:real` installs what is needed. */
export const SKIP = existsSync(PYTHON) ? false : 'no interpreter with KServe’s package in .tools';

/** What one source became. */
interface Outcome {
  readonly ok: boolean;
  readonly error: string;
  /** Path to content, in hex. */
  readonly tree: Readonly<Record<string, string>>;
}

interface Case {
  readonly objects: Readonly<Record<string, Buffer>>;
  readonly uri: string;
  readonly patterns: Readonly<Record<string, string>>;
}

/** Sources that both were asked for, and those where they differ, in words. */
export interface Compared {
  readonly sources: number;
  /** Where both published something. */
  readonly trees: number;
  readonly differences: readonly string[];
}

/** Compares `count` random buckets, each with several URIs into it. The same `seed` makes the same ones. */
export async function compareTrees(count: number, seed: string): Promise<Compared> {
  const random = generator(seed);
  const server = await startS3({ publicBuckets: [] });
  const oracle = startOracle(server);
  const home = await mkdtemp(join(tmpdir(), 'model-fetch-differential-'));
  const differences: string[] = [];
  let sources = 0;
  let trees = 0;
  try {
    for (let at = 0; at < count; at++) {
      const bucket = `b${at}`;
      const objects = randomObjects(random);
      for (const [key, bytes] of Object.entries(objects)) server.put(bucket, key, bytes);
      for (const uri of urisInto(bucket, Object.keys(objects), random)) {
        const one: Case = { objects, uri, patterns: randomPatterns(random) };
        const folder = join(home, String(sources++));
        const theirs = await oracle.ask(one, join(folder, 'theirs'));
        const ours = await fetchOurs(one, join(folder, 'ours'), server);
        if (ours.ok && theirs.ok) trees++;
        const difference = differenceOf(one, ours, theirs);
        if (difference !== undefined) differences.push(difference);
        await rm(folder, { recursive: true, force: true });
      }
    }
  } finally {
    oracle.end();
    await server.close();
    await rm(home, { recursive: true, force: true });
  }
  return { sources, trees, differences };
}

function differenceOf(
  { objects, uri, patterns }: Case,
  ours: Outcome,
  theirs: Outcome,
): string | undefined {
  if (ours.ok === theirs.ok && JSON.stringify(ours.tree) === JSON.stringify(theirs.tree))
    return undefined;
  if (!ours.ok && !theirs.ok) return undefined;
  const told = ({ ok, error, tree }: Outcome): string => (ok ? Object.keys(tree).join(' ') : error);
  const listing = Object.entries(objects).map(([key, bytes]) => `${key} (${bytes.length})`);
  return `${uri} ${JSON.stringify(patterns)}\n  ours: ${told(ours)}\n  KServe: ${told(theirs)}\n  objects: ${listing.join(' ')}`;
}

const KEYS = { AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'secret' };

async function fetchOurs(
  { uri, patterns }: Case,
  dest: string,
  server: S3Server,
): Promise<Outcome> {
  const env = { AWS_ENDPOINT_URL: server.url, ...KEYS, ...patterns };
  const { status, stderr } = await inProcess([uri, dest, '--compat', 'kserve'], { env });
  return { ok: status === 0, error: stderr, tree: status === 0 ? await treeOf(dest) : {} };
}

function startOracle(server: S3Server) {
  const child = spawn(PYTHON, [join(import.meta.dirname, 'oracle.py')], {
    env: {
      PATH: '/usr/bin:/bin',
      AWS_ENDPOINT_URL: server.url,
      AWS_DEFAULT_REGION: 'us-east-1',
      ...KEYS,
    },
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    async ask({ uri, patterns }: Case, dest: string): Promise<Outcome> {
      await mkdir(dest, { recursive: true });
      child.stdin.write(`${JSON.stringify({ uri, dest, env: patterns })}\n`);
      const line = await lines.next();
      if (line.done === true) throw new Error('the oracle has gone');
      const { ok, error = '' } = JSON.parse(line.value) as { ok: boolean; error?: string };
      return { ok, error, tree: ok ? await treeOf(dest) : {} };
    },
    end: () => child.stdin.end(),
  };
}

async function treeOf(folder: string): Promise<Record<string, string>> {
  const found = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = found
    .filter((one) => one.isFile())
    .map((one) => join(one.parentPath, one.name).slice(folder.length + 1))
    .filter((path) => !path.startsWith('.model-fetch/'))
    .sort();
  const tree: Record<string, string> = {};
  for (const path of paths) tree[path] = (await readFile(join(folder, path))).toString('hex');
  return tree;
}

type Random = (below: number) => number;

/** mulberry32, seeded with the letters of `seed`. */
function generator(seed: string): Random {
  let state = Array.from(seed).reduce((sum, char) => Math.imul(sum, 31) + char.codePointAt(0)!, 7);
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

const pick = <T>(random: Random, from: readonly T[]): T => from[random(from.length)]!;

const TOPS = ['m', 'm-v2', 'm.bin', 'model', 'x y', 'é'];
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
const ARCHIVES = [
  'm.tar',
  'm.tar.gz',
  'm.tgz',
  'm.TGZ',
  'm.tar.GZ',
  'm.zip',
  'm.ZIP',
  'm.tar.zst',
  'm.pkl.gz',
];

function randomObjects(random: Random): Record<string, Buffer> {
  const objects: Record<string, Buffer> = {};
  const few = random(3) === 0;
  const count = few ? 1 + random(2) : 2 + random(9);
  for (let at = 0; at < count; at++) {
    const top = pick(random, TOPS);
    const kind = random(12);
    if (kind === 0) objects[`${top}/`] = Buffer.alloc(random(2));
    else if (kind === 1) objects[top] = content(random);
    else if (kind < (few ? 9 : 3)) {
      const name = pick(random, ARCHIVES);
      objects[`${top}/${pick(random, FOLDERS)}${name}`] = archive(random, name);
    } else objects[`${top}/${pick(random, FOLDERS)}${pick(random, NAMES)}`] = content(random);
  }
  return withoutClashes(objects);
}

function content(random: Random): Buffer {
  return Buffer.from('x'.repeat(random(4) === 0 ? 0 : 1 + random(40)));
}

function archive(random: Random, name: string): Buffer {
  const members = ['a.bin', 'sub/b.json'].slice(0, 1 + random(2));
  if (/zip$/i.test(name)) return zip(members.map((member) => ({ name: member, content: member })));
  const plain = tar(...members.map((member) => ({ name: member, content: member })));
  if (/\.(gz|tgz)$/i.test(name)) return gzipSync(plain);
  return name.endsWith('zst') ? zstdCompressSync(plain) : plain;
}

/** A key that is a folder of another cannot be both on a disk: both programs fail, each in its way. */
function withoutClashes(objects: Record<string, Buffer>): Record<string, Buffer> {
  const folders = new Set(Object.keys(objects).flatMap(parents));
  return Object.fromEntries(
    Object.entries(objects).filter(([key]) => !key.includes('/') || !folders.has(key)),
  );
}

function parents(key: string): string[] {
  const above: string[] = [];
  for (let at = dirname(key); at !== '.'; at = dirname(at)) above.push(at);
  return above;
}

/** The bucket, a folder with and without its slash, an object, and the beginning of a name. */
function urisInto(bucket: string, keys: readonly string[], random: Random): string[] {
  const key = pick(random, keys);
  const [top = ''] = key.split('/');
  const plain = (text: string): string => text.replace(/[?#].*/, '');
  const uris = ['', top, `${top}/`, plain(key), plain(key).slice(0, -1 - random(3)), 'nothing'];
  return [...new Set(uris.map((path) => `s3://${bucket}/${path}`))];
}

const PATTERNS = ['*.json', '["*.bin", "a/*"]', '"[!.]*"', 'm*', '*', '*.tar.gz,*.zip', 'x*'];

function randomPatterns(random: Random): Record<string, string> {
  return {
    ...(random(4) === 0 && { STORAGE_ALLOW_PATTERNS: pick(random, PATTERNS) }),
    ...(random(4) === 0 && { STORAGE_IGNORE_PATTERNS: pick(random, PATTERNS) }),
  };
}

if (process.argv[1] === import.meta.filename) {
  const [count = '500', seed = 'program'] = process.argv.slice(2);
  const { sources, trees, differences } = await compareTrees(Number(count), seed);
  const lines = [
    ...differences,
    `${sources} sources, ${trees} trees, ${differences.length} differences`,
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
  process.exitCode = differences.length > 0 ? 1 : 0;
}
