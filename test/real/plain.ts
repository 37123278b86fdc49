/** Sources that need no store: an HTTP server with the habits of real ones, and local folders. Compared like the rest. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { tarOf } from '../image/origin.ts';
import { unexplained } from './compare.ts';
import { kserve, modelFetch, type Tree } from './programs.ts';
import { assertTree, type Programs } from './scene.ts';
import { bytes } from './trees.ts';
import { zipOf } from './zip.ts';

interface Page {
  readonly path: string;
  readonly body: Buffer;
  readonly headers: Readonly<Record<string, string>>;
  /** What we publish; the difference that KServe shows, if any. */
  readonly becomes: Tree;
  readonly trait?: string;
  /** How many requests go wrong first, and how. */
  readonly fails?: 'busy' | 'cut';
}

const WEIGHTS = bytes('weights', 300_000);
const FILES = {
  'config.json': Buffer.from('{}'),
  '1/model.bin': WEIGHTS,
  '1/none': Buffer.alloc(0),
};
const UNPACKED: Tree = new Map(Object.entries(FILES));
const BINARY = { 'content-type': 'application/octet-stream' };
const file = (name: string, body = WEIGHTS): Tree => new Map([[name, body]]);
const type = (value: string): { 'content-type': string } => ({ 'content-type': value });

const PAGES: readonly Page[] = [
  { path: '/m/model.joblib', body: WEIGHTS, headers: BINARY, becomes: file('model.joblib') },
  {
    path: '/m/model.bin?sig=a%2Fb&x=1',
    body: WEIGHTS,
    headers: BINARY,
    becomes: file('model.bin'),
  },
  {
    path: '/m/model.tar.gz',
    body: gzipSync(tarOf(FILES)),
    headers: type('application/x-gzip'),
    becomes: UNPACKED,
  },
  { path: '/m/model.zip', body: zipOf(FILES), headers: type('application/zip'), becomes: UNPACKED },
  {
    path: '/m/model.json',
    body: Buffer.from('{"a":1}'),
    headers: type('application/json'),
    becomes: file('model.json', Buffer.from('{"a":1}')),
    trait: 'content types',
  },
  {
    path: '/raw/model.tar.gz',
    body: gzipSync(tarOf(FILES)),
    headers: BINARY,
    becomes: UNPACKED,
    trait: 'content types',
  },
  {
    path: '/m/encoded.json',
    body: gzipSync('{"a":1}'),
    headers: { ...BINARY, 'content-encoding': 'gzip' },
    becomes: file('encoded.json', Buffer.from('{"a":1}')),
    trait: 'encoded answers',
  },
  {
    path: '/apache/model.tar.gz',
    body: gzipSync(tarOf(FILES)),
    headers: { ...type('application/x-gzip'), 'content-encoding': 'x-gzip' },
    becomes: UNPACKED,
  },
  {
    path: '/m/p.pkl.gz',
    body: gzipSync(WEIGHTS),
    headers: BINARY,
    becomes: file('p.pkl.gz', gzipSync(WEIGHTS)),
    trait: 'a file that is merely compressed',
  },
  {
    path: '/m/my%20model.bin',
    body: WEIGHTS,
    headers: BINARY,
    becomes: file('my model.bin'),
    trait: 'escapes in URLs',
  },
  {
    path: '/m/download',
    body: WEIGHTS,
    headers: { ...BINARY, 'content-disposition': 'attachment; filename="real.bin"' },
    becomes: file('real.bin'),
    trait: 'a name from the server',
  },
  {
    path: '/m/busy.bin',
    body: WEIGHTS,
    headers: BINARY,
    becomes: file('busy.bin'),
    trait: 'errors that pass',
    fails: 'busy',
  },
  {
    path: '/m/cut.bin',
    body: WEIGHTS,
    headers: BINARY,
    becomes: file('cut.bin'),
    trait: 'errors that pass',
    fails: 'cut',
  },
];

/** Name and body of each case. */
export function plainCases(
  programs: Programs,
  folder: string,
): Record<string, () => Promise<void>> {
  return {
    ...Object.fromEntries(
      PAGES.map((page) => [`http: ${page.path}`, () => comparePage(page, programs, folder)]),
    ),
    'file: a folder, with hidden files and names that shells expand': () =>
      compareFolder(programs, folder),
    'file: a folder that holds one archive': () => compareArchive(programs, folder),
  };
}

