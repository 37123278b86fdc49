/** Two models that share some names and differ in everything else: each file's content names its model. */
import { createHash } from 'node:crypto';

export type ModelName = 'old' | 'new';

/** Path to content. Sizes from empty to two megabytes; a folder of one is a file of the other. */
export function model(name: ModelName): Map<string, Buffer> {
  const files = new Map<string, Buffer>();
  const add = (path: string, bytes: number): void => {
    files.set(path, content(name, path, bytes));
  };
  for (let i = 0; i < 8; i++) add(`weights-${String(i)}.bin`, 64 * 1024 * (i + 1));
  add('config.json', 300);
  add('tokenizer/vocab.txt', 40_000);
  add('tokenizer/merges.txt', 20_000);
  add('big.bin', 2_000_000);
  add('empty', 0);
  if (name === 'old') {
    add('only-old/deep/a.bin', 5_000);
    add('only-old/b.bin', 5_000);
    add('turns/into-a-file', 100);
  } else {
    add('only-new/deep/c.bin', 5_000);
    add('only-new/d.bin', 5_000);
    add('turns', 100);
  }
  return files;
}

function content(name: ModelName, path: string, bytes: number): Buffer {
  const block = createHash('sha512').update(`${name} ${path}`).digest();
  return Buffer.alloc(bytes, block);
}
