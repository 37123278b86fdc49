/** Random sources of every scheme that KServe's downloader and ours share, where both can reach them. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { startGcs } from '../servers/gcs.ts';
import { startHttpServer } from '../servers/http.ts';
import { startS3 } from '../servers/s3.ts';
import {
  bytesOf,
  hostileBytes,
  pick,
  plain,
  randomFiles,
  randomPatterns,
  type Kind,
  type Made,
  type Random,
} from './random.ts';

/** One model, named as each program names it. */
export interface Source {
  readonly uri: string;
  /** For ours, where it is another. */
  readonly ours?: string;
  /** Sizes by key, or by path. */
  readonly objects: ReadonlyMap<string, number>;
  readonly traits: readonly string[];
  /** Patterns, headers. */
  readonly env: Readonly<Record<string, string>>;
  /** Published before into the same target by each program. */
  readonly before?: string;
}

/** Where sources of one scheme come from. */
export interface Sources {
  /** What both programs need to get there. */
  readonly env: Readonly<Record<string, string>>;
  /** The next few. */
  make(random: Random): Promise<readonly Source[]>;
  close(): Promise<void>;
}

export type Scheme = 's3' | 'gs' | 'http' | 'file' | 'pvc';

/** Something that keeps objects: a server of ours, or the emulator. */
export interface Bucket {
  put(bucket: string, key: string, bytes: Buffer): unknown;
}

export async function s3Sources(): Promise<Sources> {
  const server = await startS3({ publicBuckets: [] });
  return {
    env: {
      AWS_ENDPOINT_URL: server.url,
      AWS_DEFAULT_REGION: 'us-east-1',
      AWS_ACCESS_KEY_ID: 'test',
      AWS_SECRET_ACCESS_KEY: 'secret',
      // One process a source, or the comparison is about starting processes.
      S3_MAX_FILE_CONCURRENCY: '1',
    },
    make: objectSources('s3', server),
    close: () => server.close(),
  };
}

/** On Google's own protocol: `emulator` is the address of one that runs, with something that fills it. */
export async function gsSources(emulator?: Bucket & { readonly url: string }): Promise<Sources> {
  const server = emulator ?? (await startGcs());
  return {
    env: { STORAGE_EMULATOR_HOST: server.url },
    make: objectSources('gs', server),
    close: async () => {
      if ('close' in server) await server.close();
    },
  };
}

const TOPS = ['m', 'm-v2', 'm.bin', 'model', 'x y', 'é'];

/** Buckets in which something rare happens, and the URI into each. They come first. */
const CORNERS: readonly {
  readonly files: Readonly<Record<string, Buffer | string>>;
  readonly path: string;
  readonly traits?: readonly string[];
  readonly before?: string;
}[] = [
  { files: { o: 'x', 'o/': '' }, path: 'o' },
  { files: { 't/m.tar': bytesOf('tar', () => 0), 't/z/': '' }, path: 't' },
  { files: { 'c/m.pth.tar': 'no tar' }, path: 'c', traits: ['checkpoints called .tar'] },
  { files: { 'z/m.tar.Z': 'no tar' }, path: 'z', traits: ['archives made by compress'] },
  { files: { 'q?x': 'long', q: 'short' }, path: 'q?x' },
  { files: { 'one/a': '1', 'two/a/b': '2' }, path: 'two', before: 'one' },
  { files: { 'u/a//b': 'x' }, path: 'u' },
  { files: { 'e/none': '' }, path: 'e' },
];

