/** Reads JSON the way Python's `json` does where JavaScript would lose something: large integers, NaN and infinities. */
import { floatText } from './python.ts';

type Reviver = (key: string, value: unknown, context: { source?: string }) => unknown;
/** The third parameter of a reviver (the text of a number as it was written) is newer than TypeScript's description. */
const parse = JSON.parse as (text: string, reviver?: Reviver) => unknown;

/** Only such a text can hold an integer that is not a safe one. */
const LONG_INTEGER = /(?<![.\d])\d{16,}(?![.\deE])/;
const INTEGER = /^-?\d+$/;
const STRING_OR_CONSTANT = /"(?:[^"\\]|\\.)*"|\bNaN\b|-?\bInfinity\b/g;
const MARK = '\u0000python:';
const CONSTANTS: Readonly<Record<string, number>> = {
  [`${MARK}NaN`]: NaN,
  [`${MARK}Infinity`]: Infinity,
  [`${MARK}-Infinity`]: -Infinity,
};

/**
 * Parses `text`. Integers beyond 2^53 become bigints, as numpy keeps them whole; `NaN`, `Infinity` and `-Infinity` are
 * numbers, for Seldon's own wrapper writes them. Throws `SyntaxError`.
 */
export function parseJson(text: string): unknown {
  const exact = LONG_INTEGER.test(text) ? wholeIntegers : undefined;
  try {
    return parse(text, exact);
  } catch (error) {
    const marked = markConstants(text);
    if (marked === text) throw error;
    return parse(marked, (key, value, context) =>
      typeof value === 'string' && value.startsWith(MARK)
        ? (CONSTANTS[value] ?? value)
        : wholeIntegers(key, value, context),
    );
  }
}

/**
 * The same text with every number as the string numpy makes of it beside strings: `1` is `"1"`, `1.0` is `"1.0"`,
 * a distinction that JavaScript's numbers no longer have.
 */
export function parseNumbersAsText(text: string): unknown {
  return parse(markConstants(text), (_key, value, { source }) => {
    if (typeof value === 'string' && value in CONSTANTS) return floatText(CONSTANTS[value]!);
    if (typeof value !== 'number' || source === undefined) return value;
    return INTEGER.test(source) ? BigInt(source).toString() : floatText(value);
  });
}

function wholeIntegers(_key: string, value: unknown, { source }: { source?: string }): unknown {
  const unsafe = typeof value === 'number' && !Number.isSafeInteger(value);
  return unsafe && source !== undefined && INTEGER.test(source) ? BigInt(source) : value;
}

function markConstants(text: string): string {
  return text.replace(STRING_OR_CONSTANT, (found) =>
    found.startsWith('"') ? found : JSON.stringify(MARK + found),
  );
}
