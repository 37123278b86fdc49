/** Numbers and colours for people. Pure. */

const BINARY = ['KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
const DECIMAL = ['kB', 'MB', 'GB', 'TB', 'PB'];

/** Bytes with three significant digits or so: `0 B`, `999 B`, `1.5 KiB`, `512 MiB`. Never wider than 8. */
export function formatBytes(bytes: number): string {
  return scaled(bytes, 1024, BINARY);
}

/** Bytes per second, decimal as networks count: `31.5 MB/s`. */
export function formatRate(bytesPerSec: number): string {
  return `${scaled(bytesPerSec, 1000, DECIMAL)}/s`;
}

/** `bytes` in the unit that `formatBytes(like)` has, without it. */
export function formatBytesLike(bytes: number, like: number): string {
  const { divisor } = unitOf(like, 1024, BINARY);
  const value = bytes / divisor;
  return divisor === 1 || like / divisor >= 99.95 ? value.toFixed(0) : value.toFixed(1);
}

function scaled(value: number, base: number, units: readonly string[]): string {
  const { divisor, unit } = unitOf(value, base, units);
  const rest = value / divisor;
  return `${divisor === 1 || rest >= 99.95 ? rest.toFixed(0) : rest.toFixed(1)} ${unit}`;
}

/** The unit in which `value` has at most three digits before the point. */
function unitOf(
  value: number,
  base: number,
  units: readonly string[],
): { divisor: number; unit: string } {
  if (Math.round(value) < 1000) return { divisor: 1, unit: 'B' };
  let power = 1;
  while (value / base ** power >= 999.5 && power < units.length) power++;
  return { divisor: base ** power, unit: units[power - 1]! };
}

/** Seconds as `0.4 s`, `42 s`, `3 min 20 s`, `2 h 5 min`. */
export function formatSeconds(seconds: number): string {
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  const minutes = Math.round(seconds / 60);
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** Seconds as a clock, of steady width in a progress bar: `0:07`, `12:40`, `1:02:03`. */
export function formatClock(seconds: number): string {
  const whole = Math.max(0, Math.ceil(seconds));
  const two = (value: number) => String(value).padStart(2, '0');
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes}:${two(whole % 60)}`;
  return `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(whole % 60)}`;
}

/** `1 file`, `2 files`. */
export function count(number: number, word: string): string {
  return `${number} ${word}${number === 1 ? '' : 's'}`;
}

/** Text without what could move a terminal's cursor or forge a line. */
export function oneLine(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, ' ');
}

/** Rows with their columns aligned; the last one is not padded. */
export function columns(rows: readonly (readonly string[])[], gap = '  '): string[] {
  const widths: number[] = [];
  for (const row of rows)
    row.forEach((cell, at) => (widths[at] = Math.max(widths[at] ?? 0, cell.length)));
  return rows.map((row) =>
    row
      .map((cell, at) => (at === row.length - 1 ? cell : cell.padEnd(widths[at]!)))
      .join(gap)
      .trimEnd(),
  );
}

export type Paint = (text: string) => string;
export type Palette = Readonly<Record<'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'cyan', Paint>>;

/** Colours (ECMA-48 SGR), or none. */
export function palette(color: boolean): Palette {
  const paint =
    (on: number, off: number): Paint =>
    (text) =>
      color && text !== '' ? `\u001b[${on}m${text}\u001b[${off}m` : text;
  return {
    bold: paint(1, 22),
    dim: paint(2, 22),
    red: paint(31, 39),
    green: paint(32, 39),
    yellow: paint(33, 39),
    cyan: paint(36, 39),
  };
}

/** Whether `stream` gets colours: `--no-color` and NO_COLOR say no, FORCE_COLOR yes, else a capable terminal does. */
export function wantsColor(
  isTTY: boolean,
  env: Readonly<Record<string, string | undefined>>,
  noColor: boolean,
): boolean {
  if (noColor || env['NO_COLOR']) return false;
  const force = env['FORCE_COLOR'];
  if (force !== undefined && force !== '') return force !== '0' && force !== 'false';
  return isTTY && env['TERM'] !== 'dumb';
}