/** A bucket a time, and several URIs into it: all of it, a folder with and without its slash, an object, half a name. */
function objectSources(scheme: 's3' | 'gs', store: Bucket): Sources['make'] {
  let buckets = 0;
  const corners = [...CORNERS];
  return async (random) => {
    const bucket = `bucket-${String((buckets += 1))}`;
    const corner = corners.shift();
    if (corner) {
      const entries = Object.entries(corner.files);
      for (const [key, bytes] of entries) await store.put(bucket, key, Buffer.from(bytes));
      const { path, traits = [], before } = corner;
      const objects = new Map(entries.map(([key, bytes]) => [key, bytes.length]));
      const uri = (one: string): string => `${scheme}://${bucket}/${one}`;
      const first = before !== undefined ? { before: uri(before) } : {};
      return [{ uri: uri(path), objects, traits, env: {}, ...first }];
    }
    const files = randomFiles(random, TOPS, true);
    for (const [key, { bytes }] of Object.entries(files)) await store.put(bucket, key, bytes);
    const objects = new Map(Object.entries(files).map(([key, { bytes }]) => [key, bytes.length]));
    const keys = [...objects.keys()];
    const key = pick(random, keys);
    const [top = ''] = key.split('/');
    const written = scheme === 's3' && random(3) > 0 ? key.replace(/[?#].*/, '') : key;
    const paths = ['', top, `${top}/`, written, written.slice(0, -1 - random(3)), 'nothing'];
    const traits = traitsOf(Object.values(files));
    return [...new Set(paths)].map((path): Source => {
      const uri = `${scheme}://${bucket}/${path}`;
      const again = random(6) === 0 ? { before: `${scheme}://${bucket}/${top}/` } : {};
      return { uri, objects, traits, env: randomPatterns(random), ...again };
    });
  };
}

/** Folders of this machine: by `file://`, by their paths, or as a claim; whole, a folder in them, a file in them. */
export async function localSources(scheme: 'file' | 'pvc'): Promise<Sources> {
  const home = await mkdtemp(join(tmpdir(), 'model-fetch-local-'));
  return {
    env: scheme === 'pvc' ? { MODEL_FETCH_PVC: `models=${home}` } : {},
    make: async (random) => {
      const root = await mkdtemp(join(home, 'v'));
      const all = Object.entries(randomFiles(random, ['m', 'n'], false));
      const inside = (path: string): string => path.slice(path.indexOf('/') + 1);
      const files = new Map(all.map(([path, made]) => [inside(path), made]));
      for (const [path, { bytes }] of files) {
        if ([...files.keys()].some((one) => one.startsWith(`${path}/`))) files.delete(path);
        else {
          await mkdir(dirname(join(root, path)), { recursive: true });
          await writeFile(join(root, path), bytes);
        }
      }
      const path = pick(random, [...files.keys()]);
      return ['', dirname(path), path, 'nothing'].map((one): Source => {
        const place = join(root, one === '.' ? '' : one);
        const objects = new Map(
          [...files].map(([name, { bytes }]) => [join(root, name), bytes.length]),
        );
        const uri = random(2) ? `file://${place}` : place;
        const ours = scheme === 'pvc' ? `pvc://models${place.slice(home.length)}` : uri;
        const traits = traitsOf([...files.values()]);
        return { uri, ours, objects, traits, env: randomPatterns(random) };
      });
    },
    close: () => rm(home, { recursive: true, force: true }),
  };
}

const BINARY = 'application/octet-stream';
const ZIP = ['application/zip', 'application/x-zip-compressed', 'application/zip-compressed'];
const TAR = ['application/x-tar', 'application/x-gtar', 'application/x-gzip', 'application/gzip'];
const ODD = [BINARY, 'application/json', 'text/plain', 'binary/octet-stream', 'Application/ZIP'];

type PageKind = Kind | 'gz' | 'any' | 'evil tar' | 'evil zip' | 'evil zip link';

/** Path and query, the types that KServe takes for it, what it should be, and what is peculiar. */
const PAGES: readonly (readonly [
  path: string,
  types: readonly string[],
  kind: PageKind,
  ...traits: string[],
])[] = [
  ['model.bin', [BINARY], 'any'],
  ['model.json?x=m.zip', [BINARY], 'any'],
  ['config.onnx?sig=a%2Fb&x=1', [`${BINARY}; x=1`], 'any'],
  ['noext', [BINARY], 'any'],
  ['packed', [BINARY], 'tar', 'archives without an ending'],
  ['my%20model.bin', [BINARY], 'any', 'escapes in URLs'],
  ['a.tar/w.pt', [BINARY], 'any'],
  ['m.tar', TAR, 'tar'],
  ['m.tar', TAR, 'tar.gz'],
  ['m.tar.gz', TAR, 'tar.gz'],
  ['m.tar.gz?versionId=3', TAR, 'tar.gz'],
  ['m.TGZ', TAR, 'tar.gz'],
  ['m.tar.GZ', [BINARY], 'tar.gz', 'endings in capitals'],
  ['m.tar.zst', [BINARY], 'tar.zst', 'Zstandard archives'],
  ['m.zip', ZIP, 'zip'],
  ['m.ZIP?x=1', ZIP, 'zip'],
  ['m.zip', ZIP, 'evil zip', 'members that lead out of an archive'],
  ['m.tar', TAR, 'evil tar', 'members that lead out of an archive'],
  ['m.zip', ZIP, 'evil zip link', 'links in a zip'],
  ['p.pkl.gz', [BINARY], 'gz', 'a file that is merely compressed'],
  ['m.json.gz', [BINARY], 'gz', 'a file that is merely compressed'],
  ['p.pkl.gz?x=1', [BINARY], 'gz'],
  ['download?path=/x/model.zip', ZIP, 'zip'],
  ['download?file=m.tar.gz', TAR, 'tar.gz'],
  ['download?file=m.zip&x=1', [BINARY], 'zip', 'a name in the query'],
  ['download?file=w.onnx', [BINARY], 'any', 'a name in the query'],
  ['', [BINARY], 'any', 'a URL without a name'],
];

/** URLs on one server: names and queries, types that fit and that do not, bodies too; headers for the host. */
export async function httpSources(): Promise<Sources & { readonly strays: () => number }> {
  const server = await startHttpServer();
  let pages = 0;
  return {
    env: { '127.0.0.1-headers': '{"X-Token":"sesame"}' },

    make: async (random) => {
      const [name, types, kind, ...traits] = pick(random, PAGES);
      const { bytes, traits: own } = pageBody(kind, random);
      const fits = random(4) > 0;
      const type = pick(random, fits ? types : ODD);
      const named = random(8) === 0;
      const encoding = random(8) === 0 ? pick(random, ['gzip', 'x-gzip', 'br']) : undefined;
      const headers = {
        'content-type': type,
        ...(encoding !== undefined && { 'content-encoding': encoding }),
        ...(named && { 'content-disposition': 'attachment; filename="real.bin"' }),
      };
      const path = `/${String((pages += 1))}/${name}`;
      const body = encoding !== undefined && kind === 'any' ? gzipSync(bytes) : bytes;
      server.put(path.replace(/\?.*/, ''), body, { headers });
      const all = [...traits, ...own];
      if (!types.some((one) => type.startsWith(one.replace(/;.*/, '')))) all.push('content types');
      if (named) all.push('a name from the server');
      if (encoding !== undefined) all.push('encoded answers');
      return [{ uri: server.url(path), objects: new Map(), traits: all, env: {} }];
    },
    strays: () => server.requests.filter(({ headers }) => headers['x-token'] !== 'sesame').length,
    close: () => server.close(),
  };
}

function pageBody(kind: PageKind, random: Random): Made {
  if (kind.startsWith('evil'))
    return plain(hostileBytes(kind.slice(5) as 'tar' | 'zip' | 'zip link', random));
  if (kind === 'any') return plain('x'.repeat(random(40)));
  const lies = random(6) === 0;
  if (kind === 'gz') return plain(lies ? 'not compressed' : gzipSync('pickled'));
  const other = pick(random, ['zip', 'tar', 'tar.gz', 'text'] as const);
  if (!lies || other === kind) return plain(bytesOf(kind as Kind, random));
  return { bytes: bytesOf(other, random), traits: ['archives called something else'] };
}

function traitsOf(files: readonly Made[]): string[] {
  return [...new Set(files.flatMap(({ traits }) => traits))];
}
