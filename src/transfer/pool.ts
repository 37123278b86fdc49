/** So many at a time of a stream of work. */

/**
 * Calls `work` for every item, `width` at a time; items are pulled, one after the other, as there is room. The first failure
 * stops the pulling, calls `onFailure` (to end what is under way) and is thrown once all work has stopped.
 */
export async function pool<T>(
  items: AsyncIterable<T> | Iterable<T>,
  width: number,
  work: (item: T) => Promise<void>,
  onFailure: (error: unknown) => void,
): Promise<void> {
  const iterator =
    Symbol.asyncIterator in items ? items[Symbol.asyncIterator]() : items[Symbol.iterator]();
  let failed: { error: unknown } | undefined;
  let busy = 0;
  let wake: () => void = () => undefined;
  const stopped = (): boolean => failed !== undefined;
  const fail = (error: unknown): void => {
    if (failed) return;
    failed = { error };
    onFailure(error);
  };
  const done = (): void => {
    busy--;
    wake();
  };
  const doneBadly = (error: unknown): void => {
    fail(error);
    done();
  };
  const untilLessThan = async (most: number): Promise<void> => {
    while (busy >= most)
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
  };
  try {
    while (!stopped()) {
      if (busy >= width) await untilLessThan(width);
      const step = await iterator.next();
      if (step.done === true || stopped()) break;
      busy++;
      work(step.value).then(done, doneBadly);
    }
  } catch (error) {
    fail(error);
  }
  await untilLessThan(1);
  if (failed) {
    await Promise.resolve(iterator.return?.()).catch(() => undefined);
    throw failed.error;
  }
}
