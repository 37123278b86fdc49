/** The content of one zip member: uncompressed, checked, written. It runs on the main thread, or on others for small members. */
import zlib from 'node:zlib';
import { decompress, inflateRaw } from './decompress.ts';
import type { FileWriter } from './file-writer.ts';
import { badArchive } from './refuse.ts';
import { spent } from './spent.ts';
import type { Place } from './tree.ts';

/** What must be known of a member to unpack it. */
export interface ZipContent {
  readonly name: string;
  readonly method: number;
  readonly crc: number;
  /** Bytes as they stand in the archive, and as they will be. */
  readonly packed: number;
  readonly size: number;
  /** Absent: it is checked and left out. */
  readonly place?: Place;
}

/** Smaller members are inflated in one go, which is much cheaper than a stream for each. */
const SMALL = 1024 * 1024;
const STORED = 0;
const DEFLATED = 8;

/** Whether a member is handled in one piece, by `unpackSmall`. */
export function isSmall({ method, packed, size }: ZipContent): boolean {
  return (method === STORED || method === DEFLATED) && packed <= SMALL && size <= SMALL;
}

/** A member in one piece. Nothing is written before its content is known to be right. Throws `BAD_ARCHIVE`. */
export function unpackSmall(member: ZipContent, packed: Uint8Array, writer: FileWriter): void {
  const bytes = member.method === STORED ? packed : inflateSmall(member, packed);
  if (bytes.length !== member.size) throw disagree(member.name, 'size');
  if (zlib.crc32(bytes) !== member.crc) throw damaged(member.name);
  const { place } = member;
  if (!place) return;
  writer.open(place.full, place.path, place.mode);
  writer.write(bytes);
  writer.close();
  if (bytes !== packed) spent(bytes, bufferFor(member), true);
}

/** A member of any size in bounded memory. All of its packed bytes are used up, and not one more. Throws `BAD_ARCHIVE`. */
export async function unpackLarge(
  member: ZipContent,
  packed: AsyncIterable<Uint8Array>,
  writer: FileWriter,
): Promise<void> {
  const { place } = member;
  if (place) writer.open(place.full, place.path, place.mode);
  let size = 0;
  let crc = 0;
  for await (const piece of plain(member.method, packed)) {
    size += piece.length;
    // Stopped at once: a member that inflates to more than it declares may be a bomb.
    if (size > member.size) throw disagree(member.name, 'size');
    if (place) writer.write(piece);
    else crc = zlib.crc32(piece, crc);
  }
  if (size !== member.size) throw disagree(member.name, 'size');
  if (place) crc = Number.parseInt(writer.close().crc32, 16);
  if (crc !== member.crc) throw damaged(member.name);
}

function plain(method: number, packed: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  if (method === STORED) return packed;
  return method === DEFLATED ? inflateRaw(packed) : decompress(packed, 'zst');
}

/** One byte more than declared shows that there is too much, and 64 is the least an engine takes. */
function bufferFor({ size }: ZipContent): number {
  return Math.max(64, size + 1);
}

function inflateSmall(member: ZipContent, packed: Uint8Array): Uint8Array {
  let result: { buffer: Buffer; engine: { bytesWritten: number } };
  try {
    // With `info` the answer is another than the types say.
    result = zlib.inflateRawSync(packed, {
      info: true,
      maxOutputLength: member.size + 1,
      chunkSize: bufferFor(member),
    }) as unknown as typeof result;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE')
      throw disagree(member.name, 'size', error);
    throw damaged(member.name, error);
  }
  if (result.engine.bytesWritten !== packed.length) throw disagree(member.name, 'size');
  return result.buffer;
}

function damaged(name: string, cause?: unknown): Error {
  return badArchive(`the content of ${JSON.stringify(name)} is damaged`, undefined, cause);
}

/** `BAD_ARCHIVE`: what the directory says of the member called `name` is not what is there. */
export function disagree(name: string, what: string, cause?: unknown): Error {
  return badArchive(
    `${JSON.stringify(name)} has one ${what} in its directory and another in itself`,
    undefined,
    cause,
  );
}
