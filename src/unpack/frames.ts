/**
 * Decompresses the frames of a stream beside each other, in Node's thread pool, where it can be seen where they end
 * (`frame-walk.ts`). Batches of whole frames are decompressed each by itself. A batch that comes out whole, and is used up to
 * its last byte, came out as it would have in order: engines remember nothing from one frame to the next. Of all else (an
 * error, a false size, a frame that is too large) the engine that works in order is the judge, and gets every byte from there on.
 */
import { thisMachine } from '../machine.ts';
import { widths } from '../widths.ts';
import type { Form } from './frame-batch.ts';
import { Input, Packer } from './frame-packer.ts';
import { FrameWalk } from './frame-walk.ts';
import { spent } from './spent.ts';

/** Bytes given out at a time. */
const PIECE = 256 * 1024;
/** One stream at a time: where there are several, the cores are busy without this, and memory is for one. */
let busy = false;
let usual: number | undefined;

/** What comes out of `chunks`, each valid until the next one is asked for, `lanes` batches at a time. Throws what `form.inOrder` throws. */
export async function* frames(
  chunks: AsyncIterable<Uint8Array>,
  form: Form,
  lanes = (usual ??= widths(thisMachine()).threads),
): AsyncGenerator<Uint8Array> {
  if (busy || lanes < 2) {
    yield* form.inOrder(chunks);
    return;
  }
  busy = true;
  const input = new Input(chunks);
  let packer: Packer | undefined;
  try {
    for (let begun = false; ;) {
      packer = new Packer(input, form, lanes);
      let failed = false;
      for (;;) {
        const batch = await packer.first();
        if (!batch) break;
        const out = await batch.out.catch(() => undefined);
        failed = out === undefined;
        if (!out) break;
        begun = true;
        packer.shift();
        for (const chunk of out) yield* pieces(chunk);
        // Small frames share memory: all of it goes at once.
        for (const chunk of out) spent(chunk, chunk.buffer.byteLength, true);
        packer.free(batch.plain);
      }
      packer.stop();
      const held = packer.left();
      if (!failed && packer.atLarge) {
        yield* form.inOrder(oneFrame(held, input, form));
        begun = true;
        continue;
      }
      if (begun && !failed && packer.atEnd) return;
      if (begun) held.unshift(form.before);
      yield* form.inOrder(rest(held, input, packer.settled));
      return;
    }
  } finally {
    busy = false;
    packer?.stop();
    input.close();
  }
}

function* pieces(chunk: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < chunk.length; at += PIECE) yield chunk.subarray(at, at + PIECE);
}

/** Each of `parts`, and nobody keeps it. */
function* used(parts: Uint8Array[]): Generator<Uint8Array> {
  for (let part = parts.shift(); part; part = parts.shift()) yield part;
}

/** `held`, then all that is left of `input`, which nobody else reads once `settled`. */
async function* rest(
  held: Uint8Array[],
  input: Input,
  settled: Promise<void>,
): AsyncGenerator<Uint8Array> {
  yield* used(held);
  await settled;
  do yield input.take(input.chunk.length);
  while (await input.more());
}

/** The frame that begins with `held` and goes on in `input`; all of `input` if it cannot be seen where it ends. */
async function* oneFrame(held: Uint8Array[], input: Input, form: Form): AsyncGenerator<Uint8Array> {
  const walk = new FrameWalk(form.walk);
  for (const part of used(held)) {
    walk.read(part, 0);
    yield part;
  }
  do {
    const end = walk.read(input.chunk, input.at);
    yield input.take(walk.state === 'unknown' ? input.chunk.length : end);
  } while (walk.state !== 'ended' && (await input.more()));
}
