/** Standard error: whole lines, and on a terminal one status line below them that is redrawn in place and erased at the end. */

import { stripVTControlCharacters } from 'node:util';

/** What `Screen` needs of a stream. */
export interface Sink {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

/** Carriage return, then EL: erase to the end of the line (ECMA-48). */
const ERASE = '\r\u001b[K';

export class Screen {
  readonly #sink: Sink;
  #status = '';

  constructor(sink: Sink) {
    this.#sink = sink;
  }

  get columns(): number {
    return this.#sink.columns ?? 80;
  }

  /** Writes a whole line; the status line moves down below it, in the same write, so that nothing flickers. */
  readonly line = (text: string): void => {
    this.#sink.write(
      this.#status === '' ? `${text}\n` : `${this.#erase()}${text}\n${this.#status}`,
    );
  };

  /** Replaces the status line; `''` erases it. It must fit into one row. */
  status(text: string): void {
    if (text === this.#status) return;
    // The new text is written over the old one and only the rest is erased: an erased line would be seen to blink.
    const over = this.#rows() > 1 ? this.#erase() : '\r';
    this.#sink.write(text === '' ? this.#erase() : `${over}${text}\u001b[K`);
    this.#status = text;
  }

  /** Rows that the status line takes: more than one when the terminal has become narrower since. */
  #rows(): number {
    return Math.max(1, Math.ceil(stripVTControlCharacters(this.#status).length / this.columns));
  }

  #erase(): string {
    const above = this.#rows() - 1;
    return above === 0 ? ERASE : `\u001b[${above}A\r\u001b[J`;
  }
}
