/** The other thread: unpacks batches of small zip members into files that it opens and closes itself. See `threads.ts`. */
import { parentPort, workerData } from 'node:worker_threads';
import { toData, type ErrorData } from '../transfer/error-data.ts';
import { FileWriter } from './file-writer.ts';
import type { SmallMember } from './threads.ts';
import { unpackSmall } from './zip-content.ts';

export interface BatchAsk {
  readonly batch: readonly SmallMember[];
}

/** One answer an ask. */
export interface BatchAnswer {
  readonly error?: ErrorData;
}

const stop = workerData as Int32Array | null;
const writer = new FileWriter();

function unpackBatch({ batch }: BatchAsk): BatchAnswer {
  try {
    for (const { member, packed } of batch) {
      if (stop && Atomics.load(stop, 0) !== 0) throw new Error('stopped');
      unpackSmall(member, packed, writer);
    }
    return {};
  } catch (error) {
    writer.abandon();
    return { error: toData(error) };
  }
}

parentPort?.on('message', (ask: BatchAsk) => {
  parentPort?.postMessage(unpackBatch(ask));
});
