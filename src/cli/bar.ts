/** The progress line of a terminal. Pure: a snapshot in, one line out that is narrower than the terminal. */
import { count, formatBytes, formatBytesLike, formatClock, formatRate, palette } from './format.ts';
import type { Snapshot } from './progress.ts';

export interface BarStyle {
  /** Columns of the terminal. */
  readonly columns: number;
  readonly color: boolean;
  /** Block characters may be used. */
  readonly unicode: boolean;
  /** Counts frames; turns the spinner that stands where no percentage is known. */
  readonly frame: number;
}

const MOST_CELLS = 28;
const FEWEST_CELLS = 8;
const EIGHTHS = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];
const SPINNER = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
const PLAIN_SPINNER = ['|', '/', '-', '\\'];

/** `▕███▌    ▏  42%  3.1 of 7.4 GiB  412 MB/s  0:11 left  12/57 files`, and fewer parts where there is less room. */
export function renderBar(snapshot: Snapshot, style: BarStyle): string {
  const room = style.columns - 1;
  const parts = partsOf(snapshot);
  const lead =
    snapshot.percent === undefined ? spinner(style) : `${String(snapshot.percent).padStart(3)}%`;
  while (parts.length > 1 && width(lead, parts) > room) parts.pop();
  const text = parts.join('  ');
  const cells = Math.min(MOST_CELLS, room - width(lead, parts) - 3);
  if (snapshot.percent === undefined || cells < FEWEST_CELLS)
    return `${lead}  ${text}`.slice(0, Math.max(0, room));
  return `${drawCells(snapshot, cells, style)} ${lead}  ${text}`;
}

function width(lead: string, parts: readonly string[]): number {
  return lead.length + 2 + parts.join('  ').length;
}

/** The most telling part first: the last ones are dropped on a narrow terminal. */
function partsOf(snapshot: Snapshot): string[] {
  const { bytes, totalBytes, bytesPerSec, etaSec, files, totalFiles } = snapshot;
  if (bytes === 0 && totalFiles === undefined) return ['listing'];
  const rate = (bytesPerSec === undefined ? '' : formatRate(bytesPerSec)).padStart(9);
  return [
    totalBytes === undefined ? formatBytes(bytes).padStart(8) : ofTotal(bytes, totalBytes),
    // All bytes are here: what is left is checking, unpacking and publishing, at no rate that could be told.
    ...(bytes === totalBytes ? ['finishing'] : [rate]),
    ...(etaSec === undefined || bytes === totalBytes ? [] : [`${formatClock(etaSec)} left`]),
    ...(totalFiles === undefined
      ? files > 0
        ? [count(files, 'file')]
        : []
      : [`${files}/${totalFiles} files`]),
  ];
}

/** `3.1 of 7.4 GiB`: both in the unit of the total, so that the line keeps its width. */
function ofTotal(bytes: number, totalBytes: number): string {
  const total = formatBytes(totalBytes);
  return `${formatBytesLike(bytes, totalBytes).padStart(total.indexOf(' '))} of ${total}`;
}

function spinner(style: BarStyle): string {
  const frames = style.unicode ? SPINNER : PLAIN_SPINNER;
  return frames[style.frame % frames.length]!;
}

function drawCells(snapshot: Snapshot, cells: number, style: BarStyle): string {
  const share = Math.min(1, snapshot.bytes / Math.max(1, snapshot.totalBytes ?? 1));
  const paint = palette(style.color);
  if (!style.unicode) {
    const full = Math.floor(share * cells);
    return `[${'#'.repeat(full)}${'.'.repeat(cells - full)}]`;
  }
  const eighths = Math.floor(share * cells * 8);
  const filled = '█'.repeat(Math.floor(eighths / 8)) + EIGHTHS[eighths % 8]!;
  return `▕${paint.cyan(filled)}${' '.repeat(cells - filled.length)}▏`;
}
