/** The source of an archive, made prompt to abort, its own errors told from ours. */
import { badArchive } from './refuse.ts';
import type { ArchiveSource } from './unpack.ts';

export class Guarded {
  readonly #source: ArchiveSource;
  readonly #closed = new AbortController();
  readonly #signal: AbortSignal;
  /** What the source threw, when it did. */
  failed: { readonly error: unknown } | undefined;

  constructor(source: ArchiveSource, signal: AbortSignal) {
    this.#source = source;
    this.#signal = AbortSignal.any([signal, this.#closed.signal]);
  }

  /** Nobody will read on: whatever still waits for the source stops waiting. */
  close(): void {
    this.#closed.abort();
  }

  /** Whether its bytes must be asked for in order. */
  get ordered(): boolean {
    return this.#source.ordered === true;
  }

  get size(): number | undefined {
    return this.#source.size;
  }

  /** The bytes in order. An abort is thrown at once, even while the source is silent. */
  async *stream(): AsyncGenerator<Uint8Array> {
    const chunks = this.#source.stream()[Symbol.asyncIterator]();
    try {
      for (;;) {
        const next = await this.#ask(() => chunks.next());
        if (next.done) return;
        yield next.value;
      }
    } finally {
      // Not awaited: a source that is stuck would keep us. Nothing is written with what it may still say.
      void Promise.resolve(chunks.return?.()).catch(() => undefined);
    }
  }

  /** Exactly those bytes. */
  async read(start: number, end: number): Promise<Uint8Array> {
    if (!this.#source.read)
      throw badArchive('a zip cannot be read as a stream', 'Publish a tar instead.');
    const bytes = await this.#ask(() => this.#source.read!(start, end));
    if (bytes.length !== end - start) throw badArchive('it is shorter than it was said to be');
    return bytes;
  }

  /** Fills `into` with the bytes from `start` on. After a failure the source may still write to it. */
  async fill(into: Uint8Array, start: number): Promise<void> {
    const { fill } = this.#source;
    if (fill) await this.#ask(() => fill(into, start));
    else into.set(await this.read(start, start + into.length));
  }

  #ask<T>(ask: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const fail = (error: unknown): void => {
        this.#signal.removeEventListener('abort', abort);
        // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- passed on as it is
        reject(error);
      };
      const abort = (): void => {
        fail(this.#signal.reason);
      };
      if (this.#signal.aborted) {
        abort();
        return;
      }
      this.#signal.addEventListener('abort', abort);
      // Async, so that what is thrown at once is seen as well.
      (async () => ask())().then(
        (value) => {
          this.#signal.removeEventListener('abort', abort);
          resolve(value);
        },
        (error: unknown) => {
          this.failed ??= { error };
          fail(error);
        },
      );
    });
  }
}
