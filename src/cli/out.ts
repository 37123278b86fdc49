/** Standard output: the result of a command and nothing else. */
import { palette, type Palette } from './format.ts';
import { redactedJson } from './log.ts';
import type { Sink } from './screen.ts';

export class Out {
  readonly #sink: Sink & { readonly writable?: boolean };
  readonly format: 'human' | 'json';
  readonly paint: Palette;
  /** Something was printed: a second document must not follow. */
  started = false;

  constructor(sink: Sink, format: 'human' | 'json', color: boolean) {
    this.#sink = sink;
    this.format = format;
    this.paint = palette(color && format === 'human');
  }

  get json(): boolean {
    return this.format === 'json';
  }

  /** Nobody reads any more (`| head`): long results may stop. */
  get closed(): boolean {
    return this.#sink.writable === false;
  }

  text(text: string): void {
    this.started = true;
    if (!this.closed) this.#sink.write(text);
  }

  line(text: string): void {
    this.text(`${text}\n`);
  }

  /** The one document of `--output json`: indented on a terminal, else in one line. Redacted. */
  document(value: unknown): void {
    this.line(redactedJson(value, this.#sink.isTTY ? 2 : undefined));
  }
}
