/**
 * The fields of tar headers, read to the letter. `tar`'s parser forgives much (a size that is no number becomes 0, a
 * record it cannot read is passed over), and what is forgiven is a file that is silently wrong.
 * Source: POSIX.1-2024 pax, "ustar Interchange Format" and "pax Extended Header".
 */
import { badArchive, unsafeMember } from './refuse.ts';

export const BLOCK = 512;

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Whether every byte is zero. */
export function isZero(bytes: Uint8Array): boolean {
  for (const byte of bytes) if (byte !== 0) return false;
  return true;
}

/** Whether the header's sum is right: of unsigned bytes, its own field counted as spaces. */
export function checksumHolds(header: Uint8Array): boolean {
  const said = /^ *([0-7]{1,8})[ \0]*$/.exec(latin1(header, 148, 8))?.[1];
  if (said === undefined) return false;
  let sum = 8 * 0x20;
  for (let at = 0; at < BLOCK; at++) if (at < 148 || at >= 156) sum += header[at]!;
  return sum === Number.parseInt(said, 8);
}

/** The size field: octal digits, or base 256 with the first bit set. Throws `BAD_ARCHIVE`. */
export function sizeField(header: Uint8Array): number {
  const first = header[124]!;
  if ((first & 0x80) === 0) {
    const text = latin1(header, 124, 12);
    const digits = /^[ \0]*$|^ *([0-7]{1,12})[ \0]*$/.exec(text);
    if (!digits) throw badArchive('a size in it is no number');
    return Number.parseInt(digits[1] ?? '0', 8);
  }
  let size = 0;
  for (let at = 124; at < 136; at++) size = size * 256 + (at === 124 ? first & 0x7f : header[at]!);
  if (first !== 0x80 || !Number.isSafeInteger(size))
    throw badArchive('a size in it is negative or absurd');
  return size;
}

/** The type flag as a character; `0` also where old archives leave it zero. */
export function typeFlag(header: Uint8Array): string {
  return header[156] === 0 ? '0' : String.fromCharCode(header[156]!);
}

/**
 * Whether what stands where POSIX has the prefix of the name is read the same by everybody: it is a prefix in POSIX
 * headers, two times in some of GNU, and nothing in older ones.
 */
export function prefixIsClear(header: Uint8Array): boolean {
  const magic = latin1(header, 257, 8);
  if (magic === 'ustar\u000000') return true;
  const times = /^(?:\0{12}|[0-7]{11}[\0 ]){2}$/;
  const from = magic === 'ustar  \0' && times.test(latin1(header, 345, 24)) ? 369 : 345;
  return isZero(header.subarray(from, 500));
}

/** The name field, for messages only. */
export function shownName(header: Uint8Array): string {
  return Buffer.from(header.subarray(0, 100))
    .toString('utf8')
    .replace(/\0[^]*$/, '');
}

/** What a pax header says that matters here. */
export interface PaxFacts {
  readonly path?: string;
  readonly linkpath?: string;
  readonly size?: number;
}

/**
 * Reads the records of a pax header in place and blanks out, as empty lines, those that nobody needs: `tar` splits
 * records at newlines, so that one hidden in an extended attribute would become a record of its own.
 */
export function paxFacts(records: Buffer, global: boolean): PaxFacts {
  const facts: { path?: string; linkpath?: string; size?: number } = {};
  for (let at = 0; at < records.length;) {
    const length = /^([1-9]\d{0,7}) /.exec(records.toString('latin1', at, at + 9))?.[1];
    const end = at + Number(length ?? 0);
    const equals = records.indexOf('=', at);
    if (
      length === undefined ||
      end > records.length ||
      records[end - 1] !== 0x0a ||
      equals === -1 ||
      equals >= end
    )
      throw badArchive('an extended header in it is malformed');
    const key = records.toString('utf8', at + length.length + 1, equals);
    if (/^GNU\.sparse\.|^SUN\.holesdata$|^SCHILY\.realsize$/.test(key))
      throw badArchive('it holds a sparse file', 'Make the archive again without --sparse.');
    if (key === 'path' || key === 'linkpath' || key === 'size') {
      if (global) throw badArchive(`a global header in it sets ${key} for every member`);
      const value = text(records.subarray(equals + 1, end - 1), key);
      if (key === 'size') facts.size = decimal(value);
      else facts[key] = value;
    } else {
      records.fill(0x0a, at, end);
    }
    at = end;
  }
  return facts;
}

/** The name in a GNU long-name body: up to its zero bytes, after which nothing may follow. */
export function gnuName(body: Uint8Array): string {
  const zero = body.indexOf(0);
  const name = zero === -1 ? body : body.subarray(0, zero);
  if (name.length === 0 || (zero !== -1 && !isZero(body.subarray(zero))))
    throw badArchive('a long name in it is malformed');
  return text(name, 'name');
}

/** What becomes a path: `tar` cuts such a value at a zero byte or a newline, so it must hold neither. */
function text(bytes: Uint8Array, what: string): string {
  let value: string;
  try {
    value = utf8.decode(bytes);
  } catch (error) {
    throw badArchive(
      `a ${what} in it is not UTF-8`,
      'Make the archive again with UTF-8 names.',
      error,
    );
  }
  if (value === '') throw badArchive(`a ${what} in it is empty`);
  if (/[\0\n]/.test(value)) throw unsafeMember(value, `its ${what} holds a zero byte or a newline`);
  return value;
}

function decimal(value: string): number {
  const size = Number(value);
  if (!/^\d{1,16}$/.test(value) || !Number.isSafeInteger(size))
    throw badArchive('a size in it is no number');
  return size;
}

function latin1(bytes: Uint8Array, at: number, length: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + at, length).toString('latin1');
}
