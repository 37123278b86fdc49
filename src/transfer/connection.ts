/**
 * One keep-alive connection of the fast lane: a request goes out, a head and exactly its body come in. Reads land in one
 * reused buffer (`onread`), and the sink gets them in pieces of up to 256 KiB: the fewest copies and calls Node allows.
 */
import type { Socket } from 'node:net';
import { ModelFetchError } from '../errors.ts';
import { judge } from './answer.ts';
import { NotForFastLane, Refusal, type Head, type LaneJob } from './lane.ts';
import { broken, ended, sinkSafely, stalled, type Exchange } from './exchange.ts';
import { MAX_HEAD, parseHead, type ParsedHead } from './parse-head.ts';
import { Silence } from './silence.ts';

/** Bytes: above 128 KiB a page-cache write costs no less per byte, above 1 MiB reads gain nothing. */
const BUFFER = 256 * 1024;
const MAX_REFUSAL_BODY = 64 * 1024;

export class Connection {
  #socket: Socket | undefined;
  #buffer: Buffer = Buffer.allocUnsafeSlow(BUFFER);
  #spare: Buffer | undefined;
  #fill = 0;
  #exchange: Exchange | undefined;
  /** The exchange that was begun last: it may be over. */
  #last: Exchange | undefined;
  readonly #silence = new Silence(() => {
    this.#onSilence();
  });
  /** Heeded for as long as it is the same: a run's requests mostly share one. */
  #signal: AbortSignal | undefined;
  #paused = false;
  #leftover: Buffer | undefined;
  #closed = false;

  /** Pass to the socket when it is made. */
  readonly onread = {
    buffer: (): Uint8Array => this.#buffer.subarray(this.#fill),
    callback: (bytes: number): boolean => this.#onBytes(bytes),
  };

  attach(socket: Socket, usesOnread: boolean): void {
    this.#socket = socket;
    if (!usesOnread)
      socket.on('data', (chunk: Buffer) => {
        this.#feed(chunk);
      });
    socket.on('error', (error: Error) => {
      this.#fail(broken('the connection broke', error));
    });
    socket.on('end', () => {
      this.#fail(ended(this.#exchange));
    });
    socket.on('close', () => {
      this.#fail(ended(this.#exchange));
      this.destroy();
    });
    socket.resume();
  }

  get usable(): boolean {
    return (
      !this.#closed &&
      this.#socket !== undefined &&
      !this.#socket.destroyed &&
      this.#exchange === undefined
    );
  }

  /** True once the last request was answered at all: false means a stale keep-alive connection, safe to try anew. */
  answered = false;

  /** Sends `request` and reads its answer for `job`. */
  exchange(request: string, job: LaneJob): Promise<Head> {
    return new Promise<Head>((resolve, reject) => {
      job.signal.throwIfAborted();
      this.answered = false;
      this.#fill = 0;
      this.#exchange = this.#last = {
        job,
        resolve,
        reject,
        head: undefined,
        remaining: 0,
        from: 0,
        refusal: undefined,
      };
      this.#heed(job.signal);
      this.#silence.allow(job.stallMs);
      this.#socket!.write(request, 'latin1');
    });
  }

  destroy(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#silence.end();
    this.#signal?.removeEventListener('abort', this.#onAbort);
    this.#socket?.destroy();
  }

  #heed(signal: AbortSignal): void {
    if (signal === this.#signal) return;
    this.#signal?.removeEventListener('abort', this.#onAbort);
    this.#signal = signal;
    signal.addEventListener('abort', this.#onAbort, { once: true });
  }

  /** Without an exchange, too: a connection that is kept for a run that was aborted is of no more use. */
  readonly #onAbort = (): void => {
    const { reason } = this.#signal as { reason: unknown };
    const error = reason instanceof Error ? reason : new Error('aborted');
    this.#fail(error);
    // Also when the last byte is here and the sink is holding on to it. Nothing to one that is over.
    this.#last?.reject(error);
  };

  #onSilence(): void {
    // While the sink holds us back, silence is our own doing.
    if (this.#paused && this.#last) this.#silence.allow(this.#last.job.stallMs);
    else if (this.#exchange) this.#fail(stalled(this.#exchange.job));
  }

  /** TLS inside a tunnel ignores `onread`: its chunks are copied into the same buffer, for the same parser. */
  #feed(chunk: Buffer): void {
    let rest = chunk;
    while (rest.length > 0 && !this.#closed) {
      if (this.#paused) {
        this.#leftover = Buffer.from(rest);
        this.#socket?.pause();
        return;
      }
      const taken = rest.copy(this.#buffer, this.#fill);
      this.#onBytes(taken);
      rest = rest.subarray(taken);
    }
  }

  /** `bytes` more lie in the buffer at `#fill`. False pauses the socket. */
  #onBytes(bytes: number): boolean {
    this.#fill += bytes;
    const exchange = this.#exchange;
    if (!exchange) {
      // Bytes nobody asked for: this connection cannot be trusted with another request.
      this.#fill = 0;
      this.destroy();
      return false;
    }
    this.answered = true;
    this.#silence.broken();
    // TLS goes on emitting what it had already decrypted: it waits in the other buffer.
    if (this.#paused) return false;
    try {
      if (!exchange.head && !this.#readHead(exchange)) return true;
      return this.#readBody(exchange);
    } catch (error) {
      this.#fail(error as Error);
      return false;
    }
  }

  /** True when the head is complete and the body may follow. */
  #readHead(exchange: Exchange): boolean {
    for (;;) {
      const end = this.#buffer.subarray(0, Math.min(this.#fill, MAX_HEAD)).indexOf('\r\n\r\n');
      if (end === -1) {
        if (this.#fill >= MAX_HEAD) throw new NotForFastLane('a head of more than 32 KiB');
        return false;
      }
      const head = parseHead(this.#buffer.subarray(0, end));
      if (head.status === 101) throw new NotForFastLane('a protocol switch');
      if (head.status < 200) {
        // An interim answer (RFC 9110 section 15.2): the final one follows.
        this.#buffer.copyWithin(0, end + 4, this.#fill);
        this.#fill -= end + 4;
        continue;
      }
      exchange.head = head;
      exchange.from = end + 4;
      this.#expectBody(exchange, head);
      return true;
    }
  }

  #expectBody(exchange: Exchange, head: ParsedHead): void {
    if (head.status === 200 || head.status === 206) {
      const { length } = judge(exchange.job, head);
      if (length === undefined || head.headers['content-length'] === undefined)
        throw new NotForFastLane('a body without a Content-Length');
      exchange.remaining = length;
      exchange.job.onHead?.(head);
      return;
    }
    const length = head.headers['content-length'];
    if (length === undefined && head.status !== 204 && head.status !== 304)
      throw new NotForFastLane('a refusal without a Content-Length');
    exchange.remaining = Number(length ?? 0);
    if (head.status === 304 || head.status === 204) exchange.remaining = 0;
    exchange.refusal = [];
  }

  #readBody(exchange: Exchange): boolean {
    const available = this.#fill - exchange.from;
    if (available > exchange.remaining) {
      const { url } = exchange.job.location;
      throw new ModelFetchError('BAD_RESPONSE', 'the server sent more bytes than it announced', {
        uri: url,
      });
    }
    const whole = available === exchange.remaining;
    if (!whole && this.#fill < this.#buffer.length) return true;
    return this.#deliver(exchange, whole);
  }

  #deliver(exchange: Exchange, whole: boolean): boolean {
    const piece = this.#buffer.subarray(exchange.from, this.#fill);
    exchange.remaining -= piece.length;
    exchange.from = 0;
    this.#fill = 0;
    if (exchange.refusal) {
      const kept = exchange.refusal.reduce((sum, part) => sum + part.length, 0);
      if (kept < MAX_REFUSAL_BODY)
        exchange.refusal.push(Buffer.from(piece.subarray(0, MAX_REFUSAL_BODY - kept)));
      if (whole) this.#finish(exchange);
      return true;
    }
    const pending = piece.length > 0 ? exchange.job.sink(piece) : undefined;
    if (!pending) {
      if (whole) this.#finish(exchange);
      return true;
    }
    this.#wait(exchange, pending, whole);
    return false;
  }

  /** Nothing more is read until the sink is ready; meanwhile the other buffer stands by, for `piece` is still in use. */
  #wait(exchange: Exchange, pending: Promise<void>, whole: boolean): void {
    this.#spare ??= Buffer.allocUnsafeSlow(BUFFER);
    [this.#buffer, this.#spare] = [this.#spare, this.#buffer];
    this.#paused = true;
    // With the last byte here, what becomes of the connection no longer matters to this exchange.
    if (whole) this.#exchange = undefined;
    pending.then(
      () => {
        this.#paused = false;
        this.#silence.broken();
        if (whole) this.#finish(exchange);
        if (whole || this.#exchange === exchange) this.#proceed();
      },
      (error: unknown) => {
        this.#paused = false;
        this.#exchange ??= exchange;
        this.#fail(error as Error);
      },
    );
  }

  #proceed(): void {
    const leftover = this.#leftover;
    this.#leftover = undefined;
    if (this.#fill > 0 && this.#exchange) this.#onBytes(0);
    if (leftover) this.#feed(leftover);
    if (!this.#paused) this.#socket?.resume();
  }

  #finish(exchange: Exchange): void {
    this.#exchange = undefined;
    const { head, refusal } = exchange;
    if (!head!.keepAlive) this.destroy();
    if (refusal) exchange.reject(new Refusal(head!, Buffer.concat(refusal).toString('utf8')));
    else exchange.resolve(head!);
  }

  /** Ends the exchange and the connection. Body bytes already here are delivered first: a resume starts behind them. */
  #fail(error: Error): void {
    const exchange = this.#exchange;
    if (exchange) {
      this.#exchange = undefined;
      const piece = this.#buffer.subarray(exchange.from, this.#fill);
      const deliverable =
        error instanceof ModelFetchError &&
        error.retryable &&
        exchange.head !== undefined &&
        !exchange.refusal &&
        !this.#paused;
      if (deliverable && piece.length > 0 && piece.length <= exchange.remaining) {
        Promise.resolve(sinkSafely(exchange.job, piece)).then(
          () => {
            exchange.reject(error);
          },
          (sinkError: unknown) => {
            exchange.reject(sinkError as Error);
          },
        );
      } else exchange.reject(error);
    }
    this.destroy();
  }
}
