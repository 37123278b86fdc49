/** Byte for byte: what a client left against what it should have left. */
import {
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readSync,
  readFileSync,
  statSync,
} from 'node:fs';
import { join } from 'node:path';
import { GENERATED, GENERATED_BYTES, generatedKey } from './origin/generated.ts';

/** What should be there: a folder's files, one file (alone, unless leftovers of a killed run may lie beside it), or a generated bucket's. */
export type Expected =
  | { readonly folder: string }
  | { readonly file: string; readonly as: string; readonly amongOthers?: boolean }
  | { readonly generated: string };

/** Throws with the first difference. Files below `.model-fetch` are records of ours, and not looked at. */
export function assertSame(expected: Expected, actual: string): void {
  const there = filesBelow(actual);
  if ('generated' in expected) {
    assertGenerated(GENERATED[expected.generated] ?? 0, actual, there);
    return;
  }
  const pairs =
    'folder' in expected
      ? filesBelow(expected.folder).map((path) => [path, join(expected.folder, path)] as const)
      : [[expected.as, expected.file] as const];
  if (!('amongOthers' in expected)) assertCount(pairs.length, there);
  for (const [path, source] of pairs) assertSameFile(source, join(actual, path), path);
}

function assertGenerated(count: number, actual: string, there: readonly string[]): void {
  assertCount(count, there);
  for (let index = 0; index < count; index += 1) {
    const path = generatedKey(index);
    if (!readFileSync(join(actual, path)).equals(GENERATED_BYTES))
      throw new Error(`${path} has other bytes`);
  }
}

function assertCount(count: number, there: readonly string[]): void {
  if (there.length !== count)
    throw new Error(
      `${there.length} files instead of ${count} (${there.slice(0, 3).join(', ')} …)`,
    );
}

function filesBelow(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((path) => !path.startsWith('.model-fetch') && statSync(join(folder, path)).isFile())
    .sort();
}

const buffers = [Buffer.allocUnsafe(2 ** 20), Buffer.allocUnsafe(2 ** 20)] as const;

function assertSameFile(source: string, copy: string, path: string): void {
  if (!existsSync(copy)) throw new Error(`${path} is missing`);
  const [a, b] = [openSync(source, 'r'), openSync(copy, 'r')];
  try {
    for (let at = 0; ;) {
      const read = [
        readSync(a, buffers[0], 0, 2 ** 20, at),
        readSync(b, buffers[1], 0, 2 ** 20, at),
      ] as const;
      const same = buffers[0].subarray(0, read[0]).equals(buffers[1].subarray(0, read[1]));
      if (!same) throw new Error(`${path} has other bytes near ${at}`);
      if (read[0] === 0) return;
      at += read[0];
    }
  } finally {
    closeSync(a);
    closeSync(b);
  }
}
