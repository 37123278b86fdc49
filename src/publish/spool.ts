/** JSON Lines that grow while a run goes on, buffered: listings are written through, never held. */
import { closeSync, constants, createReadStream, fsyncSync, openSync, writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { onDisk } from '../disk.ts';

const BUFFER = 64 * 1024;

export class Spool {
  readonly path: string;
  readonly #fd: number;
  #buffer = '';
  #open = true;

  constructor(path: string) {
    this.path = path;
    this.#fd = onDisk(path, () =>
      openSync(
        path,
        constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND | constants.O_NOFOLLOW,
        0o644,
      ),
    );
  }

  line(value: unknown): void {
    this.#buffer += `${JSON.stringify(value)}\n`;
    if (this.#buffer.length >= BUFFER) this.flush();
  }

  /** Copies the lines of another spool behind these. */
  async append(other: Spool): Promise<void> {
    other.flush();
    this.flush();
    for await (const chunk of createReadStream(other.path) as AsyncIterable<Buffer>)
      this.#write(chunk);
  }

  flush(): void {
    if (this.#buffer === '') return;
    const text = this.#buffer;
    this.#buffer = '';
    this.#write(Buffer.from(text));
  }

  /** All of it: a volume that is nearly full takes a part without an error. */
  #write(bytes: Buffer): void {
    for (let done = 0; done < bytes.length;)
      done += onDisk(this.path, () => writeSync(this.#fd, bytes, done));
  }

  /** Makes it durable and closes. */
  finish(): void {
    this.flush();
    fsyncSync(this.#fd);
    this.close();
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    closeSync(this.#fd);
  }
}

/** The values of a JSON Lines file, one at a time. A line that is none is told to `damaged`, and passed over. */
export async function* readLines(path: string, damaged: () => void): AsyncGenerator {
  const input = createReadStream(path, { highWaterMark: 256 * 1024 });
  try {
    for await (const line of createInterface({ input, crlfDelay: Infinity }))
      if (line !== '') {
        let value: unknown;
        try {
          value = JSON.parse(line);
        } catch {
          damaged();
          continue;
        }
        yield value;
      }
  } finally {
    input.destroy();
  }
}
