/** The file name in a `Content-Disposition`. Source: RFC 6266, RFC 8187 (`filename*`). */

const PARAMETER = /;\s*([\w!#$%&'*+.^`|~-]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^;]*)/g;

/** The name as the server gave it, `filename*` before `filename`. Untrusted: it may hold anything, `../` included. */
export function dispositionName(value: string | undefined): string | undefined {
  const parameters = new Map<string, string>();
  for (const [, name = '', raw = ''] of (value ?? '').matchAll(PARAMETER))
    if (!parameters.has(name.toLowerCase()))
      parameters.set(name.toLowerCase(), unquoted(raw.trim()));
  const extended = extendedValue(parameters.get('filename*'));
  const plain = parameters.get('filename');
  const found = extended ?? (plain === undefined ? undefined : asUtf8(plain));
  return found === '' ? undefined : found;
}

function unquoted(text: string): string {
  return text.startsWith('"') ? text.slice(1, -1).replace(/\\(.)/g, '$1') : text;
}

/** `UTF-8'en'na%C3%AFve.bin`. */
function extendedValue(text: string | undefined): string | undefined {
  const match = /^([\w-]+)'[^']*'(.*)$/s.exec(text ?? '');
  if (!match) return undefined;
  const charset = match[1]!.toLowerCase();
  const bytes = Buffer.from(
    match[2]!.replace(/%([0-9a-f]{2})/gi, (_, hex: string) =>
      String.fromCharCode(parseInt(hex, 16)),
    ),
    'latin1',
  );
  if (charset === 'utf-8') return bytes.toString('utf8');
  return charset === 'iso-8859-1' ? bytes.toString('latin1') : undefined;
}

/** Node reads header bytes as Latin-1; a name whose bytes are UTF-8 is meant as UTF-8. */
function asUtf8(text: string): string {
  const decoded = Buffer.from(text, 'latin1').toString('utf8');
  return decoded.includes('\uFFFD') ? text : decoded;
}
