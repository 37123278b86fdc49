/** Reads a zip: the directory says what is there, the local headers must say the same, and members lie side by side. */
import zlib from 'node:zlib';
import { decompress, inflateRaw } from './decompress.ts';
import type { Budget } from './limits.ts';
import { badArchive } from './refuse.ts';
import type { Tree } from './tree.ts';
import { Window } from './window.ts';
import { zipDirectory, type ZipMember } from './zip-directory.ts';
import type { Read } from './zip-end.ts';
import { extraFields, ZIP64 } from './zip-names.ts';

/** Smaller members are inflated in one go, which is much cheaper than a stream for each. */
const SMALL = 1024 * 1024;

/**
 * Puts the members of a zip into `tree`. They are read in the order in which they lie, once, in pieces; from the first byte
 * to the directory every byte must belong to exactly one of them. Throws `BAD_ARCHIVE`, `UNSAFE_ARCHIVE`, `LIMIT_EXCEEDED`.
 */
export async function unpackZip(
  read: Read,
  size: number,
  tree: Tree,
  budget: Budget,
): Promise<void> {
  const { members, end } = await zipDirectory(read, size, budget);
  budget.read(size);
  for (const member of members) {
    budget.member(member.size);
    budget.inflated(member.size);
  }
  const window = new Window(read, 0, end);
  for (const member of members) {
    if (member.at !== window.position)
      throw badArchive(
        member.at < window.position
          ? 'members of it overlap'
          : 'there is something between its members',
      );
    await localHeader(member, window);
    await content(member, window, tree);
    if ((member.flags & DESCRIPTOR_FLAG) !== 0) await descriptor(member, window);
  }
  if (window.position !== end)
    throw badArchive('there is something between its members and its directory');
}

const LOCAL = 30;
const LOCAL_SIGNATURE = 0x04034b50;
const DESCRIPTOR_FLAG = 0x8;
const DESCRIPTOR_SIGNATURE = 0x08074b50;
/** Encryption, descriptor, patch, UTF-8, masking: what changes how a member is read. */
const FLAGS_THAT_MATTER = 0x2869;
const UNKNOWN = 0xffffffff;

/** The local header repeats the directory. Readers differ in which of the two they believe, so they must agree. */
async function localHeader(member: ZipMember, window: Window): Promise<void> {
  const fixed = await window.take(LOCAL);
  if (fixed.readUInt32LE(0) !== LOCAL_SIGNATURE) throw disagree(member, 'place');
  const flags = fixed.readUInt16LE(6);
  const crc = fixed.readUInt32LE(14);
  let packed = fixed.readUInt32LE(18);
  let size = fixed.readUInt32LE(22);
  if ((flags & FLAGS_THAT_MATTER) !== (member.flags & FLAGS_THAT_MATTER))
    throw disagree(member, 'flags');
  if (fixed.readUInt16LE(8) !== member.method) throw disagree(member, 'method');

  const name = Buffer.from(await window.take(fixed.readUInt16LE(26)));
  if (!name.equals(member.nameBytes)) throw disagree(member, 'name');
  const wide = extraFields(await window.take(fixed.readUInt16LE(28))).get(ZIP64);
  if (wide) {
    // Both sizes should be there; some writers give only the one that is needed. Source: APPNOTE.TXT 4.5.3.
    const both = wide.length >= 16;
    if (wide.length < 8 || (!both && size === packed && size === UNKNOWN))
      throw disagree(member, 'size');
    if (size === UNKNOWN) size = Number(wide.readBigUInt64LE(0));
    if (packed === UNKNOWN) packed = Number(wide.readBigUInt64LE(both ? 8 : 0));
  }
  const later = (flags & DESCRIPTOR_FLAG) !== 0;
  const same = (local: number, listed: number): boolean =>
    local === listed || (later && local === 0);
  if (!same(packed, member.packed) || !same(size, member.size)) throw disagree(member, 'size');
  if (!same(crc, member.crc)) throw disagree(member, 'checksum');
}

async function content(member: ZipMember, window: Window, tree: Tree): Promise<void> {
  const path = tree.place(member.directory ? member.name.slice(0, -1) : member.name);
  const write = path !== undefined && !member.directory;
  if (path !== undefined && member.directory) tree.directory(path);
  if (write) tree.openFile(path, member.mode);
  let size = 0;
  let crc = 0;
  for await (const piece of plain(member, window)) {
    size += piece.length;
    // Stopped at once: a member that inflates to more than it declares may be a bomb.
    if (size > member.size) throw disagree(member, 'size');
    crc = zlib.crc32(piece, crc);
    if (write) tree.write(piece);
  }
  if (size !== member.size) throw disagree(member, 'size');
  if (crc !== member.crc)
    throw badArchive(`the content of ${JSON.stringify(member.name)} is damaged`);
  if (write) tree.closeFile();
}

/** The content of a member, uncompressed. All of its packed bytes are used up, and not one more. */
async function* plain(member: ZipMember, window: Window): AsyncGenerator<Uint8Array> {
  if (member.method === 8 && member.packed <= SMALL && member.size <= SMALL) {
    yield inflateSmall(member, await window.take(member.packed));
    return;
  }
  const packed = window.through(member.packed);
  if (member.method === 0) yield* packed;
  else if (member.method === 8) yield* inflateRaw(packed);
  else yield* decompress(packed, 'zst');
}

function inflateSmall(member: ZipMember, packed: Buffer): Buffer {
  let result: { buffer: Buffer; engine: { bytesWritten: number } };
  try {
    // With `info` the answer is another than the types say.
    result = zlib.inflateRawSync(packed, {
      info: true,
      maxOutputLength: member.size + 1,
    }) as unknown as typeof result;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE')
      throw disagree(member, 'size', error);
    throw badArchive(`the content of ${JSON.stringify(member.name)} is damaged`, undefined, error);
  }
  if (result.engine.bytesWritten !== packed.length) throw disagree(member, 'size');
  return result.buffer;
}

/** What follows a member whose sizes were unknown when its header was written. Source: APPNOTE.TXT 4.3.9. */
async function descriptor(member: ZipMember, window: Window): Promise<void> {
  const bytes = Buffer.alloc(24);
  bytes.writeUInt32LE(DESCRIPTOR_SIGNATURE, 0);
  bytes.writeUInt32LE(member.crc, 4);
  const narrow = Buffer.from(bytes.subarray(0, 16));
  narrow.writeUInt32LE(member.packed % 2 ** 32, 8);
  narrow.writeUInt32LE(member.size % 2 ** 32, 12);
  bytes.writeBigUInt64LE(BigInt(member.packed), 8);
  bytes.writeBigUInt64LE(BigInt(member.size), 16);
  // With or without its signature, in 32 or 64 bits: the form is only known by what follows it.
  for (const form of [bytes, narrow, bytes.subarray(4), narrow.subarray(4)]) {
    const ahead = await window.peek(form.length + 4);
    const whole = ahead.length >= form.length && ahead.subarray(0, form.length).equals(form);
    if (!whole) continue;
    const next = ahead.subarray(form.length);
    if (next.length === 0 || (next.length === 4 && next.readUInt32LE(0) === LOCAL_SIGNATURE)) {
      await window.take(form.length);
      return;
    }
  }
  throw disagree(member, 'data descriptor');
}

function disagree(member: ZipMember, what: string, cause?: unknown): Error {
  return badArchive(
    `${JSON.stringify(member.name)} has one ${what} in its directory and another in itself`,
    undefined,
    cause,
  );
}