/** Every page from a fresh server, so that what fails first fails for both. */
async function comparePage(page: Page, { main, python }: Programs, folder: string): Promise<void> {
  const ours = await withPage(page, async (uri) => {
    const dest = fresh(folder);
    return { uri, ...(await modelFetch(main, [uri, dest], dest, {})) };
  });
  assert.equal(ours.status, 0, ours.stderr);
  assertTree(ours.tree, page.becomes);
  const theirs = await withPage(page, (uri) => kserve(python, uri, fresh(folder), {}));
  const source = {
    scheme: 'http',
    uri: page.path,
    objects: new Map(),
    ...(page.trait && { traits: [page.trait] }),
  } as const;
  assert.deepEqual(unexplained(source, ours, theirs), [], theirs.stderr.slice(-500));
}

async function withPage<T>(page: Page, use: (uri: string) => Promise<T>): Promise<T> {
  let failures = page.fails ? 1 : 0;
  const server = createServer((request, response) => {
    if (request.method === 'GET' && failures > 0) {
      failures -= 1;
      fail(page, response);
    } else serve(page, request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    const { port } = server.address() as AddressInfo;
    return await use(`http://127.0.0.1:${String(port)}${page.path}`);
  } finally {
    server.close();
    server.closeAllConnections();
  }
}

/** Busy for a second, or an answer that ends half-way. */
function fail({ fails, body, headers }: Page, response: ServerResponse): void {
  if (fails === 'busy') {
    response.writeHead(503, { 'retry-after': '1' }).end();
    return;
  }
  response.writeHead(200, {
    ...headers,
    'content-length': body.length,
    etag: '"1"',
    'accept-ranges': 'bytes',
  });
  response.write(body.subarray(0, body.length / 2), () => response.destroy());
}

function serve({ body, headers }: Page, request: IncomingMessage, response: ServerResponse): void {
  const [, first, last] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '') ?? [];
  const common = { ...headers, etag: '"1"', 'accept-ranges': 'bytes' };
  if (first === undefined) {
    response.writeHead(200, { ...common, 'content-length': body.length });
    response.end(request.method === 'HEAD' ? undefined : body);
    return;
  }
  const part = body.subarray(Number(first), last ? Number(last) + 1 : undefined);
  const range = `bytes ${first}-${String(Number(first) + part.length - 1)}/${String(body.length)}`;
  response
    .writeHead(206, { ...common, 'content-length': part.length, 'content-range': range })
    .end(part);
}

async function compareFolder({ main, python }: Programs, folder: string): Promise<void> {
  const files: Tree = new Map([
    ['config.json', Buffer.from('{}')],
    ['1/weights.bin', WEIGHTS],
    ['1/.hidden', Buffer.from('x')],
    ['1/[a]*.bin', Buffer.from('y')],
    ['1/none', Buffer.alloc(0)],
  ]);
  const source = written(folder, files);
  const dest = fresh(folder);
  const ours = await modelFetch(main, [`file://${source}`, dest], dest, {});
  assert.equal(ours.status, 0, ours.stderr);
  assertTree(ours.tree, files);
  const theirs = await kserve(python, `file://${source}`, fresh(folder), {});
  const known = { scheme: 'file', uri: source, objects: new Map<string, number>() } as const;
  assert.deepEqual(unexplained(known, ours, theirs), []);

  writeFileSync(join(source, '.vocab'), 'hidden');
  const again = await modelFetch(main, [source, dest], dest, {});
  assertTree(again.tree, new Map([...files, ['.vocab', Buffer.from('hidden')]]));
  const linked = { ...(await kserve(python, source, fresh(folder), {})), links: [] };
  assert.deepEqual(unexplained(known, again, linked), []);
}

async function compareArchive({ main, python }: Programs, folder: string): Promise<void> {
  const source = written(folder, new Map([['model.tar.gz', gzipSync(tarOf(FILES))]]));
  for (const uri of [`file://${source}`, `file://${source}/model.tar.gz`]) {
    const dest = fresh(folder);
    const ours = await modelFetch(main, [uri, dest], dest, {});
    assert.equal(ours.status, 0, ours.stderr);
    assertTree(ours.tree, UNPACKED);
    const theirs = await kserve(python, uri, fresh(folder), {});
    assert.deepEqual(
      unexplained({ scheme: 'file', uri, objects: new Map() }, ours, theirs),
      [],
      theirs.stderr.slice(-500),
    );
  }
}

function written(folder: string, files: Tree): string {
  const root = mkdtempSync(join(folder, 'source-'));
  for (const [path, body] of files) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), body);
  }
  return root;
}

const fresh = (folder: string): string => join(mkdtempSync(join(folder, 'run-')), 'model');
