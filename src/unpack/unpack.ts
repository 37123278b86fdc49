/** Unpacks one archive into a private staging directory: exactly its tree, or a typed error. */
import { asModelFetchError } from '../errors.ts';
import type { ArchiveFormat } from '../fetcher.ts';
import { decompress, type Compression } from './decompress.ts';
import { Budget, type UnpackLimits } from './limits.ts';
import { badArchive } from './refuse.ts';
import { Guarded } from './source.ts';
import { unpackTar } from './tar.ts';
import type { Threads } from './threads.ts';
import { Tree, type UnpackedFile } from './tree.ts';

export { defaultLimits, type UnpackLimits } from './limits.ts';
export type { UnpackedFile } from './tree.ts';

/** Where an archive comes from. */
export interface ArchiveSource {
  readonly name: string;
  readonly uri: string;
  /** Bytes. A zip needs it. */
  readonly size?: number;
  /** From the start, once. Chunks are only valid until the next one is asked for. */
  stream(): AsyncIterable<Uint8Array>;
  /** Exactly the bytes from `start` up to `end`, in memory of their own. A zip needs it. */
  read?(start: number, end: number): Promise<Uint8Array>;
  /** Fills `into` with the bytes from `start` on. Absent: `read` does it. Asked for several stretches at a time. */
  readonly fill?: (into: Uint8Array, start: number) => Promise<void>;
  /** `fill` is to be asked for the bytes from the first on, in order. */
  readonly ordered?: boolean;
}

export interface UnpackOptions {
  /** An existing, empty, private directory. After a failure it holds rests, and the caller removes it. */
  readonly into: string;
  readonly format: ArchiveFormat;
  /** Leading path that is dropped; members outside of it are left out. */
  readonly strip?: string;
  readonly limits: UnpackLimits;
  readonly signal: AbortSignal;
  /** Where the members of a zip are unpacked beside each other. Absent: on this thread. */
  readonly threads?: Threads;
  /** Called for every file when it is whole, and for every link at the end. */
  onFile(file: UnpackedFile): void;
}

const COMPRESSION: Readonly<Record<ArchiveFormat, Compression | undefined>> = {
  tar: undefined,
  zip: undefined,
  'tar.gz': 'gz',
  'tar.zst': 'zst',
  'tar.bz2': 'bz2',
  'tar.xz': 'xz',
};

/**
 * Resolves when the whole tree stands in `into`; files and bytes are counted as `onFile` saw them. Throws `BAD_ARCHIVE`,
 * `UNSAFE_ARCHIVE`, `LIMIT_EXCEEDED`, `NO_SPACE`, `NOT_WRITABLE`, `ABORTED`; what the source throws comes out unchanged. Once
 * it has thrown, nothing more is written.
 */
export async function unpack(
  source: ArchiveSource,
  options: UnpackOptions,
): Promise<{ files: number; bytes: number }> {
  const budget = new Budget(options.limits);
  const tree = new Tree({ ...options, budget });
  const guarded = new Guarded(source, options.signal);
  try {
    options.signal.throwIfAborted();
    if (options.format === 'zip') await fromZip(guarded, tree, budget, options.threads);
    else await unpackTar(plainTar(guarded, options.format, budget), tree, budget);
    tree.finish();
    return tree.totals;
  } catch (error) {
    if (guarded.failed?.error === error) throw error;
    if (options.signal.aborted)
      throw asModelFetchError(options.signal.reason, 'ABORTED', { uri: source.uri });
    throw asModelFetchError(error, 'INTERNAL', { uri: source.uri, path: source.name });
  } finally {
    tree.abandon();
    guarded.close();
  }
}

async function* plainTar(
  source: Guarded,
  format: ArchiveFormat,
  budget: Budget,
): AsyncGenerator<Uint8Array> {
  const compression = COMPRESSION[format];
  const packed = counted(source.stream(), (bytes) => {
    budget.read(bytes);
  });
  if (!compression) {
    yield* packed;
    return;
  }
  for await (const chunk of decompress(packed, compression)) {
    budget.inflated(chunk.length);
    yield chunk;
  }
}

async function fromZip(
  source: Guarded,
  tree: Tree,
  budget: Budget,
  threads: Threads | undefined,
): Promise<void> {
  if (source.size === undefined)
    throw badArchive(
      'a zip of unknown size cannot be read',
      'Serve it with a Content-Length, or publish a tar.',
    );
  const { unpackZip } = await import('./zip.ts');
  await unpackZip(source, source.size, tree, budget, threads);
}

async function* counted(
  chunks: AsyncIterable<Uint8Array>,
  count: (bytes: number) => void,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) {
    count(chunk.length);
    yield chunk;
  }
}
