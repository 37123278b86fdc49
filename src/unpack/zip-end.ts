/**
 * The end of a zip: where its directory is and how long. Everything must add up to the byte, because whatever does not is
 * read differently by different readers. Source: APPNOTE.TXT 4.3.14 to 4.3.16.
 */
import { badArchive } from './refuse.ts';

/** Bytes of a file from `start` up to `end`, exactly. */
export type Read = (start: number, end: number) => Promise<Uint8Array>;

export interface ZipEnd {
  /** Where the end record begins; the file ends with it. */
  readonly at: number;
  /** Where the central directory begins, and where the members end. */
  readonly directoryAt: number;
  readonly directorySize: number;
  readonly count: number;
}

const END = 0x06054b50;
const END_SIZE = 22;
const LOCATOR = 0x07064b50;
const LOCATOR_SIZE = 20;
const END64 = 0x06064b50;
const END64_SIZE = 56;
const MOST_COMMENT = 0xffff;

/** Finds the end of the zip of `size` bytes. Throws `BAD_ARCHIVE`. */
export async function zipEnd(read: Read, size: number): Promise<ZipEnd> {
  const from = Math.max(0, size - END_SIZE - MOST_COMMENT - LOCATOR_SIZE - END64_SIZE);
  const tail = view(await read(from, size));
  const at = endRecord(tail);
  const end = {
    disk: tail.readUInt16LE(at + 4),
    directoryDisk: tail.readUInt16LE(at + 6),
    countHere: tail.readUInt16LE(at + 8),
    count: tail.readUInt16LE(at + 10),
    directorySize: tail.readUInt32LE(at + 12),
    directoryAt: tail.readUInt32LE(at + 16),
  };
  const has64 = at >= LOCATOR_SIZE && tail.readUInt32LE(at - LOCATOR_SIZE) === LOCATOR;
  const found = has64 ? zip64(tail, at, from, end) : end;
  if (found.disk !== 0 || found.directoryDisk !== 0 || found.count !== found.countHere)
    throw badArchive('it is one part of several');
  const directoryEnd = from + at - (has64 ? LOCATOR_SIZE + END64_SIZE : 0);
  if (found.directoryAt + found.directorySize !== directoryEnd)
    throw badArchive(
      'its directory is not where it should be',
      'Something was put before or into it (a self-extracting archive, perhaps): make a plain zip.',
    );
  const { count, directoryAt, directorySize } = found;
  return { at: from + at, count, directoryAt, directorySize };
}

/** The one end record whose comment reaches exactly to the end of the file. */
function endRecord(tail: Buffer): number {
  const fits: number[] = [];
  let seen = false;
  const least = Math.max(0, tail.length - END_SIZE - MOST_COMMENT);
  for (let at = tail.length - END_SIZE; at >= least; at--) {
    if (tail.readUInt32LE(at) !== END) continue;
    seen = true;
    if (at + END_SIZE + tail.readUInt16LE(at + 20) === tail.length) fits.push(at);
  }
  if (fits.length === 1) return fits[0]!;
  if (fits.length > 1) throw badArchive('it has two ends, one within the comment of the other');
  throw badArchive(
    seen ? 'something follows its end' : 'its end is missing',
    'It was cut short or added to: upload it again.',
  );
}

type Fields = Record<
  'disk' | 'directoryDisk' | 'countHere' | 'count' | 'directorySize' | 'directoryAt',
  number
>;

/** The zip64 end record, which stands directly before its locator. What both records say must agree. */
function zip64(tail: Buffer, at: number, from: number, end: Fields): Fields {
  const start = at - LOCATOR_SIZE - END64_SIZE;
  const locator = at - LOCATOR_SIZE;
  if (
    start < 0 ||
    Number(tail.readBigUInt64LE(locator + 8)) !== from + start ||
    tail.readUInt32LE(start) !== END64
  )
    throw badArchive('its zip64 end record is not where it should be');
  if (Number(tail.readBigUInt64LE(start + 4)) !== END64_SIZE - 12)
    throw badArchive('its zip64 end record holds more than is understood');
  if (tail.readUInt32LE(locator + 4) !== 0 || tail.readUInt32LE(locator + 16) > 1)
    throw badArchive('it is one part of several');
  const wide: Fields = {
    disk: tail.readUInt32LE(start + 16),
    directoryDisk: tail.readUInt32LE(start + 20),
    countHere: Number(tail.readBigUInt64LE(start + 24)),
    count: Number(tail.readBigUInt64LE(start + 32)),
    directorySize: Number(tail.readBigUInt64LE(start + 40)),
    directoryAt: Number(tail.readBigUInt64LE(start + 48)),
  };
  for (const key of Object.keys(wide) as (keyof Fields)[]) {
    const unset = key === 'directorySize' || key === 'directoryAt' ? 0xffffffff : 0xffff;
    if (end[key] !== unset && end[key] !== wide[key])
      throw badArchive('its two end records contradict each other');
  }
  return wide;
}

/** `bytes` as a Buffer over the same memory. */
export function view(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
