/** Two figures people ask of an image: what a node pulls, and how long it takes to start. */
import { createReadStream, globSync, readFileSync, statSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { constants, createZstdCompress } from 'node:zlib';
import { ENTRYPOINT, type Image } from './cases.ts';
import { run } from './process.ts';

const RUNS = 20;

/** Lines to print. */
export async function measure(image: Image, folder: string): Promise<string[]> {
  return [...(await sizes(image, folder)), ...startUp(image)];
}

async function sizes(image: Image, folder: string): Promise<string[]> {
  const layout = join(folder, 'layout');
  await image.store.call('push', ['--quiet', image.name, `oci:${layout}:test`]);
  const blobs = globSync('blobs/sha256/*', { cwd: layout }).map(
    (file) => statSync(join(layout, file)).size,
  );
  const tar = join(folder, 'rootfs.tar');
  await run('tar', [
    '--directory',
    image.rootfs,
    '--exclude=./proc/*',
    '--exclude=./dev/*',
    '--create',
    '--file',
    tar,
    '.',
  ]);
  let zstd = 0;
  const compress = createZstdCompress({ params: { [constants.ZSTD_c_compressionLevel]: 12 } });
  await pipeline(createReadStream(tar), compress, async (chunks: AsyncIterable<Buffer>) => {
    for await (const chunk of chunks) zstd += chunk.length;
  });
  const program = globSync('*.js', { cwd: join(image.rootfs, 'app') }).map(
    (file) => statSync(join(image.rootfs, 'app', file)).size,
  );
  return [
    `size: ${megabytes(sum(blobs))} as pushed (gzip), ${megabytes(zstd)} with zstd, ${megabytes(statSync(tar).size)} unpacked, of which the program ${megabytes(sum(program))}`,
  ];
}

/** In turns, so that what else the machine does falls on both. */
function startUp(image: Image): string[] {
  const bare: number[] = [];
  const version: number[] = [];
  for (let count = 0; count < RUNS; count += 1) {
    bare.push(timed(image, ['-e', '0']));
    version.push(timed(image, [...ENTRYPOINT.slice(1), '--version']));
  }
  const [a, b] = [median(bare), median(version)];
  return [
    `start-up, medians of ${String(RUNS)}: bare node ${a.toFixed(1)} ms, model-fetch --version ${b.toFixed(1)} ms (+${(b - a).toFixed(1)} ms); ${readFileSync('/proc/loadavg', 'utf8').split(' ')[0]!} load`,
  ];
}

/** Milliseconds of one run inside the image. */
function timed(image: Image, args: readonly string[]): number {
  const command = ['--userspec=65532:65532', image.rootfs, '/usr/local/bin/node', ...args];
  const begun = performance.now();
  const { status } = spawnSync('chroot', command, {
    env: { PATH: '/usr/sbin:/usr/bin' },
    stdio: 'ignore',
  });
  if (status !== 0)
    throw new Error(`node ${args.join(' ')} ended with ${String(status)} in the image`);
  return performance.now() - begun;
}

const median = (times: number[]): number => times.sort((a, b) => a - b)[RUNS / 2]!;
const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);
const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;
