/** N lanes over a stream of work. */

/**
 * Calls `work` for every item, `width` at a time; items are pulled as lanes become free. The first failure stops the pulling,
 * calls `onFailure` (to end what is under way) and is thrown once all lanes have stopped.
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
  let pulling: Promise<unknown> = Promise.resolve();
  const fail = (error: unknown): void => {
    if (failed) return;
    failed = { error };
    onFailure(error);
  };
  const stopped = (): boolean => failed !== undefined;
  const lane = async (): Promise<void> => {
    while (!stopped()) {
      // One pull at a time: generators are not re-entrant, and order is kept.
      const pull = pulling.then(async () => iterator.next());
      pulling = pull.catch(() => undefined);
      try {
        const step = await pull;
        if (step.done === true || stopped()) return;
        await work(step.value);
      } catch (error) {
        fail(error);
      }
    }
  };
  await Promise.all(Array.from({ length: width }, lane));
  if (failed) {
    await Promise.resolve(iterator.return?.()).catch(() => undefined);
    throw failed.error;
  }
}
