/** The models that are fetched: made once, below a root that nginx serves, one folder a bucket. */
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  linkSync,
  mkdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { GENERATED_BYTES, generatedBody } from './origin/generated.ts';
import { sha256Of, writeRandom, writeText, writeWeights } from './fixtures-content.ts';
import type { Scale } from './scale.ts';
import type { Tools } from './tools.ts';

/** Where they are, and what a client may be told about them. */
export interface Fixtures extends Sums {
  readonly root: string;
  /** What the archives hold, unpacked. */
  readonly unpacked: string;
}

interface Sums {
  readonly sha256: { readonly one: string; readonly targz: string };
  /** CRC-64/NVME of `one/model.bin`, base64; absent where boto3's checksum library is missing. */
  readonly crc64?: string;
}

export const ONE = 'one/model.bin';
export const CHECKED = 'checked/model.bin';

/** Makes what is missing. A folder with other sizes is made again. */
export function makeFixtures(
  work: string,
  scale: Scale,
  tools: Tools,
  say: (line: string) => void,
): Fixtures {
  const root = join(work, 'data');
  const unpacked = join(work, 'unpacked');
  const stamp = join(work, 'fixtures.json');
  const { one, small, shard, weights, members, sparse, farSmall } = scale;
  const wanted = JSON.stringify({
    version: 1,
    one,
    small,
    shard,
    weights,
    members,
    sparse,
    farSmall,
  });
  const known = existsSync(stamp)
    ? (JSON.parse(readFileSync(stamp, 'utf8')) as { wanted: string; sums: Sums })
    : undefined;
  if (known?.wanted === wanted) return { root, unpacked, ...known.sums };
  say('making the models (once)');
  rmSync(work, { recursive: true, force: true });
  mkdirSync(root, { recursive: true });
  writeModels(root, unpacked, scale);
  makeArchives(root, unpacked, tools);
  const crc64 = crc64Of(join(root, ONE), tools);
  const sums: Sums = {
    sha256: {
      one: sha256Of(join(root, ONE)),
      targz: sha256Of(join(root, 'archives/model.tar.gz')),
    },
    ...(crc64 !== undefined && { crc64 }),
  };
  writeFileSync(stamp, JSON.stringify({ wanted, sums }));
  return { root, unpacked, ...sums };
}

function writeModels(root: string, unpacked: string, scale: Scale): void {
  const file = (path: string): string => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    return join(root, path);
  };
  writeRandom(file(ONE), scale.one, 'one');
  for (let index = 0; index < scale.small; index += 1) {
    const folder = `part-${String(Math.floor(index / 100)).padStart(3, '0')}`;
    writeRandom(file(`small/${folder}/${String(index).padStart(5, '0')}.bin`), 16_384, `s${index}`);
  }
  for (let index = 0; index < scale.farSmall; index += 1)
    writeRandom(file(`far/${String(index).padStart(5, '0')}.bin`), 16_384, `f${index}`);
  for (let index = 1; index <= 8; index += 1)
    writeRandom(file(`llm/model-0000${index}-of-00008.safetensors`), scale.shard, `l${index}`);
  for (let index = 0; index < 12; index += 1)
    writeText(file(`llm/config-${index}.json`), 2_000 + index * 40_000, index);
  writeText(file('tiny/config.json'), 1024, 1);
  writeFileSync(file(generatedBody), GENERATED_BYTES);
  writeFileSync(file('sparse/model.bin'), '');
  truncateSync(join(root, 'sparse/model.bin'), scale.sparse);
  mkdirSync(join(unpacked, 'tokens'), { recursive: true });
  for (let index = 0; index < 4; index += 1)
    writeWeights(join(unpacked, `weights-${index}.bin`), scale.weights, `w${index}`);
  for (let index = 0; index < scale.members; index += 1)
    writeText(
      join(unpacked, 'tokens', `${String(index).padStart(5, '0')}.json`),
      500 + ((index * 37) % 8000),
      index,
    );
  // The same bytes by another name, for which the origin tells a checksum.
  linkSync(join(root, ONE), file(CHECKED));
  // Peers that compare times to the second must not find a file younger than its listing.
  utimesSync(join(root, ONE), 1_700_000_000, 1_700_000_000);
}

const ZIP = `
import os, sys, zipfile
source, target = sys.argv[1:]
with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
    for folder, _, names in sorted(os.walk(source)):
        for name in sorted(names):
            path = os.path.join(folder, name)
            archive.write(path, os.path.relpath(path, source))
`;

/** With the ordinary programs, so that nothing here depends on our own reading of the formats. */
function makeArchives(root: string, unpacked: string, tools: Tools): void {
  const archives = join(root, 'archives');
  mkdirSync(archives, { recursive: true });
  const tar = join(archives, 'model.tar');
  execFileSync('tar', ['-cf', tar, '-C', unpacked, '.']);
  execFileSync('sh', ['-c', 'gzip -6 -c "$0" > "$0.gz"', tar]);
  if (tools.paths.has('zstd')) execFileSync('zstd', ['-q', '-3', '-T1', '-k', '-f', tar]);
  execFileSync('/usr/bin/python3', ['-c', ZIP, unpacked, join(archives, 'model.zip')]);
}

const CRC64 = `
import base64, sys
from awscrt import checksums
crc = 0
with open(sys.argv[1], "rb") as file:
    while piece := file.read(1 << 20):
        crc = checksums.crc64nvme(piece, crc)
print(base64.b64encode(crc.to_bytes(8, "big")).decode())
`;

/** By Amazon's own library: the origin's claim must not come from the code that is to check it. */
function crc64Of(path: string, tools: Tools): string | undefined {
  const python = tools.paths.get('python');
  if (python === undefined) return undefined;
  return execFileSync(python, ['-c', CRC64, path], { encoding: 'utf8' }).trim();
}
