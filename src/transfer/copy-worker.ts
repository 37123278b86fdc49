/** The other thread: copies segments beside the main thread until there are none left. See `copy-file.ts`. */
import { parentPort, workerData } from 'node:worker_threads';
import { copySegments, type Copying, type Segment } from './copy-segments.ts';
import { toData, type ErrorData } from './error-data.ts';

export type CopyAnswer = { readonly segments: readonly Segment[] } | { readonly error: ErrorData };

function copied(): CopyAnswer {
  try {
    return { segments: [...copySegments(workerData as Copying)] };
  } catch (error) {
    return { error: toData(error) };
  }
}

parentPort!.postMessage(copied());
