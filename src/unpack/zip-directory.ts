/** The members of a zip, as its central directory lists them: read by `unzipper`, checked here. */
import { Readable } from 'node:stream';
import type { CentralDirectory, File } from 'unzipper';
import type { Budget } from './limits.ts';
import { badArchive, tooMuch, unsafeMember } from './refuse.ts';
import { view, zipEnd, type Read, type ZipEnd } from './zip-end.ts';
import { extraFields, memberName } from './zip-names.ts';

export interface ZipMember {
  readonly name: string;
  readonly nameBytes: Buffer;
  readonly directory: boolean;
  /** As on Unix, execute bits included. */
  readonly mode: number;
  readonly flags: number;
  readonly method: number;
  readonly crc: number;
  /** Bytes as they stand in the archive, and as they will be. */
  readonly packed: number;
  readonly size: number;
  /** Where its local header begins. */
  readonly at: number;
}

export interface ZipDirectory {
  /** In the order of their local headers. */
  readonly members: readonly ZipMember[];
  /** Where the members end and the directory begins. */
  readonly end: number;
}

/** The directory is held in memory, twice for a moment. */
const MOST_DIRECTORY = 32 * 1024 * 1024;
const RECORD = 46;
const RECORD_SIGNATURE = 0x02014b50;

/** Reads and checks the directory of the zip of `size` bytes. Throws `BAD_ARCHIVE`, `UNSAFE_ARCHIVE`, `LIMIT_EXCEEDED`. */
export async function zipDirectory(
  read: Read,
  size: number,
  budget: Budget,
): Promise<ZipDirectory> {
  const end = await zipEnd(read, size);
  if (end.count > budget.limits.files)
    throw tooMuch(`it has more than ${budget.limits.files} members`);
  if (end.directorySize > MOST_DIRECTORY)
    throw tooMuch(`its directory has more than ${MOST_DIRECTORY} bytes`);
  // Each record takes 46 bytes at least: a count that cannot be true is not handed on.
  if (end.count * RECORD > end.directorySize)
    throw badArchive('it lists more members than its directory can hold');

  const bytes = view(await read(end.directoryAt, size));
  const members: ZipMember[] = [];
  let at = 0;
  for await (const file of records(bytes, end)) {
    const after =
      at + RECORD + file.fileNameLength + file.extraFieldLength + file.fileCommentLength;
    if (file.signature !== RECORD_SIGNATURE || after > end.directorySize)
      throw badArchive('its directory is damaged');
    const extraAt = at + RECORD + file.fileNameLength;
    const nameBytes = bytes.subarray(at + RECORD, extraAt);
    members.push(
      check(file, nameBytes, bytes.subarray(extraAt, after - file.fileCommentLength), end),
    );
    at = after;
  }
  if (at !== end.directorySize) throw badArchive('its directory lists more than it counts');
  return { members: members.sort((a, b) => a.at - b.at), end: end.directoryAt };
}

/** Records read at a time: what `unzipper` makes of one is large. */
const SLICE = 2048;
const END_SIZE = 22;

/**
 * The records, from memory: `unzipper` gets no chance to wait for a stream that failed, nor to search for an end record (it
 * takes the first that looks like one). Each slice is a directory of its own to it.
 */
async function* records(bytes: Buffer, end: ZipEnd): AsyncGenerator<File> {
  if (end.count === 0) return;
  const { default: unzipper } = await import('unzipper');
  // Its types do not know the second parameter.
  const open = unzipper.Open as unknown as {
    custom(from: object, options: { tailSize: number }): Promise<CentralDirectory>;
  };
  let at = 0;
  for (let left = end.count; left > 0; left -= SLICE) {
    const count = Math.min(SLICE, left);
    const from = at;
    for (let record = 0; record < count; record++) at = recordEnd(bytes, at, end.directorySize);
    const slice = Buffer.concat([bytes.subarray(from, at), endRecord(count, at - from)]);
    const source = {
      size: () => Promise.resolve(slice.length),
      stream: (offset: number) => Readable.from([slice.subarray(offset)]),
    };
    let directory: CentralDirectory;
    try {
      directory = await open.custom(source, { tailSize: END_SIZE });
    } catch (error) {
      throw badArchive('its directory is damaged', undefined, error);
    }
    if (directory.files.length !== count) throw badArchive('its directory is damaged');
    yield* directory.files;
  }
}

