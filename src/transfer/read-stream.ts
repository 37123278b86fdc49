/** Bytes only the fetcher can produce, under our clock and count: the source is trusted with neither. */
import { ModelFetchError } from '../errors.ts';
import type { StreamLocation } from '../fetcher.ts';
import { held } from './rate.ts';
import type { ReadRequest, Transfer } from './read.ts';
import type { Source } from './source.ts';

/** Hands the bytes from `progress.at` on to the sink. */
export async function readStream(
  transfer: Transfer,
  source: Source,
  location: StreamLocation,
  request: ReadRequest,
  progress: { at: number },
): Promise<void> {
  const { entry } = source;
  const end = request.range?.end ?? entry.size;
  const from = progress.at;
  const bytes = await location.open(
    end !== undefined && (request.range || from > 0) ? { start: from, end } : undefined,
  );
  const iterator = bytes[Symbol.asyncIterator]();
  try {
    for (;;) {
      const step = await withinStall(iterator.next(), transfer);
      if (step.done === true) break;
      const { value } = step;
      if (end !== undefined && progress.at + value.length > end)
        throw new ModelFetchError('BAD_RESPONSE', `${entry.path}: more bytes than asked for`, {
          path: entry.path,
        });
      progress.at += value.length;
      transfer.report({ type: 'progress', path: entry.path, bytes: value.length });
      await held(transfer, request.sink(value), value.length);
    }
  } catch (error) {
    // What a source throws half-way is the network's doing, unless it says otherwise.
    if (error instanceof ModelFetchError) throw error;
    throw new ModelFetchError('UNAVAILABLE', `${entry.path} broke off`, {
      path: entry.path,
      cause: error,
    });
  } finally {
    // Not awaited: a source that hangs may never let go.
    void Promise.resolve(iterator.return?.()).catch(() => undefined);
  }
  if (end !== undefined && progress.at < end)
    throw new ModelFetchError(
      'TRUNCATED',
      `${entry.path} ended at byte ${String(progress.at)} of ${String(end)}`,
      { path: entry.path },
    );
}

async function withinStall<T>(promise: Promise<T>, transfer: Transfer): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  let abort: (() => void) | undefined;
  const guard = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new ModelFetchError('STALLED', `no byte for ${String(transfer.stallMs / 1000)} s`));
    }, transfer.stallMs);
    abort = () => {
      reject(transfer.signal.reason as Error);
    };
    transfer.signal.addEventListener('abort', abort, { once: true });
  });
  try {
    return await Promise.race([promise, guard]);
  } finally {
    clearTimeout(timer);
    if (abort) transfer.signal.removeEventListener('abort', abort);
  }
}
