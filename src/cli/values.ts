/** How the text of a flag or variable becomes a value. Every parser throws `INVALID_OPTION`, naming where the text came from. */
import { ModelFetchError } from '../errors.ts';

/** `text` as given, and `name` as the user knows it: `--timeout` or `MODEL_FETCH_TIMEOUT`. */
export type Parser<T> = (text: string, name: string) => T;

const MILLISECONDS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** `20s`, `500ms`, `1.5h`, `1m30s` in milliseconds. A bare number is refused: too many tools disagree on its unit. */
export const duration: Parser<number> = (text, name) => {
  const trimmed = text.trim();
  if (/^\d+(\.\d+)?$/.test(trimmed))
    throw wrong(
      name,
      text,
      `has no unit`,
      `Write ${trimmed}s, ${trimmed}ms, ${trimmed}m or ${trimmed}h.`,
    );
  if (!/^(\d+(\.\d+)?(ms|s|m|h))+$/.test(trimmed))
    throw wrong(
      name,
      text,
      'is not a duration',
      'Write a number with a unit: 500ms, 20s, 5m, 1h, 1m30s.',
    );
  let total = 0;
  for (const [, amount, unit] of trimmed.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g))
    total += Number(amount) * MILLISECONDS[unit!]!;
  return Math.round(total);
};

const SIZE_UNITS = ['', 'k', 'm', 'g', 't', 'p'];

/** `1048576`, `100M` (decimal), `1Gi` (binary), with `B` or `/s` tolerated behind, in bytes. */
export const bytes: Parser<number> = (text, name) => {
  const match = /^(\d+(?:\.\d+)?)\s*([kmgtp]?)(i?)b?(?:\/s|ps)?$/i.exec(text.trim());
  const power = SIZE_UNITS.indexOf((match?.[2] ?? '').toLowerCase());
  const value = match
    ? Math.round(Number(match[1]) * (match[3] ? 1024 : 1000) ** power)
    : Number.NaN;
  if (!match || (match[3] && power === 0) || !Number.isSafeInteger(value))
    throw wrong(
      name,
      text,
      'is not a number of bytes',
      'Write 1048576, 100M (decimal) or 1Gi (binary).',
    );
  return value;
};

/** A whole number in decimal digits. */
export const whole: Parser<number> = (text, name) => {
  const value = Number(text.trim());
  if (!/^\d+$/.test(text.trim()) || !Number.isSafeInteger(value))
    throw wrong(name, text, 'is not a whole number', 'Write decimal digits, for example 8.');
  return value;
};

const YES = new Set(['true', '1', 'yes', 'on']);
const NO = new Set(['false', '0', 'no', 'off']);

/** `true` or `false`, also as 1/0, yes/no, on/off: what a variable may say about a switch. */
export const yesNo: Parser<boolean> = (text, name) => {
  const word = text.trim().toLowerCase();
  if (YES.has(word)) return true;
  if (NO.has(word)) return false;
  throw wrong(name, text, 'is neither true nor false', 'Write true or false.');
};

/** One of `words`, exactly. */
export function oneOf<const T extends string>(words: readonly T[]): Parser<T> {
  return (text, name) => {
    const found = words.find((word) => word === text.trim());
    if (found === undefined)
      throw wrong(name, text, 'is not one of its values', `Write one of ${words.join(', ')}.`);
    return found;
  };
}

/** A path, or `false` for the word `none`. */
export const pathOrNone: Parser<string | false> = (text) => (text === 'none' ? false : text);

/** The text itself. */
export const asIs: Parser<string> = (text) => text;

/** A variable that holds several values: a JSON array of strings, or a comma list. */
export const list: Parser<readonly string[]> = (text, name) => {
  const trimmed = text.trim();
  if (!trimmed.startsWith('[')) return splitCommas(trimmed);
  let parsed: unknown;
  try {
    parsed = JSON.parse(trimmed);
  } catch {
    // A glob may begin with a bracket too: `[ab]*.json,*.txt`.
    return splitCommas(trimmed);
  }
  if (Array.isArray(parsed) && parsed.every((item) => typeof item === 'string')) return parsed;
  throw wrong(name, text, 'is not an array of strings', 'Write ["a","b"] or a,b.');
};

function splitCommas(text: string): string[] {
  return text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
}

/** `claim=/path`, checked; the comma list of them is what the pvc fetcher reads. */
export const claim: Parser<string> = (text, name) => {
  const at = text.indexOf('=');
  const path = text.slice(at + 1);
  if (at < 1 || !path.startsWith('/'))
    throw wrong(
      name,
      text,
      'is not claim=/path',
      'Write the name of the claim, =, and the absolute path it is mounted at.',
    );
  if (text.includes(','))
    throw wrong(name, text, 'holds a comma', 'Mount the claim at a path without commas.');
  return text;
};

function wrong(name: string, text: string, what: string, hint: string): ModelFetchError {
  return new ModelFetchError('INVALID_OPTION', `${name}: ${JSON.stringify(text)} ${what}`, {
    hint,
  });
}
