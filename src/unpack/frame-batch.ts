/** A batch: whole frames, decompressed at once by an engine of their own. Either all of it comes out right, or nothing counts. */
import type { Transform } from 'node:stream';
import type { Frame, Walk } from './frame-walk.ts';

/** A compression whose streams consist of frames. */
export interface Form {
  readonly walk: (frame: Frame) => Walk;
  readonly open: (chunkSize: number) => Engine;
  /**
   * Whether the engine finds a frame's end where the walk does, and stops there. If not, what the walk says is a claim.
   */
  readonly certain: boolean;
  /** Stands for the frames before, where the engine must know that there were some. */
  readonly before: Uint8Array;
  readonly inOrder: (chunks: AsyncIterable<Uint8Array>) => AsyncIterable<Uint8Array>;
}

/** Where a frame ends in its batch, and whether there is nothing in it. */
export interface FrameEnd {
  readonly end: number;
  readonly empty: boolean;
}

export type Engine = Transform & { bytesWritten: number };

const LEAST_ENGINE = 64;

/** Whole frames, on their way through an engine of their own. */
export interface Batch {
  readonly bytes: Uint8Array;
  /** Bytes that come out, at most, and those that this takes beside. */
  readonly plain: number;
  readonly engine: Engine;
  readonly out: Promise<readonly Uint8Array[]>;
}

/** Begins with the frames in `bytes`, which end where `ends` says. At most `most` bytes come out; `plain` are in memory for it. */
export function beginBatch(
  form: Form,
  bytes: Uint8Array,
  ends: readonly FrameEnd[],
  most: number,
  plain: number,
): Batch {
  const engine = form.open(Math.max(LEAST_ENGINE, most + 1));
  // A gzip engine goes on from member to member by itself; a zstd engine stops at the end of a frame.
  const writes = form.certain ? ends : [{ end: bytes.length, empty: false }];
  const out = decompressed(bytes, writes, engine, most);
  // Awaited when it is its turn.
  out.catch(() => undefined);
  return { bytes, plain, engine, out };
}

/** What comes out of the frames in `bytes`: all of it, at most `most` bytes. Anything else is thrown, for whatever reason. */
async function decompressed(
  bytes: Uint8Array,
  frames: readonly FrameEnd[],
  engine: Engine,
  most: number,
): Promise<readonly Uint8Array[]> {
  const out: Uint8Array[] = [];
  let size = 0;
  // A write that fails may never be answered.
  let closed = (): void => undefined;
  const ended = new Promise<void>((resolve, reject) => {
    engine.on('data', (chunk: Uint8Array) => {
      out.push(chunk);
      size += chunk.length;
      if (size > most) engine.destroy(new Error('more came out than was said'));
    });
    engine.on('end', resolve);
    engine.on('error', reject);
    engine.on('close', () => {
      closed();
      reject(new Error('it was stopped'));
    });
  });
  ended.catch(() => undefined);
  try {
    let start = 0;
    for (const { end, empty } of frames) {
      const before = engine.bytesWritten;
      if (!empty) {
        const part = bytes.subarray(start, end);
        await new Promise<void>((resolve) => {
          closed = resolve;
          engine.write(part, () => {
            resolve();
          });
        });
        if (engine.bytesWritten - before < end - start) throw new Error('it ended early');
      }
      start = end;
    }
    // An engine that was given nothing would miss the beginning.
    if (engine.bytesWritten > 0) {
      engine.end();
      await ended;
    }
    return out;
  } finally {
    engine.destroy();
  }
}
