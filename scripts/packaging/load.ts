/**
 * How the image runs its program: one script (`script.ts`), with what V8 made of it when the image was built. This file is bundled
 * into the entry point; it imports nothing but Node.
 */
import { readFileSync } from 'node:fs';
import { constants, Script } from 'node:vm';
import { crc32 } from 'node:zlib';

export interface Loaded<Exports> {
  readonly exports: Exports;
  readonly script: Script;
}

type Run = (require: NodeJS.Require, filename: string) => unknown;

/** Runs the script `file` with the code of `cache`, where that is fit for it. */
export function load<Exports>(
  file: string,
  cache: string,
  require: NodeJS.Require,
): Loaded<Exports> {
  const source = readFileSync(file);
  const cachedData = readCache(cache, source);
  const script = new Script(source.toString('latin1'), {
    filename: file,
    // Where V8 refuses it (another version, other flags) it compiles as ever.
    ...(cachedData && { cachedData }),
    importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
  });
  const run = script.runInThisContext() as Run;
  return { exports: run(require, file) as Exports, script };
}

/** V8 trusts what is in it, and does not see that the source has changed: a checksum over both stands in front. */
function readCache(path: string, source: Buffer): Buffer | undefined {
  let file: Buffer;
  try {
    file = readFileSync(path);
  } catch {
    return undefined;
  }
  const data = file.subarray(4);
  return data.length > 0 && file.readUInt32LE(0) === sumOf(source, data) ? data : undefined;
}

/** What belongs into the file of a cache: `data`, as V8 answers it. */
export function cacheFile(source: Buffer, data: Buffer): Buffer {
  const head = Buffer.alloc(4);
  head.writeUInt32LE(sumOf(source, data));
  return Buffer.concat([head, data]);
}

function sumOf(source: Buffer, data: Buffer): number {
  return crc32(data, crc32(source));
}