/** Where the record at `at` ends, by the lengths in it. */
function recordEnd(bytes: Buffer, at: number, directorySize: number): number {
  const after =
    at + RECORD > directorySize
      ? Infinity
      : at +
        RECORD +
        bytes.readUInt16LE(at + 28) +
        bytes.readUInt16LE(at + 30) +
        bytes.readUInt16LE(at + 32);
  if (after > directorySize) throw badArchive('its directory is damaged');
  return after;
}

/** An end record for a directory of so many records and bytes that begins the file. Source: APPNOTE.TXT 4.3.16. */
function endRecord(count: number, directorySize: number): Buffer {
  const record = Buffer.alloc(END_SIZE);
  record.writeUInt32LE(0x06054b50, 0);
  record.writeUInt16LE(count, 8);
  record.writeUInt16LE(count, 10);
  record.writeUInt32LE(directorySize, 12);
  return record;
}

/** What the flags may say: nothing encrypted, patched or masked. Source: APPNOTE.TXT 4.4.4. */
const ENCRYPTED = 0x2041;
const PATCHED = 0x20;
/** 6.3, the newest there is. Source: APPNOTE.TXT 4.4.3.2. */
const NEWEST_VERSION = 63;
const METHODS: ReadonlySet<number> = new Set([0, 8, 93]);

function check(file: File, nameBytes: Buffer, extraBytes: Buffer, end: ZipEnd): ZipMember {
  const { flags, compressionMethod: method } = file;
  const extra = extraFields(extraBytes);
  const name = memberName(nameBytes, flags, extra);
  const { compressedSize: packed, uncompressedSize: size, offsetToLocalFileHeader: at } = file;
  for (const number of [packed, size, at])
    if (!Number.isSafeInteger(number) || number < 0)
      throw badArchive('a size in it is missing or absurd');
  if ((flags & PATCHED) !== 0) throw badArchive('it holds a patch instead of a file');
  if ((flags & ENCRYPTED) !== 0)
    throw badArchive('it is encrypted', 'Make the archive again without a password.');
  if ((file.versionsNeededToExtract & 0xff) > NEWEST_VERSION)
    throw badArchive('a member of it asks for a newer reader');
  if (!METHODS.has(method))
    throw badArchive(
      `a member of it is compressed by method ${method}`,
      'Make the archive again with deflate, which every reader knows.',
    );
  if (file.diskNumber !== 0 || at + packed > end.directoryAt)
    throw badArchive('a member of it lies outside of it');
  if (method === 0 && packed !== size) throw badArchive('a stored member of it has two sizes');
  const directory = name.endsWith('/');
  const mode = unixMode(file, name, directory);
  if (directory && size !== 0) throw unsafeMember(name, 'it is a folder with content');
  return {
    name,
    nameBytes,
    directory,
    mode,
    flags,
    method,
    crc: file.crc32 >>> 0,
    packed,
    size,
    at,
  };
}

const TYPE = 0o170000;
const REGULAR = 0o100000;
const FOLDER = 0o040000;
const LINK = 0o120000;
const DOS_FOLDER = 0x10;

/** The upper half of the external attributes is a Unix mode when the archive was made on Unix (3) or macOS (19). */
function unixMode(file: File, name: string, directory: boolean): number {
  const mode = file.externalFileAttributes >>> 16;
  const madeOn = file.versionMadeBy >>> 8;
  const type = mode & TYPE;
  if (type === LINK)
    throw unsafeMember(name, 'it is a symbolic link, which zip readers do not agree on');
  if (madeOn !== 3 && madeOn !== 19) {
    if (!directory && (file.externalFileAttributes & DOS_FOLDER) !== 0 && file.uncompressedSize > 0)
      throw unsafeMember(name, 'it is a folder with content');
    return 0o644;
  }
  if (type !== 0 && type !== (directory ? FOLDER : REGULAR))
    throw unsafeMember(
      name,
      directory ? 'it is named like a folder but is none' : 'it is no regular file',
    );
  return mode;
}
