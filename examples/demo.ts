/**
 * The main job, end to end, on this machine: a small HTTP server and a small S3 serve the models of `fixtures/`, and the library
 * fetches them over real sockets, as it would in front of a model server.
 */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fetchModel, verifyTarget, type FetchResult } from '../src/index.ts';
import { startHttpServer } from '../test/servers/http.ts';
import { startS3 } from '../test/servers/s3.ts';

const fixtures = new URL('../fixtures/', import.meta.url).pathname;
const MIB = 1024 * 1024;

const root = await mkdtemp(join(tmpdir(), 'model-fetch-demo-'));
const s3 = await startS3({
  buckets: ['models'],
  credentials: [{ accessKeyId: 'demo', secretAccessKey: 'demo-secret' }],
});
const http = await startHttpServer();
try {
  const iris = join(fixtures, 'models/iris');
  for (const entry of await readdir(iris, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    s3.put('models', `iris/${relative(iris, path)}`, await readFile(path), {
      checksums: ['crc64nvme'],
    });
  }
  s3.put('models', 'large/weights.bin', generated(64 * MIB), { checksums: ['crc64nvme'] });
  const archive = http.put('/iris.tar.gz', await readFile(join(fixtures, 'archives/iris.tar.gz')));
  const env = {
    AWS_ENDPOINT_URL: s3.url,
    AWS_REGION: 'us-east-1',
    AWS_ACCESS_KEY_ID: 'demo',
    AWS_SECRET_ACCESS_KEY: 'demo-secret',
  };

  say(`An S3 server at ${s3.url} and an HTTP server at ${http.origin}, both in this process.\n`);
  await show('a model of several files, over S3', 's3://models/iris', 'iris', env);
  await show(
    'the same model as one archive, over HTTP, unpacked on the way',
    archive,
    'iris-archive',
    env,
  );
  await show('one large object, over S3, by parallel ranges', 's3://models/large', 'large', env);
  await show(
    'the first one again: nothing changed, nothing is downloaded',
    's3://models/iris',
    'iris',
    env,
  );
} finally {
  await s3.close();
  await http.close();
  await rm(root, { recursive: true, force: true });
}

async function show(
  what: string,
  uri: string,
  name: string,
  env: Record<string, string>,
): Promise<void> {
  const dest = join(root, name);
  const result = await fetchModel(uri, dest, { env });
  const { files } = await verifyTarget(dest);
  say(`${what}\n  model-fetch ${uri} ${dest}`);
  say(
    `  ${result.unchanged ? 'unchanged' : 'published'}  ${String(result.files)} files, ${size(result.bytes)}, in ${result.target}`,
  );
  say(`  from       ${result.sources.map((source) => source.uri).join(', ')}`);
  say(`  how fast   ${speed(result)}`);
  say(
    `  verified   ${verification(result)}; ${String(files)} files re-read against the manifest\n`,
  );
}

function speed({ fetchedBytes, seconds }: FetchResult): string {
  if (fetchedBytes === 0) return `nothing downloaded, ${seconds.toFixed(2)} s`;
  return `${size(fetchedBytes)} in ${seconds.toFixed(2)} s (${size(fetchedBytes / seconds)}/s)`;
}

function verification({ verified, unchanged }: FetchResult): string {
  if (unchanged) return 'same listing, same files as recorded';
  const by = Object.entries(verified).map(
    ([how, count]) =>
      `${String(count)} by ${how === 'length' ? 'exact length (the server gives no digest)' : how}`,
  );
  return by.join(', ');
}

function size(bytes: number): string {
  if (bytes < 1024) return `${bytes.toFixed(0)} B`;
  return bytes < MIB ? `${(bytes / 1024).toFixed(1)} KiB` : `${(bytes / MIB).toFixed(1)} MiB`;
}

function generated(bytes: number): Uint8Array {
  return new Uint8Array(
    Uint32Array.from({ length: bytes / 4 }, (_, i) => (i * 2654435761) >>> 0).buffer,
  );
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
