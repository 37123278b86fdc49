/** One file being written. Synchronous on purpose: for the many small files of an archive that is four times cheaper. */
import fs from 'node:fs';
import { continueCrc, crcHex } from '../verify/crc.ts';
import { writing } from '../write-clock.ts';
import { onDisk } from './refuse.ts';

/**
 * Bytes a write. Fewer, larger writes than most chunks are, and no larger: for a whole MiB the kernel takes pages in large
 * blocks, which a virtual machine may have to get from its host first. Measured: six times the CPU.
 */
const GATHER = 256 * 1024;

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY } = fs.constants;
/** File systems without modes (FUSE, SMB) may refuse to set them; the file is no worse for it. */
const MODES_REFUSED: ReadonlySet<string | undefined> = new Set([
  'EPERM',
  'ENOTSUP',
  'EOPNOTSUPP',
  'ENOSYS',
]);

/** What was written. */
export interface Written {
  readonly size: number;
  /** Eight lower-case hex digits. */
  readonly crc32: string;
}

/** Writes files one after the other, never over anything that exists and never through a link. */
export class FileWriter {
  #buffer: Buffer | undefined;
  #used = 0;
  #fd: number | undefined;
  #member = '';
  #size = 0;
  #crc = 0n;

  /** Creates `path` for the archive's `member`. The one before must have been closed. */
  open(path: string, member: string, mode: number): void {
    if (this.#fd !== undefined) throw new Error('a file is still open');
    this.#member = member;
    this.#size = 0;
    this.#crc = 0n;
    this.#used = 0;
    this.#fd = onDisk(member, () =>
      fs.openSync(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode),
    );
    this.#setMode(mode);
  }

  /** Appends `chunk`, which the caller may reuse afterwards. */
  write(chunk: Uint8Array): void {
    this.#size += chunk.length;
    this.#crc = continueCrc('crc32', this.#crc, chunk);
    if (this.#used === 0 && chunk.length >= GATHER / 2) {
      this.#flush(chunk);
      return;
    }
    const buffer = (this.#buffer ??= Buffer.allocUnsafeSlow(GATHER));
    let from = 0;
    while (from < chunk.length) {
      const part = chunk.subarray(from, from + GATHER - this.#used);
      buffer.set(part, this.#used);
      this.#used += part.length;
      from += part.length;
      if (this.#used === GATHER) this.#flushBuffer();
    }
  }

  /** Writes what is left and closes. */
  close(): Written {
    this.#flushBuffer();
    const fd = this.#fd!;
    this.#fd = undefined;
    // Quotas of network file systems may only speak up here.
    onDisk(this.#member, () => {
      fs.closeSync(fd);
    });
    return { size: this.#size, crc32: crcHex('crc32', this.#crc) };
  }

  /** Lets go of a file that will not be finished. Writes nothing, throws nothing. */
  abandon(): void {
    const fd = this.#fd;
    this.#fd = undefined;
    if (fd === undefined) return;
    try {
      fs.closeSync(fd);
    } catch {
      // The file is thrown away with its staging folder; the error that led here is the one to tell.
    }
  }

  #flushBuffer(): void {
    if (this.#buffer && this.#used > 0) this.#flush(this.#buffer.subarray(0, this.#used));
    this.#used = 0;
  }

  #flush(bytes: Uint8Array): void {
    const fd = this.#fd!;
    writing(() => {
      onDisk(this.#member, () => {
        for (let done = 0; done < bytes.length;)
          done += fs.writeSync(fd, bytes, done, Math.min(GATHER, bytes.length - done));
      });
    });
  }

  /** `open` gives modes only through the umask, and the server that reads the model may be another user. */
  #setMode(mode: number): void {
    try {
      fs.fchmodSync(this.#fd!, mode);
    } catch (error) {
      if (!MODES_REFUSED.has((error as NodeJS.ErrnoException).code)) throw error;
    }
  }
}
