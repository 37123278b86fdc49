/** JSON Lines on disk: written when there is something to write, read in pieces. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { readLines, Spool } from '../../src/publish/spool.ts';
import { folder } from './scene.ts';

async function read(path: string): Promise<{ values: unknown[]; damaged: number }> {
  const values: unknown[] = [];
  let damaged = 0;
  await readLines(
    path,
    (value) => {
      values.push(value);
    },
    () => {
      damaged++;
    },
  );
  return { values, damaged };
}

describe('a spool', () => {
  test('is no file before its first line is written', async (t) => {
    const [path, other] = ['a', 'b'].map((name) => join(folder(t), name)) as [string, string];
    const spool = new Spool(path);
    await spool.append(new Spool(other));
    spool.flush();
    spool.close();
    assert.ok(!existsSync(path) && !existsSync(other));
  });

  test('takes in another, and is on disk when it is finished', async (t) => {
    const [one, other] = ['a', 'b'].map((name) => new Spool(join(folder(t), name))) as [
      Spool,
      Spool,
    ];
    one.line(1);
    other.line(2);
    await one.append(other);
    one.line(3);
    one.finish();
    other.close();
    assert.equal(readFileSync(one.path, 'utf8'), '1\n2\n3\n');
  });
});

describe('lines', () => {
  test('are read whole, wherever a piece of the file ends', async (t) => {
    const path = join(folder(t), 'lines');
    const values = Array.from({ length: 20_000 }, (_, id) => ({
      id,
      path: `Ünï→\u{1f600}/${String(id)}`,
    }));
    values.push({ id: -1, path: 'x'.repeat(700_000) }, { id: -2, path: 'last' });
    writeFileSync(path, values.map((value) => JSON.stringify(value)).join('\n'));
    assert.deepEqual(await read(path), { values, damaged: 0 });
  });

  test('that are none are told and passed over; empty ones are nothing', async (t) => {
    const path = join(folder(t), 'lines');
    writeFileSync(path, '1\r\n\n{"a":\n2\n\0\0\0\n3');
    assert.deepEqual(await read(path), { values: [1, 2, 3], damaged: 2 });
  });
});
