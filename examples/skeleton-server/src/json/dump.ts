/** Writes JSON the way Flask does: keys sorted, nothing but ASCII, no spaces. */

const NOT_PLAIN_ASCII = /[^\x20-\x7e]/;
const EVERY_NOT_PLAIN_ASCII = /[^\x20-\x7e]/g;

/** What becomes of NaN and infinities: Python writes them as they are, which is not JSON; `null` is. */
export type NonFinite = 'raw' | 'null';

/** The text of `value`. Members that are `undefined` or functions are left out, typed arrays are arrays. */
export function dump(value: unknown, nonFinite: NonFinite = 'raw'): string {
  switch (typeof value) {
    case 'string':
      return text(value);
    case 'number':
      return Number.isFinite(value) || nonFinite === 'raw' ? String(value) : 'null';
    case 'bigint':
    case 'boolean':
      return String(value);
    case 'object':
      return value === null ? 'null' : dumpObject(value, nonFinite);
    default:
      return 'null';
  }
}

function dumpObject(value: object, nonFinite: NonFinite): string {
  if (Array.isArray(value)) return `[${value.map((one) => dump(one, nonFinite)).join(',')}]`;
  if (ArrayBuffer.isView(value) && !(value instanceof DataView))
    return `[${Array.from(value as Uint8Array, (one) => dump(one, nonFinite)).join(',')}]`;
  if ('toJSON' in value && typeof value.toJSON === 'function')
    return dump((value.toJSON as () => unknown)(), nonFinite);
  const record = value as Record<string, unknown>;
  const members: string[] = [];
  for (const key of Object.keys(record).sort()) {
    const member = record[key];
    if (member === undefined || typeof member === 'function') continue;
    members.push(`${text(key)}:${dump(member, nonFinite)}`);
  }
  return `{${members.join(',')}}`;
}

function text(value: string): string {
  const quoted = JSON.stringify(value);
  if (!NOT_PLAIN_ASCII.test(quoted)) return quoted;
  return quoted.replace(
    EVERY_NOT_PLAIN_ASCII,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
