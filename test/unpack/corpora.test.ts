import assert from 'node:assert/strict';
import fs from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { ModelFetchError } from '../../src/errors.ts';
import { archiveFormat } from '../../src/unpack/format.ts';
import { outcome, type Found } from './harness.ts';

const corpora = join(import.meta.dirname, '../../../shared/corpora/archives');
const missing = fs.existsSync(corpora) ? false : 'the corpora are not here';

/**
 * What comes of the archives that other implementations are tested with: the names of the tree, or the code of the refusal,
 * or `-` for what is no archive of ours. Where strict readers disagree, a refusal is right.
 */
const EXPECTED: Readonly<Record<string, string>> = JSON.parse(
  fs.readFileSync(join(import.meta.dirname, 'corpora.json'), 'utf8'),
);

describe('archives from other projects', { skip: missing }, () => {
  const names = missing
    ? []
    : fs.readdirSync(corpora, { recursive: true, encoding: 'utf8' }).sort();
  const files = names.filter((name) => fs.statSync(join(corpora, name)).isFile());

  for (const name of files)
    it(name.slice(0, 90), async () => {
      const bytes = fs.readFileSync(join(corpora, name));
      for (const step of [65_536, 333])
        assert.equal(await resultOf(name, bytes, step), EXPECTED[name]);
    });

  it('every expectation has its archive', () => {
    assert.deepEqual(Object.keys(EXPECTED).sort(), [...files].sort());
  });
});

async function resultOf(name: string, bytes: Buffer, step: number): Promise<string> {
  try {
    const format = archiveFormat(name, bytes.subarray(0, 1024));
    if (!format) return '-';
    const { tree, error } = await outcome(bytes, { format, step });
    if (tree) return summary(tree);
    throw error as Error;
  } catch (error) {
    if (!(error instanceof ModelFetchError)) throw error;
    return error.code;
  }
}

/** Files with their length, folders and links: enough to tell one tree from another, without their contents. */
function summary(tree: Found): string {
  const parts = Object.keys(tree)
    .sort()
    .map((path) => {
      const found = tree[path]!;
      return found === '/'
        ? `${path}/`
        : found.startsWith('->')
          ? `${path}${found}`
          : `${path}:${found.length}`;
    });
  return parts.length > 12
    ? `${parts.slice(0, 12).join(' ')} and ${parts.length - 12} more`
    : parts.join(' ');
}
