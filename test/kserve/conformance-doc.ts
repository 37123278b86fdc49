/** The list of behaviours in `docs/compat.md`, made of the names of the test cases: neither can be changed alone. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

const DOCUMENT = join(import.meta.dirname, '../../docs/compat.md');
const noted = new Map<string, string[]>();

/** One more case, under its title. Answers its name. */
export function noteCase(title: string, name: string): string {
  noted.set(title, [...(noted.get(title) ?? []), name]);
  return name;
}

/** Last in a file of cases: what it noted is what the document lists between the marks of `part`. `--write` writes it. */
export function testDocument(part: string): void {
  const own = new Map(noted);
  test('docs/compat.md lists these cases', () => {
    const [begin, end] = [`<!-- cases: ${part} -->`, `<!-- end of cases: ${part} -->`];
    const text = readFileSync(DOCUMENT, 'utf8');
    const [before, rest] = [text.split(begin)[0]!, text.split(end)[1]];
    assert.ok(rest !== undefined, `docs/compat.md has lost ${begin}`);
    const lines = [...own].map(
      ([title, names]) => `- **${title}**: ${names.map(shown).join('; ')}.`,
    );
    const whole = `${before}${begin}\n\n${lines.join('\n')}\n\n${end}${rest}`;
    if (process.argv.includes('--write')) writeFileSync(DOCUMENT, whole);
    else assert.equal(text, whole, 'run the test file with --write');
  });
}

/** Names hold what Markdown would read as its own. */
const shown = (name: string): string =>
  /[*_#<>{}?.\/=]/.test(name) ? `\`${name.replaceAll('`', '')}\`` : name;
