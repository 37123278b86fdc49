/** Finds the frames in a stream, and begins batches of them while there is room. */
import { beginBatch, type Batch, type Form, type FrameEnd } from './frame-batch.ts';
import { FrameWalk } from './frame-walk.ts';
import { spent } from './spent.ts';

const MIB = 2 ** 20;
/** Bytes in and out that make a batch; small frames share one. */
const BATCH = MIB;
/** Bytes of a frame, in or out. pzstd makes frames of 8 MiB. */
const MOST_FRAME = 9 * MIB;
/** Blocks may be much smaller than they can be: what a frame without a size may seem to have. */
const MOST_GUESS = 4 * MOST_FRAME;
/** Bytes in memory, compressed and not. */
const MOST_MEMORY = 32 * MIB;
/** Bytes a batch is collected in, to begin with: enough for most, as giving them more costs. */
const LEAST_HELD = 2 * BATCH;

/** The source: its latest chunk, and how far that is used up. */
export class Input {
  chunk: Uint8Array = new Uint8Array();
  at = 0;
  readonly #chunks: AsyncIterator<Uint8Array>;
  #ended: { readonly error?: unknown } | undefined;

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  /** What is not yet used, up to `end`. */
  take(end: number): Uint8Array {
    const part = this.chunk.subarray(this.at, end);
    this.at = end;
    return part;
  }

  /** The next chunk that has bytes, or false at the end. What the source throws is thrown again whenever this is asked. */
  async more(): Promise<boolean> {
    while (!this.#ended) {
      try {
        const next = await this.#chunks.next();
        this.chunk = next.done ? new Uint8Array() : next.value;
        this.at = 0;
        if (next.done) this.#ended = {};
        else if (this.chunk.length > 0) return true;
      } catch (error) {
        this.#ended = { error };
      }
    }
    if ('error' in this.#ended) throw this.#ended.error;
    return false;
  }

  /** Not awaited: a source that is stuck would keep us. */
  close(): void {
    void this.#chunks.return?.().catch(() => undefined);
  }
}

/** Reads on in `input` while batches are decompressed and used, up to a frame that is not for it. */
export class Packer {
  /** Why it stopped by itself: at the end of `input`, with nothing left, or at a frame that is too large, but ends for certain. */
  atEnd = false;
  atLarge = false;
  /** Resolves when it leaves `input` alone. */
  readonly settled: Promise<void>;
  readonly #input: Input;
  readonly #form: Form;
  readonly #lanes: number;
  readonly #queue: Batch[] = [];
  #memory = 0;
  #stopped = false;
  /** Wake who waits. */
  #changed: (() => void)[] = [];
  #walk: FrameWalk;
  /** Copies of what was read and is in no batch yet: the frames of the next one, and what may be the beginning of another. */
  #held: Uint8Array = new Uint8Array();
  #heldBytes = 0;
  /** Memory of a batch that is used, for one that will be: new memory is dear. */
  #spare: Uint8Array | undefined;
  /** The frames of the next batch. */
  #ends: FrameEnd[] = [];
  #plain = 0;
  #window = 0;

  constructor(input: Input, form: Form, lanes: number) {
    this.#input = input;
    this.#form = form;
    this.#lanes = lanes;
    this.#walk = new FrameWalk(form.walk);
    this.settled = this.#fill()
      .catch(() => undefined)
      .then(() => {
        this.#stopped = true;
        this.#wake();
      });
  }

