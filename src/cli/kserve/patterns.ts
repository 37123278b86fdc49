/** `STORAGE_ALLOW_PATTERNS` and `STORAGE_IGNORE_PATTERNS`: which files of a folder are wanted. */
import type { FetchOptions } from '../../options.ts';
import type { Env } from '../../registry.ts';

/** Undefined where neither says anything. */
export function patternsFrom(env: Env): FetchOptions['patterns'] {
  const allow = parsePatterns(env['STORAGE_ALLOW_PATTERNS']);
  const ignore = parsePatterns(env['STORAGE_IGNORE_PATTERNS']);
  if (allow.length === 0 && ignore.length === 0) return undefined;
  return { allow, ignore };
}

/** A JSON array, a JSON string, or a list with commas. Source: KServe, `_parse_patterns_from_env`. */
function parsePatterns(text = ''): readonly string[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // `[ab]*.json,*.txt` begins like an array too.
    value = text.split(',');
  }
  return (Array.isArray(value) ? value : [value])
    .map((pattern) => String(pattern).trim())
    .filter((pattern) => pattern !== '');
}
