/** Shell patterns as Python's `fnmatch` has them: `*` and `?` match slashes and leading dots too. */

type Token =
  { readonly kind: 'star' } | { readonly kind: 'one'; readonly fits: (char: string) => boolean };

const STAR: Token = { kind: 'star' };

/** A test of whole paths against `pattern`, case and all. `*`, `?`, `[abc]`, `[a-z]`, `[!abc]`; a `[` that is never closed is itself. */
export function fnmatch(pattern: string): (path: string) => boolean {
  const tokens = compile(Array.from(pattern));
  return (path) => matches(tokens, Array.from(path));
}

function compile(chars: readonly string[]): Token[] {
  const tokens: Token[] = [];
  for (let at = 0; at < chars.length; at++) {
    const char = chars[at]!;
    const end = char === '[' ? closing(chars, at + 1) : undefined;
    if (char === '*') tokens.push(STAR);
    else if (char === '?') tokens.push({ kind: 'one', fits: () => true });
    else if (end !== undefined) {
      tokens.push({ kind: 'one', fits: oneOf(chars.slice(at + 1, end)) });
      at = end;
    } else tokens.push({ kind: 'one', fits: (other) => other === char });
  }
  return tokens;
}

/** Where the set that begins at `start` ends: its first character may be a bracket. */
function closing(chars: readonly string[], start: number): number | undefined {
  const first = chars[start] === '!' ? start + 1 : start;
  const end = chars.indexOf(']', first + 1);
  return end === -1 ? undefined : end;
}

function oneOf(set: readonly string[]): (char: string) => boolean {
  const negated = set[0] === '!';
  const chars = negated ? set.slice(1) : set;
  const ranges: (readonly [low: number, high: number])[] = [];
  for (let at = 0; at < chars.length; at++) {
    const low = chars[at]!.codePointAt(0)!;
    const isRange = chars[at + 1] === '-' && at + 2 < chars.length;
    const high = isRange ? chars[at + 2]!.codePointAt(0)! : low;
    ranges.push([low, high]);
    if (isRange) at += 2;
  }
  return (char) => {
    const code = char.codePointAt(0)!;
    return ranges.some(([low, high]) => low <= code && code <= high) !== negated;
  };
}

/** Only the last star is ever tried again, so that no pattern takes longer than its length times the path's. */
function matches(tokens: readonly Token[], chars: readonly string[]): boolean {
  let token = 0;
  let char = 0;
  let star = -1;
  let resume = 0;
  while (char < chars.length) {
    const now = tokens[token];
    if (now?.kind === 'one' && now.fits(chars[char]!)) {
      token++;
      char++;
    } else if (now?.kind === 'star') {
      star = token++;
      resume = char;
    } else if (star !== -1) {
      token = star + 1;
      char = ++resume;
    } else return false;
  }
  return tokens.slice(token).every((rest) => rest.kind === 'star');
}