  /** The oldest batch, or undefined when there will be none. */
  async first(): Promise<Batch | undefined> {
    while (this.#queue.length === 0 && !this.#stopped) await this.#change();
    return this.#queue[0];
  }

  /** The oldest batch came out whole. */
  shift(): void {
    const { bytes } = this.#queue.shift()!;
    const memory = new Uint8Array(bytes.buffer);
    const keep = (this.#spare?.length ?? 0) < memory.length;
    const dropped = keep ? this.#spare : memory;
    if (keep) this.#spare = memory;
    if (dropped) spent(dropped, dropped.length, true);
    this.free(bytes.length);
  }

  /** So many bytes are no longer in memory. */
  free(bytes: number): void {
    this.#memory -= bytes;
    this.#wake();
  }

  /** Nothing more is begun, and nobody waits for what is under way. */
  stop(): void {
    this.#stopped = true;
    for (const { engine } of this.#queue) engine.destroy();
    this.#wake();
  }

  /** What it read and did not decompress, and now forgets. */
  left(): Uint8Array[] {
    const parts = this.#queue.splice(0).map(({ bytes }) => bytes);
    parts.push(this.#held.subarray(0, this.#heldBytes));
    this.#held = new Uint8Array();
    this.#spare = undefined;
    return parts.filter((bytes) => bytes.length > 0);
  }

  async #fill(): Promise<void> {
    const { certain } = this.#form;
    const input = this.#input;
    /** Where in the chunk the walk is, and where its frame begins, if it begins there. */
    let at = input.at;
    let start: number | undefined = at;
    while (!this.#stopped) {
      if (at === input.chunk.length) {
        this.#hold(at);
        if (!(await this.#room(Infinity)) || !(await input.more())) break;
        at = 0;
        start = this.#walk.walked === 0 ? 0 : undefined;
      }
      at = this.#walk.read(input.chunk, at);
      const { state, frame } = this.#walk;
      const large =
        this.#walk.packed > MOST_FRAME || frame.plain > (frame.declared ? MOST_FRAME : MOST_GUESS);
      if (large || state === 'unknown') {
        this.#hold(start ?? at);
        this.atLarge = large && certain;
        break;
      }
      if (state === 'within') continue;
      this.#add();
      start = at;
      if (this.#plain < BATCH && this.#length < BATCH) continue;
      this.#hold(at);
      await this.#begin();
    }
    if (this.#ends.length > 0) await this.#begin();
    this.atEnd = !this.atLarge && this.#heldBytes === 0 && input.at === input.chunk.length;
  }

  /** Bytes of the next batch. */
  get #length(): number {
    return this.#ends.at(-1)?.end ?? 0;
  }

  /** The walk has come to the end of a frame. */
  #add(): void {
    const { frame, walked } = this.#walk;
    const plain = Math.min(frame.plain, MOST_FRAME);
    this.#ends.push({ end: this.#length + walked, empty: frame.empty });
    this.#plain += plain;
    this.#window += Math.min(frame.window, plain);
    this.#walk = new FrameWalk(this.#form.walk);
  }

  /** Copies what was read up to `end` of the chunk, which is only valid for now. */
  #hold(end: number): void {
    const part = this.#input.take(end);
    const bytes = this.#heldBytes + part.length;
    if (bytes > this.#held.length) {
      let larger = this.#spare;
      if (larger && larger.length >= bytes) this.#spare = undefined;
      else larger = Buffer.allocUnsafeSlow(Math.max(bytes, 2 * this.#held.length, LEAST_HELD));
      larger.set(this.#held.subarray(0, this.#heldBytes));
      spent(this.#held, this.#held.length, true);
      this.#held = larger;
    }
    this.#held.set(part, this.#heldBytes);
    this.#heldBytes = bytes;
  }

  async #begin(): Promise<void> {
    if (!(await this.#room(this.#lanes))) return;
    const length = this.#length;
    const bytes = this.#held.subarray(0, length);
    const plain = this.#plain + this.#window;
    this.#memory += length + plain;
    this.#queue.push(beginBatch(this.#form, bytes, this.#ends, this.#plain, plain));
    // A copy: the memory of a batch is given back at once.
    this.#held = new Uint8Array(this.#held.subarray(length, this.#heldBytes));
    this.#heldBytes = this.#held.length;
    this.#ends = [];
    this.#plain = 0;
    this.#window = 0;
    this.#wake();
  }

  /**
   * Waits until there is memory for what is held, and no more than `most` batches wait; a batch alone may take what it needs.
   * Answers whether to go on.
   */
  async #room(most: number): Promise<boolean> {
    const more = this.#heldBytes + this.#plain + this.#window;
    while (
      !this.#stopped &&
      this.#queue.length > 0 &&
      (this.#queue.length > most || this.#memory + more > MOST_MEMORY)
    )
      await this.#change();
    return !this.#stopped;
  }

  #change(): Promise<void> {
    return new Promise((resolve) => {
      this.#changed.push(resolve);
    });
  }

  #wake(): void {
    for (const wake of this.#changed.splice(0)) wake();
  }
}
