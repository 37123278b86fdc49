/** The other thread: unpacks batches of small zip members into files that it opens and closes itself. See `threads.ts`. */
import { parentPort, workerData } from 'node:worker_threads';
import { ModelFetchError } from '../errors.ts';
import { FileWriter } from './file-writer.ts';
import type { SmallMember } from './threads.ts';
import { unpackSmall } from './zip-content.ts';

export interface BatchAsk {
  readonly batch: readonly SmallMember[];
}

/** One answer an ask. Errors lose their class on the way between threads. */
export interface BatchAnswer {
  readonly error?: {
    readonly code?: string;
    readonly message: string;
    readonly path?: string;
    readonly hint?: string;
    readonly cause?: { readonly message: string; readonly code?: string };
  };
}

const stop = workerData as Int32Array | null;
const writer = new FileWriter();

function unpackBatch({ batch }: BatchAsk): BatchAnswer {
  try {
    for (const { member, packed } of batch) {
      if (stop && Atomics.load(stop, 0) !== 0) return { error: { message: 'stopped' } };
      unpackSmall(member, packed, writer);
    }
    return {};
  } catch (error) {
    writer.abandon();
    return { error: told(error as Error) };
  }
}

function told(error: Error): NonNullable<BatchAnswer['error']> {
  const { message, cause } = error;
  const inner =
    cause instanceof Error
      ? { message: cause.message, ...('code' in cause && { code: String(cause.code) }) }
      : undefined;
  if (!(error instanceof ModelFetchError)) return { message, ...(inner && { cause: inner }) };
  const { code, path, hint } = error;
  return {
    code,
    message,
    ...(path !== undefined && { path }),
    ...(hint !== undefined && { hint }),
    ...(inner && { cause: inner }),
  };
}

parentPort?.on('message', (ask: BatchAsk) => {
  parentPort?.postMessage(unpackBatch(ask));
});
