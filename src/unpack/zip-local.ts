/** What stands around the content of a zip member: its own header, and what may follow. The directory must agree with both. */
import { badArchive } from './refuse.ts';
import type { Window } from './window.ts';
import { disagree } from './zip-content.ts';
import type { ZipMember } from './zip-directory.ts';
import { extraFields, ZIP64 } from './zip-names.ts';

const LOCAL = 30;
const LOCAL_SIGNATURE = 0x04034b50;
const DESCRIPTOR_FLAG = 0x8;
const DESCRIPTOR_SIGNATURE = 0x08074b50;
/** Encryption, descriptor, patch, UTF-8, masking: what changes how a member is read. */
const FLAGS_THAT_MATTER = 0x2869;
const UNKNOWN = 0xffffffff;

/** Takes the local header, which repeats the directory. Readers differ in which of the two they believe, so they must agree. */
export async function localHeader(member: ZipMember, window: Window): Promise<void> {
  const { name } = member;
  const start = await window.peek(LOCAL);
  if (start.length < LOCAL) throw badArchive('it ends within the header of a member');
  if (start.readUInt32LE(0) !== LOCAL_SIGNATURE) throw disagree(name, 'place');
  const nameEnd = LOCAL + start.readUInt16LE(26);
  const header = await window.take(nameEnd + start.readUInt16LE(28));
  const flags = header.readUInt16LE(6);
  const crc = header.readUInt32LE(14);
  let packed = header.readUInt32LE(18);
  let size = header.readUInt32LE(22);
  if ((flags & FLAGS_THAT_MATTER) !== (member.flags & FLAGS_THAT_MATTER))
    throw disagree(name, 'flags');
  if (header.readUInt16LE(8) !== member.method) throw disagree(name, 'method');
  if (!header.subarray(LOCAL, nameEnd).equals(member.nameBytes)) throw disagree(name, 'name');
  const wide = extraFields(header.subarray(nameEnd)).get(ZIP64);
  if (wide) {
    // Both sizes should be there; some writers give only the one that is needed. Source: APPNOTE.TXT 4.5.3.
    const both = wide.length >= 16;
    if (wide.length < 8 || (!both && size === packed && size === UNKNOWN))
      throw disagree(name, 'size');
    if (size === UNKNOWN) size = Number(wide.readBigUInt64LE(0));
    if (packed === UNKNOWN) packed = Number(wide.readBigUInt64LE(both ? 8 : 0));
  }
  const later = (flags & DESCRIPTOR_FLAG) !== 0;
  const same = (local: number, listed: number): boolean =>
    local === listed || (later && local === 0);
  if (!same(packed, member.packed) || !same(size, member.size)) throw disagree(name, 'size');
  if (!same(crc, member.crc)) throw disagree(name, 'checksum');
}

/** Takes what follows a member whose sizes were unknown when its header was written. Source: APPNOTE.TXT 4.3.9. */
export async function descriptor(member: ZipMember, window: Window): Promise<void> {
  if ((member.flags & DESCRIPTOR_FLAG) === 0) return;
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
  throw disagree(member.name, 'data descriptor');
}
