/** A file being put together in staging: positional writes, and the same bytes read back for digests that need order. */
import {
  closeSync,
  constants,
  fstatSync,
  fsync,
  ftruncateSync,
  openSync,
  readSync,
  writeSync,
} from 'node:fs';
import { promisify } from 'node:util';
import { asDiskError, onDisk } from '../disk.ts';
import { writing } from '../write-clock.ts';

const sync = promisify(fsync);

export class PartFile {
  readonly path: string;
  /** Whether `finish` makes the bytes durable. */
  readonly #durable: boolean;
  /** Stays this thread's to close. */
  readonly fd: number;
  #open = true;
  #writingBack: Promise<void> | undefined;

  /** Creates `path`; with `reuse` an existing file is opened as it is. Never through a link. */
  constructor(path: string, options: { reuse?: boolean; sync?: boolean } = {}) {
    this.path = path;
    this.#durable = options.sync ?? false;
    const { O_RDWR, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
    this.fd = onDisk(path, () =>
      openSync(path, O_RDWR | O_CREAT | O_NOFOLLOW | (options.reuse ? 0 : O_EXCL), 0o644),
    );
  }

  write(chunk: Uint8Array, position: number): void {
    writeAt(this.fd, this.path, chunk, position);
  }

  read(into: Uint8Array, position: number): number {
    return onDisk(this.path, () => readSync(this.fd, into, 0, into.length, position));
  }

  /** When nothing more will be written. */
  mark(): FileMark {
    return onDisk(this.path, () => markOf(this.fd));
  }

  truncate(length: number): void {
    onDisk(this.path, () => {
      ftruncateSync(this.fd, length);
    });
  }

  /** Begins to write back what is here, while more arrives: the last sync then has little left to do. */
  writeBack(): void {
    if (!this.#durable) return;
    this.#writingBack ??= this.#sync().then(
      () => {
        this.#writingBack = undefined;
      },
      (error: unknown) => {
        // Kept as a rejected promise: the kernel tells a lost page once, so this must be what `finish` throws.
        this.#writingBack = failed(error);
        this.#writingBack.catch(() => undefined);
      },
    );
  }

  /** Makes the bytes durable, where that was asked for, and closes. A failed sync is final: the kernel may have dropped the pages. */
  async finish(): Promise<void> {
    try {
      await this.#writingBack;
      if (this.#durable) await this.#sync();
    } finally {
      this.close();
    }
  }

  /** Resolves when no sync uses the descriptor any more. */
  async idle(): Promise<void> {
    await this.#writingBack?.catch(() => undefined);
  }

  async #sync(): Promise<void> {
    try {
      await sync(this.fd);
    } catch (error) {
      // Some network file systems have no fsync for files; their close is what counts.
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'EINVAL' && code !== 'ENOTSUP') throw asDiskError(error, this.path);
    }
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    onDisk(this.path, () => {
      closeSync(this.fd);
    });
  }
}

// eslint-disable-next-line @typescript-eslint/require-await -- a rejection is all it is for
async function failed(error: unknown): Promise<never> {
  throw error;
}

/** By which a look tells later whether a file is still the one that was written. */
export interface FileMark {
  /** Nanoseconds. */
  readonly mtimeNs: string;
  readonly ino: string;
}

export function markOf(fd: number): FileMark {
  const { mtimeNs, ino } = fstatSync(fd, { bigint: true });
  return { mtimeNs: String(mtimeNs), ino: String(ino) };
}

/** All of `chunk` at `position`. Synchronous on purpose: a page-cache write is a copy, and handing it to a thread costs more. */
export function writeAt(fd: number, path: string, chunk: Uint8Array, position: number): void {
  writing(() => {
    for (let done = 0; done < chunk.length;)
      done += onDisk(path, () => writeSync(fd, chunk, done, chunk.length - done, position + done));
  });
}
