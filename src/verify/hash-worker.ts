/** The other thread: hashes ranges of files that the main thread has open, in the order it is told. See `hash-thread.ts`. */
import { createHash, type Hash } from 'node:crypto';
import { readSync } from 'node:fs';
import { parentPort } from 'node:worker_threads';

/** One file at a time goes through `range` any number of times, then `finish`. */
export type HashAsk =
  | {
      readonly type: 'range';
      readonly file: number;
      readonly algorithms: readonly string[];
      readonly fd: number;
      readonly start: number;
      readonly end: number;
    }
  | { readonly type: 'finish'; readonly file: number };

/** One answer an ask, in the same order. */
export interface HashAnswer {
  readonly digests?: readonly (readonly [algorithm: string, hex: string])[];
  readonly error?: string;
}

const files = new Map<number, ReadonlyMap<string, Hash>>();
/** Small enough to be hashed from the processor's own cache. */
const buffer = Buffer.allocUnsafeSlow(256 * 1024);

function answer(ask: HashAsk): HashAnswer {
  if (ask.type === 'finish') {
    const hashes = files.get(ask.file);
    files.delete(ask.file);
    return {
      digests: [...(hashes ?? [])].map(([name, hash]) => [name, hash.digest('hex')] as const),
    };
  }
  let hashes = files.get(ask.file);
  if (!hashes) {
    hashes = new Map(ask.algorithms.map((name) => [name, createHash(name)]));
    files.set(ask.file, hashes);
  }
  for (let at = ask.start; at < ask.end;) {
    const got = readSync(ask.fd, buffer, 0, Math.min(buffer.length, ask.end - at), at);
    if (got === 0) return { error: `staged bytes at ${at} are gone` };
    for (const hash of hashes.values()) hash.update(buffer.subarray(0, got));
    at += got;
  }
  return {};
}

parentPort?.on('message', (ask: HashAsk) => {
  try {
    parentPort?.postMessage(answer(ask));
  } catch (error) {
    parentPort?.postMessage({ error: (error as Error).message } satisfies HashAnswer);
  }
});
