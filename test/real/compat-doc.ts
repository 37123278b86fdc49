/** The table of `docs/compat.md`, rendered from the one that the comparison uses. */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { EXPLANATIONS } from './differences.ts';

const DOCUMENT = fileURLToPath(new URL('../../docs/compat.md', import.meta.url));
const BEGIN =
  '<!-- differences: written by `node test/real/compat-doc.ts`, from test/real/differences.ts -->';
const END = '<!-- end of differences -->';

/** The document as it should be. */
export function renderedDocument(): string {
  const text = currentDocument();
  const [before, rest] = [text.split(BEGIN)[0], text.split(END)[1]];
  if (before === undefined || rest === undefined)
    throw new Error('docs/compat.md has lost the marks of its table');
  return `${before}${BEGIN}\n\n${table()}\n\n${END}${rest}`;
}

export function currentDocument(): string {
  return readFileSync(DOCUMENT, 'utf8');
}

function table(): string {
  const cell = (text: string): string => text.replaceAll('|', '\\|');
  const rows = EXPLANATIONS.map(({ name, schemes, kserve, ours, reason, compat }) =>
    [name, schemes.map((one) => `\`${one}://\``).join(' '), kserve, ours, reason, compat].map(cell),
  );
  const lines = [
    ['difference', 'schemes', 'KServe', 'model-fetch', 'why', '`--compat kserve`'],
    Array(6).fill('---'),
    ...rows,
  ];
  return lines.map((line) => `| ${line.join(' | ')} |`).join('\n');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(DOCUMENT, renderedDocument());
