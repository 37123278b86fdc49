/** Archives made in code, good and hostile: every field can be set to what no honest tool would write. */
import { crc32, deflateRawSync } from 'node:zlib';

const BLOCK = 512;

/** A tar member. What is not given is what GNU tar would write. */
export interface TarMember {
  readonly name: string | Buffer;
  readonly content?: string | Buffer;
  readonly type?: string;
  readonly mode?: number;
  readonly link?: string;
  readonly prefix?: string;
  /** Written as it is, instead of the length of the content in octal. */
  readonly size?: number | Buffer;
  /** `ustar` unless said otherwise; empty for an archive from before 1988. */
  readonly magic?: string;
  /** Changed after everything else, before the checksum. */
  readonly spoil?: (header: Buffer) => void;
  /** A checksum that does not hold. */
  readonly badChecksum?: boolean;
}

/** Header and padded content of one member. */
export function tarMember(member: TarMember): Buffer {
  const content = Buffer.from(member.content ?? '');
  const header = Buffer.alloc(BLOCK);
  Buffer.from(member.name).copy(header, 0, 0, 100);
  header.write(octal(member.mode ?? 0o644, 8), 100, 'latin1');
  header.write(octal(1000, 8), 108, 'latin1');
  header.write(octal(1000, 8), 116, 'latin1');
  const size = member.size ?? content.length;
  if (Buffer.isBuffer(size)) size.copy(header, 124, 0, 12);
  else header.write(octal(size, 12), 124, 'latin1');
  header.write(octal(1_700_000_000, 12), 136, 'latin1');
  header.write(member.type ?? '0', 156, 'latin1');
  header.write(member.link ?? '', 157, 100, 'utf8');
  header.write(member.magic ?? 'ustar\u000000', 257, 'latin1');
  header.write(member.prefix ?? '', 345, 155, 'utf8');
  member.spoil?.(header);
  header.write('        ', 148, 'latin1');
  const sum = header.reduce((total, byte) => total + byte, member.badChecksum ? 1 : 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return Buffer.concat([header, padded(content)]);
}

/** A whole tar: members, then two zero blocks. */
export function tar(...members: readonly (TarMember | Buffer)[]): Buffer {
  return Buffer.concat([
    ...members.map((one) => (Buffer.isBuffer(one) ? one : tarMember(one))),
    TAR_END,
  ]);
}

export const TAR_END = Buffer.alloc(2 * BLOCK);

/** `length key=value\n`, the length counting itself. */
export function paxRecord(key: string, value: string | Buffer): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${key}=`), Buffer.from(value), Buffer.from('\n')]);
  let length = rest.length + 1;
  while (String(length).length + rest.length !== length)
    length = String(length).length + rest.length;
  return Buffer.concat([Buffer.from(String(length)), rest]);
}

/** An extended header that says what its records say about the member after it, or, `g`, about all. */
export function pax(
  records: Readonly<Record<string, string | Buffer>> | Buffer,
  type: 'x' | 'g' = 'x',
): Buffer {
  const content = Buffer.isBuffer(records)
    ? records
    : Buffer.concat(Object.entries(records).map(([key, value]) => paxRecord(key, value)));
  return tarMember({ name: 'PaxHeaders/x', type, content });
}

/** GNU's long name (`L`) or long link target (`K`) for the member after it. */
export function gnuLong(text: string | Buffer, type: 'L' | 'K' = 'L'): Buffer {
  return tarMember({
    name: '././@LongLink',
    type,
    magic: 'ustar  \0',
    content: Buffer.concat([Buffer.from(text), Buffer.alloc(1)]),
  });
}

export function directory(name: string): TarMember {
  return { name, type: '5', mode: 0o755 };
}

export function symlink(name: string, link: string): TarMember {
  return { name, type: '2', link, mode: 0o777 };
}

export function hardlink(name: string, link: string): TarMember {
  return { name, type: '1', link };
}

function octal(value: number, width: number): string {
  return `${Math.trunc(value)
    .toString(8)
    .padStart(width - 1, '0')}\0`;
}

function padded(content: Buffer): Buffer {
  return Buffer.concat([content, Buffer.alloc((BLOCK - (content.length % BLOCK)) % BLOCK)]);
}

/** One of the two headers of a zip member, as far as it differs from what is true. */
export interface ZipFields {
  readonly name?: string | Buffer;
  readonly flags?: number;
  readonly method?: number;
  readonly crc?: number;
  readonly packed?: number;
  readonly size?: number;
  readonly extra?: Buffer;
}

/** A zip member. What is not given is what Info-ZIP would write on Unix. */
export interface ZipMember extends ZipFields {
  readonly name: string | Buffer;
  readonly content?: string | Buffer;
  /** The bytes as they stand in the archive, instead of the content deflated. */
  readonly raw?: Buffer;
  readonly attributes?: number;
  readonly madeBy?: number;
  readonly local?: ZipFields;
  readonly central?: ZipFields & { readonly at?: number; readonly disk?: number };
  /** After the content: `false` for none although the flags announce one. */
  readonly descriptor?: Buffer | false;
  /** Left out of the directory, or of the archive. */
  readonly only?: 'local' | 'central';
}

export interface ZipOptions {
  readonly comment?: Buffer;
  readonly zip64?: boolean;
  /** Changes the end records, after everything else. */
  readonly spoil?: (zip: Buffer, end: number) => void;
  readonly before?: Buffer;
  readonly between?: Buffer;
  readonly after?: Buffer;
  readonly count?: number;
}

export const DESCRIPTOR = 0x8;
export const UTF8 = 0x800;
const UNIX = 0x031e;

/** A whole zip. */
export function zip(members: readonly ZipMember[], options: ZipOptions = {}): Buffer {
  const parts: Buffer[] = [];
  const records: Buffer[] = [];
  let at = 0;
  const add = (part: Buffer): void => {
    parts.push(part);
    at += part.length;
  };
  for (const member of members) {
    const truth = facts(member);
    const start = at;
    if (member.only !== 'central') {
      add(localHeader({ ...truth, ...defined(member), ...member.local }));
      add(truth.raw);
      if (((member.flags ?? 0) & DESCRIPTOR) !== 0 && member.descriptor !== false)
        add(member.descriptor ?? descriptor(truth));
      if (options.between) add(options.between);
    }
    if (member.only !== 'local')
      records.push(
        centralHeader({ ...truth, ...defined(member), at: start, ...member.central }, member),
      );
  }
  const directoryAt = at;
  const central = Buffer.concat(records);
  const end = endRecords(options, options.count ?? records.length, central.length, directoryAt);
  const whole = Buffer.concat([
    options.before ?? Buffer.alloc(0),
    ...parts,
    central,
    end,
    options.comment ?? Buffer.alloc(0),
    options.after ?? Buffer.alloc(0),
  ]);
  const endAt = whole.length - 22 - (options.comment?.length ?? 0) - (options.after?.length ?? 0);
  options.spoil?.(whole, endAt);
  return whole;
}

interface Facts {
  readonly name: string | Buffer;
  readonly flags: number;
  readonly method: number;
  readonly crc: number;
  readonly packed: number;
  readonly size: number;
  readonly extra: Buffer;
  readonly raw: Buffer;
}

function facts(member: ZipMember): Facts {
  const content = Buffer.from(member.content ?? '');
  const method = member.method ?? (content.length > 0 ? 8 : 0);
  const raw = member.raw ?? (method === 8 ? deflateRawSync(content) : content);
  return {
    name: member.name,
    flags: 0,
    method,
    crc: crc32(content),
    packed: raw.length,
    size: content.length,
    extra: Buffer.alloc(0),
    raw,
  };
}

function defined(member: ZipMember): Partial<Facts> {
  const { flags, crc, packed, size, extra } = member;
  return {
    ...(flags !== undefined && { flags }),
    ...(crc !== undefined && { crc }),
    ...(packed !== undefined && { packed }),
    ...(size !== undefined && { size }),
    ...(extra !== undefined && { extra }),
  };
}

function localHeader(fields: Facts): Buffer {
  const name = Buffer.from(fields.name);
  const fixed = Buffer.alloc(30);
  fixed.writeUInt32LE(0x04034b50, 0);
  fixed.writeUInt16LE(20, 4);
  fixed.writeUInt16LE(fields.flags, 6);
  fixed.writeUInt16LE(fields.method, 8);
  fixed.writeUInt32LE(fields.crc, 14);
  fixed.writeUInt32LE(fields.packed, 18);
  fixed.writeUInt32LE(fields.size, 22);
  fixed.writeUInt16LE(name.length, 26);
  fixed.writeUInt16LE(fields.extra.length, 28);
  return Buffer.concat([fixed, name, fields.extra]);
}

function centralHeader(fields: Facts & { at: number; disk?: number }, member: ZipMember): Buffer {
  const name = Buffer.from(fields.name);
  const fixed = Buffer.alloc(46);
  const folder = name.at(-1) === 0x2f;
  fixed.writeUInt32LE(0x02014b50, 0);
  fixed.writeUInt16LE(member.madeBy ?? UNIX, 4);
  fixed.writeUInt16LE(20, 6);
  fixed.writeUInt16LE(fields.flags, 8);
  fixed.writeUInt16LE(fields.method, 10);
  fixed.writeUInt32LE(fields.crc, 16);
  fixed.writeUInt32LE(fields.packed, 20);
  fixed.writeUInt32LE(fields.size, 24);
  fixed.writeUInt16LE(name.length, 28);
  fixed.writeUInt16LE(fields.extra.length, 30);
  fixed.writeUInt16LE(fields.disk ?? 0, 34);
  fixed.writeUInt32LE(member.attributes ?? ((folder ? 0o40755 : 0o100644) << 16) >>> 0, 38);
  fixed.writeUInt32LE(fields.at, 42);
  return Buffer.concat([fixed, name, fields.extra]);
}

/** Four numbers after a member: signature, CRC, packed size, size; `wide` for zip64. */
export function descriptor(
  of: { readonly crc: number; readonly packed: number; readonly size: number },
  form: { readonly signature?: boolean; readonly wide?: boolean } = {},
): Buffer {
  const sizes = Buffer.alloc(form.wide ? 16 : 8);
  if (form.wide) {
    sizes.writeBigUInt64LE(BigInt(of.packed), 0);
    sizes.writeBigUInt64LE(BigInt(of.size), 8);
  } else {
    sizes.writeUInt32LE(of.packed, 0);
    sizes.writeUInt32LE(of.size, 4);
  }
  const head = Buffer.alloc(8);
  head.writeUInt32LE(0x08074b50, 0);
  head.writeUInt32LE(of.crc, 4);
  return Buffer.concat([form.signature === false ? head.subarray(4) : head, sizes]);
}

/** An extra field. */
export function extra(id: number, content: Buffer): Buffer {
  const head = Buffer.alloc(4);
  head.writeUInt16LE(id, 0);
  head.writeUInt16LE(content.length, 2);
  return Buffer.concat([head, content]);
}

/** The zip64 extra field with these numbers. */
export function zip64Extra(...numbers: readonly number[]): Buffer {
  const content = Buffer.alloc(numbers.length * 8);
  for (const [index, number] of numbers.entries())
    content.writeBigUInt64LE(BigInt(number), index * 8);
  return extra(0x0001, content);
}

function endRecords(options: ZipOptions, count: number, size: number, at: number): Buffer {
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(options.zip64 ? 0xffff : count, 8);
  end.writeUInt16LE(options.zip64 ? 0xffff : count, 10);
  end.writeUInt32LE(options.zip64 ? 0xffffffff : size, 12);
  end.writeUInt32LE(options.zip64 ? 0xffffffff : at, 16);
  end.writeUInt16LE(options.comment?.length ?? 0, 20);
  if (!options.zip64) return end;
  const wide = Buffer.alloc(76);
  wide.writeUInt32LE(0x06064b50, 0);
  wide.writeBigUInt64LE(44n, 4);
  wide.writeUInt16LE(45, 12);
  wide.writeUInt16LE(45, 14);
  wide.writeBigUInt64LE(BigInt(count), 24);
  wide.writeBigUInt64LE(BigInt(count), 32);
  wide.writeBigUInt64LE(BigInt(size), 40);
  wide.writeBigUInt64LE(BigInt(at), 48);
  wide.writeUInt32LE(0x07064b50, 56);
  wide.writeBigUInt64LE(BigInt(at + size), 64);
  wide.writeUInt32LE(1, 72);
  return Buffer.concat([wide, end]);
}
