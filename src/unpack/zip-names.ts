/** The names of zip members: UTF-8 where flagged or plainly so, else the code page of the first PCs. APPNOTE.TXT appendix D. */
import { crc32 } from 'node:zlib';
import { badArchive, unsafeMember } from './refuse.ts';

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Code page 437 from 0x80 on. Source: unicode.org, VENDORS/MICSFT/PC/CP437.TXT. */
const CP437 =
  'ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u00a0';

/** The bit of the general purpose flags that says UTF-8. */
const UTF8_FLAG = 0x800;
const UNICODE_PATH = 0x7075;
export const ZIP64 = 0x0001;

/** The extra fields by their id. Throws `BAD_ARCHIVE` where they do not fit, or where one that matters is there twice. */
export function extraFields(extra: Buffer): ReadonlyMap<number, Buffer> {
  const fields = new Map<number, Buffer>();
  for (let at = 0; at < extra.length;) {
    const end = at + 4 <= extra.length ? at + 4 + extra.readUInt16LE(at + 2) : Infinity;
    if (end > extra.length) throw badArchive('an extra field in it is malformed');
    const id = extra.readUInt16LE(at);
    if (fields.has(id) && (id === UNICODE_PATH || id === ZIP64))
      throw badArchive('an extra field in it is there twice');
    fields.set(id, extra.subarray(at + 4, end));
    at = end;
  }
  return fields;
}

/** The name of a member. Throws `UNSAFE_ARCHIVE` where its bytes are not what they claim, or two names disagree. */
export function memberName(
  bytes: Buffer,
  flags: number,
  extra: ReadonlyMap<number, Buffer>,
): string {
  const flagged = (flags & UTF8_FLAG) !== 0;
  const asUtf8 = decode(bytes);
  if (flagged && asUtf8 === undefined)
    throw unsafeMember(bytes.toString('latin1'), 'its name is not UTF-8');
  const name = asUtf8 ?? fromCp437(bytes);
  const unicode = extra.get(UNICODE_PATH);
  if (!unicode) return name;
  const second = unicode.length >= 5 ? decode(unicode.subarray(5)) : undefined;
  // A field made for another name: renamed by a tool that did not know of it.
  if (second === undefined || unicode[0] !== 1 || unicode.readUInt32LE(1) !== crc32(bytes))
    throw unsafeMember(name, 'its second, Unicode name belongs to another');
  if (asUtf8 !== undefined && second !== asUtf8)
    throw unsafeMember(name, 'it has two names that differ');
  return second;
}

/** Unflagged names are tried as UTF-8 as well: macOS and many tools write it without saying so. */
function decode(bytes: Uint8Array): string | undefined {
  try {
    return utf8.decode(bytes);
  } catch {
    return undefined;
  }
}

function fromCp437(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) =>
    byte < 0x80 ? String.fromCharCode(byte) : CP437[byte - 0x80]!,
  ).join('');
}
