/** Compressed bytes in, plain bytes out: whole, checked, and in bounded memory. Truncation is an error in every format. */
import type { Transform } from 'node:stream';
import zlib from 'node:zlib';
import type { Form } from './frame-batch.ts';
import { gzipMember, zstdFrame } from './frame-walk.ts';
import { frames } from './frames.ts';
import { isZero } from './tar-fields.ts';
import { badArchive } from './refuse.ts';
import { spent } from './spent.ts';

export type Compression = 'gz' | 'zst' | 'bz2' | 'xz';

/** What comes out of `chunks`, each valid until the next one is asked for. Throws `BAD_ARCHIVE`; what `chunks` throws comes out as it is. */
export function decompress(
  chunks: AsyncIterable<Uint8Array>,
  compression: Compression,
): AsyncIterable<Uint8Array> {
  switch (compression) {
    case 'gz':
    case 'zst':
      return frames(chunks, FORMS[compression]);
    case 'bz2':
      return bunzip(chunks);
    case 'xz':
      return unxz(chunks);
  }
}

/** How streams of frames are read, beside each other or in order. */
export const FORMS: Readonly<Record<'gz' | 'zst', Form>> = {
  gz: {
    walk: gzipMember,
    open: (chunkSize) => zlib.createGunzip({ chunkSize }),
    certain: false,
    // A member of no content: only behind one are zeros padding, and no more bytes no error.
    before: Buffer.from('1f8b08000000000000030300'.padEnd(40, '0'), 'hex'),
    inOrder: (chunks) => inflate(chunks, () => zlib.createGunzip({ chunkSize: PIECE }), 'zeros'),
  },
  zst: {
    walk: zstdFrame,
    open: (chunkSize) => zlib.createZstdDecompress({ chunkSize }),
    certain: true,
    before: new Uint8Array(),
    inOrder: (chunks) =>
      inflate(chunks, () => zlib.createZstdDecompress({ chunkSize: PIECE }), 'frames'),
  },
};

const PIECE = 256 * 1024;
/** Chunks that wait to be used. */
const AHEAD = 4;
const FOLLOWS = 'something follows its compressed data';

/** The deflated content of a zip member, which ends exactly where `chunks` ends. */
export function inflateRaw(chunks: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  return inflate(chunks, () => zlib.createInflateRaw({ chunkSize: PIECE }), 'nothing');
}

/**
 * Drives Node's engines. They stop without a word where they think that the stream has ended: gzip's at a zero byte after
 * a member, zstd's wherever a frame ends in the middle of a chunk. What follows is therefore looked at here: zeros after
 * gzip are padding, another frame after a zstd frame is read on.
 */
async function* inflate(
  chunks: AsyncIterable<Uint8Array>,
  open: () => Transform & { bytesWritten: number },
  rest: 'zeros' | 'frames' | 'nothing',
): AsyncGenerator<Uint8Array> {
  const input = chunks[Symbol.asyncIterator]();
  let left: Uint8Array | undefined;
  try {
    do {
      const engine = open();
      const feeding = feed(engine, input, left);
      // Awaited below; a failure is told by whoever sees it first.
      feeding.catch(() => undefined);
      try {
        yield* ahead(engine);
      } catch (error) {
        if (error instanceof FromSource) throw error.cause;
        throw badArchive(reason(error), undefined, error);
      } finally {
        engine.destroy();
      }
      left = await feeding;
    } while (left && rest === 'frames');
    if (left && rest === 'nothing') throw badArchive(FOLLOWS);
    if (left) await onlyZeros(left, input);
  } finally {
    void input.return?.().catch(() => undefined);
  }
}

/**
 * What comes out of `engine`, which goes on in its own thread while a chunk is used: by itself a stream would wait for that.
 * Throws what it fails with.
 */
async function* ahead(engine: Transform): AsyncGenerator<Uint8Array> {
  const ready: Uint8Array[] = [];
  let end: { readonly error?: unknown } | undefined;
  let wake = (): void => undefined;
  engine.on('data', (chunk: Uint8Array) => {
    ready.push(chunk);
    if (ready.length >= AHEAD) engine.pause();
    wake();
  });
  engine.on('end', () => {
    end ??= {};
    wake();
  });
  engine.on('error', (error) => {
    end = { error };
    wake();
  });
  for (;;) {
    if (end && 'error' in end) throw end.error;
    const chunk = ready.shift();
    if (chunk) {
      if (engine.isPaused()) engine.resume();
      yield chunk;
      spent(chunk, PIECE);
    } else if (end) return;
    else
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
  }
}

/** An error of the source, on its way through an engine's `destroy`. */
class FromSource extends Error {
  override readonly name = 'FromSource';
}

/** Gives `engine` all it takes. Answers what it did not want, or undefined when the input is used up. */
async function feed(
  engine: Transform & { bytesWritten: number },
  input: AsyncIterator<Uint8Array>,
  first: Uint8Array | undefined,
): Promise<Uint8Array | undefined> {
  let chunk = first;
  for (;;) {
    if (!chunk) {
      try {
        const next = await input.next();
        if (next.done) break;
        chunk = next.value;
      } catch (error) {
        engine.destroy(new FromSource('the source failed', { cause: error }));
        return undefined;
      }
    }
    if (chunk.length > 0) {
      const before = engine.bytesWritten;
      // The chunk is the caller's again only when the engine is through with it.
      await written(engine, chunk);
      const taken = engine.bytesWritten - before;
      if (taken < chunk.length) return new Uint8Array(chunk.subarray(taken));
    }
    chunk = undefined;
  }
  engine.end();
  return undefined;
}

function written(engine: Transform, chunk: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    engine.write(chunk, (error) => {
      if (error) reject(error);
      else resolve();
    });
  });
}

async function onlyZeros(left: Uint8Array, input: AsyncIterator<Uint8Array>): Promise<void> {
  for (let bytes = left; ;) {
    if (!isZero(bytes)) throw badArchive(FOLLOWS);
    const next = await input.next();
    if (next.done) return;
    bytes = next.value;
  }
}

function reason(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'Z_BUF_ERROR') return 'its compressed data ends early';
  if (code === 'ZSTD_error_frameParameter_windowTooLarge')
    return 'it needs a window of more than 128 MiB to be decompressed (zstd --long)';
  return `its compressed data is damaged (${message})`;
}

async function* bunzip(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const { bunzip2 } = await import('./bunzip2.ts');
  yield* bunzip2(chunks);
}

async function* unxz(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const { unxz: read } = await import('./unxz.ts');
  yield* read(chunks);
}
