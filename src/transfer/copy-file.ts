/**
 * The bytes of one local file into another, and their CRC. Reading and summing cost as much as writing, and the kernel lets
 * only one thread write to a file at a time: so a second thread nearly halves the time, and a third would gain nothing.
 */
import { once } from 'node:events';
import { isLocal } from '../file-systems.ts';
import { startThread } from '../start-thread.ts';
import { combineCrc } from '../verify/crc.ts';
import { copySegments, stopCopying, type Copying, type Segment } from './copy-segments.ts';
import type { CopyAnswer } from './copy-worker.ts';
import { fromData } from './error-data.ts';

/** Bytes from which starting a thread pays. */
const WORTH_A_THREAD = 128 * 1024 * 1024;

/** Large files are copied one after another: each by all there is. */
let large: Promise<unknown> = Promise.resolve();

/**
 * Copies `size` bytes between the descriptors; answers how many there were and their CRC-32. With `threads`, a large file is
 * copied by two, unless `path` lies on a volume of another machine: some take bytes in order only.
 */
export async function copyBytes(
  file: Omit<Copying, 'next'>,
  threads: boolean,
  signal: AbortSignal,
): Promise<{ bytes: number; crc32: bigint }> {
  if (!threads || file.size < WORTH_A_THREAD || !(await isLocal(file.path)))
    return whole(await copyAlone({ ...file, next: new Int32Array(1) }, signal));
  const turn = large.then(async () => copyTogether(file, signal));
  large = turn.catch(() => undefined);
  return whole(await turn);
}

async function copyAlone(copying: Copying, signal: AbortSignal): Promise<Segment[]> {
  const segments: Segment[] = [];
  signal.throwIfAborted();
  for (const segment of copySegments(copying)) {
    segments.push(segment);
    signal.throwIfAborted();
    // Signals and other files get their turn, but not after each of many small files.
    if (segment.start + segment.bytes < copying.size) await new Promise(setImmediate);
  }
  return segments;
}

async function copyTogether(file: Omit<Copying, 'next'>, signal: AbortSignal): Promise<Segment[]> {
  const copying = { ...file, next: new Int32Array(new SharedArrayBuffer(4)) };
  const other = copyOnThread(copying);
  // Neither is left alone with the descriptors, whatever becomes of the other.
  const [here, there] = await Promise.allSettled(
    [copyAlone(copying, signal), other].map(async (copied) => {
      try {
        return await copied;
      } catch (error) {
        stopCopying(copying);
        throw error;
      }
    }),
  );
  if (here!.status === 'rejected') throw here!.reason;
  if (there!.status === 'rejected') throw there!.reason;
  return [...here!.value, ...there!.value];
}

async function copyOnThread(copying: Copying): Promise<readonly Segment[]> {
  const thread = startThread(import.meta.url, 'copy-worker', {
    name: 'model-fetch copy',
    workerData: copying,
    resourceLimits: { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 4 },
  });
  const [answer] = (await once(thread, 'message')) as [CopyAnswer];
  if ('error' in answer) throw fromData(answer.error);
  return answer.segments;
}

function whole(segments: readonly Segment[]): { bytes: number; crc32: bigint } {
  let bytes = 0;
  let crc32 = 0n;
  for (const segment of segments.toSorted((a, b) => a.start - b.start)) {
    bytes += segment.bytes;
    crc32 = combineCrc('crc32', crc32, segment.crc32, segment.bytes);
  }
  return { bytes, crc32 };
}
