/**
 * Runs the bundled program in `FOLDER` and writes down what V8 has compiled by then, for `load.ts`. In the Dockerfile this runs on
 * the platform that is built for, with the entry point's flags: V8 takes such a cache only from its like.
 *
 *   node scripts/packaging/warm-up.ts FOLDER
 *
 * There are three caches, of a run over local files, over S3 and over HTTP: reading what a run does not need costs time too.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import type { run } from '../../src/cli/run.ts';
import { FLAGS } from './flags.ts';
import { cacheFile, load } from './load.ts';

const RUNS: Readonly<Record<string, (fetch: Fetch, scratch: string) => Promise<void>>> = {
  program: local,
  'program-s3': objects,
  'program-http': web,
};

/** Fetches `uri` into a folder. */
type Fetch = (uri: string, dest: string) => Promise<void>;

const [folder = '', name] = process.argv.slice(2);
if (name === undefined) {
  // A process each: a cache holds all that was compiled in its own.
  const again = [...FLAGS, fileURLToPath(import.meta.url), resolve(folder)];
  for (const cache of Object.keys(RUNS)) {
    const { status } = spawnSync(process.execPath, [...again, cache], {
      stdio: 'inherit',
      env: {},
    });
    if (status !== 0) throw new Error(`the program could not be warmed up for ${cache}`);
  }
} else {
  await write(folder, name);
}

async function write(app: string, cache: string): Promise<void> {
  const file = join(app, 'program.js');
  const scratch = mkdtempSync(join(tmpdir(), 'warm-up-'));
  // Else garbage collections drop the code of functions that ran a while ago.
  setFlagsFromString('--no-flush-bytecode');
  try {
    const { exports, script } = load<{ run: typeof run }>(file, '', createRequire(file));
    await RUNS[cache]!(fetchWith(exports.run), scratch);
    // As it was: the flags are part of what V8 compares.
    setFlagsFromString('--flush-bytecode');
    const data = cacheFile(readFileSync(file), script.createCachedData());
    writeFileSync(join(app, `${cache}.cache`), data);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
  process.exit();
}

function fetchWith(program: typeof run): Fetch {
  return async (uri, dest) => {
    let said = '';
    const sink = { write: (text: string) => (said += text) };
    const status = await program({
      argv: [uri, dest],
      env: process.env,
      cwd: '/',
      stdout: sink,
      stderr: sink,
      signal: new AbortController().signal,
      stoppedBy: () => undefined,
      crash: new Promise(() => undefined),
      onWarning: () => undefined,
    });
    if (status !== 0) throw new Error(`${uri}: ${said}`);
  };
}

/** Small files, and a second run that finds them. */
async function local(fetch: Fetch, scratch: string): Promise<void> {
  const source = join(scratch, 'source');
  mkdirSync(join(source, 'sub'), { recursive: true });
  for (const path of ['config.json', 'sub/weights.bin'])
    writeFileSync(join(source, path), Buffer.alloc(5000, path));
  await fetch(`file://${source}`, join(scratch, 'dest'));
  await fetch(`file://${source}`, join(scratch, 'dest'));
}

/** The same for objects; one has several ranges, and there are enough for threads. */
async function objects(fetch: Fetch, scratch: string): Promise<void> {
  const bodies = new Map([['bucket/model/weights.bin', Buffer.alloc(20 << 20, 'weights')]]);
  for (let i = 0; i < 100; i++)
    bodies.set(`bucket/model/${String(i)}.json`, Buffer.alloc(2000, String(i)));
  Object.assign(process.env, {
    HOME: '/',
    AWS_ACCESS_KEY_ID: 'key',
    AWS_SECRET_ACCESS_KEY: 'secret',
    AWS_REGION: 'us-east-1',
    AWS_ENDPOINT_URL: await serve(bodies),
  });
  await fetch('s3://bucket/model', join(scratch, 'dest'));
  await fetch('s3://bucket/model', join(scratch, 'dest'));
}

/** One file, as most models are that lie on a web server. */
async function web(fetch: Fetch, scratch: string): Promise<void> {
  const url = await serve(new Map([['weights.bin', Buffer.alloc(5 << 20, 'weights')]]));
  await fetch(`${url}/weights.bin`, join(scratch, 'dest'));
  await fetch(`${url}/weights.bin`, join(scratch, 'dest'));
}

/** Answers GET and HEAD for `bodies`, and listings as S3's. */
async function serve(bodies: ReadonlyMap<string, Buffer>): Promise<string> {
  const server = createServer((request, response) => {
    const url = new URL(request.url!, 'http://localhost');
    if (url.searchParams.has('list-type')) {
      response.end(listing(bodies));
      return;
    }
    const body = bodies.get(decodeURIComponent(url.pathname).slice(1));
    if (!body) {
      response.writeHead(404).end();
      return;
    }
    const [, from, to] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '') ?? [];
    const part = body.subarray(Number(from ?? 0), to ? Number(to) + 1 : undefined);
    const last = Number(from ?? 0) + part.length - 1;
    response.writeHead(from === undefined ? 200 : 206, {
      etag: etagOf(body),
      'content-length': part.length,
      'accept-ranges': 'bytes',
      ...(from !== undefined && {
        'content-range': `bytes ${from}-${String(last)}/${String(body.length)}`,
      }),
    });
    response.end(request.method === 'HEAD' ? undefined : part);
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`;
}

function listing(bodies: ReadonlyMap<string, Buffer>): string {
  const contents = [...bodies].map(([name, body]) => {
    const key = name.replace('bucket/', '');
    const etag = etagOf(body).replaceAll('"', '&quot;');
    return `<Contents><Key>${key}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>${etag}</ETag><Size>${String(body.length)}</Size><StorageClass>STANDARD</StorageClass></Contents>`;
  });
  return `<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>bucket</Name><Prefix>model/</Prefix><KeyCount>${String(bodies.size)}</KeyCount><MaxKeys>1000</MaxKeys><EncodingType>url</EncodingType><IsTruncated>false</IsTruncated>${contents.join('')}</ListBucketResult>`;
}

function etagOf(body: Buffer): string {
  return `"${createHash('md5').update(body).digest('hex')}"`;
}
