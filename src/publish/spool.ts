/** JSON Lines that grow while a run goes on, buffered: listings are written through, never held. */
import { closeSync, constants, createReadStream, fsyncSync, openSync, writeSync } from 'node:fs';
import { onDisk } from '../disk.ts';

const BUFFER = 64 * 1024;

export class Spool {
  readonly path: string;
  #fd: number | undefined;
  #buffer = '';

  constructor(path: string) {
    this.path = path;
  }

  line(value: unknown): void {
    this.#buffer += `${JSON.stringify(value)}\n`;
    if (this.#buffer.length >= BUFFER) this.flush();
  }

  /** Copies the lines of another spool behind these. */
  async append(other: Spool): Promise<void> {
    other.flush();
    this.flush();
    if (other.#fd === undefined) return;
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
    const fd = this.#opened();
    for (let done = 0; done < bytes.length;)
      done += onDisk(this.path, () => writeSync(fd, bytes, done));
  }

  /** Made with its first line: a run that finds nothing to do writes none. */
  #opened(): number {
    const { O_WRONLY, O_CREAT, O_APPEND, O_NOFOLLOW } = constants;
    return (this.#fd ??= onDisk(this.path, () =>
      openSync(this.path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW, 0o644),
    ));
  }

  /** Makes it durable and closes. */
  finish(): void {
    this.flush();
    fsyncSync(this.#opened());
    this.close();
  }

  close(): void {
    if (this.#fd === undefined) return;
    closeSync(this.#fd);
    this.#fd = undefined;
  }
}

/**
 * Calls `take` with each value of a JSON Lines file, in order. A line that is none is told to `damaged`, and passed over. In
 * large pieces and without a promise a line: a run reads what the last one published before it does anything else.
 */
export async function readLines(
  path: string,
  take: (value: unknown) => void,
  damaged: () => void,
): Promise<void> {
  const takeLine = (line: string): void => {
    let value: unknown;
    try {
      value = JSON.parse(line);
    } catch {
      if (line.trim() !== '') damaged();
      return;
    }
    take(value);
  };
  const input = createReadStream(path, { encoding: 'utf8', highWaterMark: 256 * 1024 });
  let rest = '';
  for await (const piece of input as AsyncIterable<string>) {
    if (!piece.includes('\n')) {
      rest += piece;
      continue;
    }
    const lines = (rest + piece).split('\n');
    rest = lines.pop()!;
    lines.forEach(takeLine);
  }
  takeLine(rest);
}
