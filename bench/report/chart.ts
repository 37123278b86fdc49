/** One picture: for every workload, how long each client took in multiples of ours. */
import type { Sheet } from '../workload.ts';
import { rowsOf } from './statistics.ts';

const BAR = 14;
const GAP = 10;
const LEFT = 250;
const WIDTH = 900;
/** Longer bars are broken off and say their number. */
const MOST = 8;

/** An SVG without scripts, fonts or anything to fetch. */
export function chartOf(sheets: readonly Sheet[]): string {
  const parts: string[] = [];
  let y = 50;
  for (const sheet of sheets) {
    const rows = rowsOf(sheet).filter((row) => row.ratio !== undefined);
    // A comparison of one is none.
    if (rows.length < 2 || sheet.workload.id.startsWith('j-')) continue;
    parts.push(
      text(10, y + 11, `${sheet.workload.id}, ${sheet.mode}: ${sheet.workload.title}`, 'bold'),
    );
    y += BAR + 6;
    rows.forEach((row, index) => {
      parts.push(bar(row.name, row.ratio!, y, index === 0));
      y += BAR + 2;
    });
    y += GAP;
  }
  const one = LEFT + (WIDTH - LEFT - 60) / MOST;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${y}" font-family="sans-serif" font-size="11">`,
    `<rect width="${WIDTH}" height="${y}" fill="#fff"/>`,
    text(10, 20, 'Wall time in multiples of model-fetch (shorter is faster)', 'bold'),
    `<line x1="${one}" y1="40" x2="${one}" y2="${y}" stroke="#bbb" stroke-dasharray="3 3"/>`,
    ...parts,
    '</svg>\n',
  ].join('\n');
}

function bar(name: string, ratio: number, y: number, ours: boolean): string {
  const length = ((WIDTH - LEFT - 60) * Math.min(ratio, MOST)) / MOST;
  const broken = ratio > MOST ? ' >>' : '';
  return [
    text(LEFT - 8, y + 11, name, 'normal', 'end'),
    `<rect x="${LEFT}" y="${y}" width="${length.toFixed(1)}" height="${BAR}" fill="${ours ? '#1a6e8e' : '#b8c4cc'}"/>`,
    text(LEFT + length + 5, y + 11, `${ratio.toFixed(2)}${broken}`),
  ].join('');
}

function text(x: number, y: number, content: string, weight = 'normal', anchor = 'start'): string {
  const safe = content.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" font-weight="${weight}" text-anchor="${anchor}">${safe}</text>`;
}
