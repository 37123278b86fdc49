/** Small members gathered into batches, so that handing them to another thread costs little for each. */
import type { Held } from './window.ts';
import { FileWriter } from './file-writer.ts';
import type { SmallMember, Threads } from './threads.ts';
import { unpackSmall, type ZipContent } from './zip-content.ts';

/** A batch is handed over when it has as many members or, inflated, as many bytes. */
const MEMBERS = 256;
const BYTES = 4 * 1024 * 1024;
/** Batches handed over at a time. */
const AHEAD = 4;

export class Batches {
  readonly #run: (batch: readonly SmallMember[]) => Promise<void>;
  readonly #onDone: (member: ZipContent) => void;
  #gathered: (Held & { readonly member: ZipContent })[] = [];
  #size = 0;
  readonly #running = new Set<Promise<void>>();
  #failed: { readonly error: unknown } | undefined;

  /** Without threads the members are unpacked here, and sockets get their turn after each batch. */
  constructor(threads: Threads | undefined, onDone: (member: ZipContent) => void) {
    this.#run = threads ? (batch) => threads.run(batch) : here;
    this.#onDone = onDone;
  }

  /** Takes a member and its packed bytes; their piece is released when it is unpacked. Throws what a former one threw. */
  async add(member: ZipContent, held: Held): Promise<void> {
    this.#gathered.push({ member, ...held });
    this.#size += member.size;
    if (this.#gathered.length >= MEMBERS || this.#size >= BYTES) this.flush();
    while (this.#running.size >= AHEAD) await Promise.race(this.#running);
    if (this.#failed) throw this.#failed.error;
  }

  /** Hands over what is gathered. */
  flush(): void {
    if (this.#gathered.length === 0) return;
    const batch = this.#gathered;
    this.#gathered = [];
    this.#size = 0;
    const running = this.#unpack(batch).finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  /** Resolves when nothing of it is written any more. Throws what a member threw. */
  async settle(): Promise<void> {
    await Promise.all(this.#running);
    if (this.#failed) throw this.#failed.error;
  }

  async #unpack(batch: readonly (Held & { readonly member: ZipContent })[]): Promise<void> {
    try {
      await this.#run(batch.map(({ member, bytes }) => ({ member, packed: bytes })));
      for (const { member } of batch) this.#onDone(member);
    } catch (error) {
      this.#failed ??= { error };
    } finally {
      for (const { piece } of batch) piece?.release();
    }
  }
}

async function here(batch: readonly SmallMember[]): Promise<void> {
  const writer = new FileWriter();
  try {
    for (const { member, packed } of batch) unpackSmall(member, packed, writer);
  } finally {
    writer.abandon();
  }
  await new Promise(setImmediate);
}
