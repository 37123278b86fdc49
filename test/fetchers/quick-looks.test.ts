/** Looks that take no promise a file: plain files and folders of a local disk, and nothing that needs a second thought. */
import assert from 'node:assert/strict';
import { lstatSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fromDirectory } from '../../src/fetchers/from-directory.ts';
import { QuickLooks } from '../../src/fetchers/quick-looks.ts';

describe('quick looks', () => {
  const looks = new QuickLooks();
  let home: string;
  before(() => {
    home = mkdtempSync(join(tmpdir(), 'model-fetch-looks-'));
    for (const name of ['a', 'b', 'd']) writeFileSync(join(home, name), name);
    symlinkSync('a', join(home, 'c'));
    mkdirSync(join(home, 'e'));
  });
  after(() => {
    rmSync(home, { recursive: true });
  });
  const names = (found: readonly { real: string }[]): string[] =>
    found.map(({ real }) => real.slice(home.length + 1));

  it('end before what is neither a file nor a folder, or is not there', () => {
    // Or sooner, when the machine is busy: but the first of them is looked at.
    const found = names(looks.firstOf(home, ['a', 'e', 'b', 'c', 'd']));
    assert.ok(found.length > 0);
    assert.deepEqual(found, ['a', 'e', 'b'].slice(0, found.length));
    assert.deepEqual(names(looks.firstOf(home, ['a', 'gone', 'b'])), ['a']);
    assert.deepEqual(names(looks.firstOf(home, ['c', 'a'])), []);
    assert.deepEqual(looks.firstOf(join(home, 'a'), ['below a file']), []);
  });

  it('find every name', async () => {
    assert.deepEqual((await looks.names(home)).sort(), ['a', 'b', 'c', 'd', 'e']);
    await assert.rejects(looks.names(join(home, 'gone')), { code: 'ENOENT' });
  });

  it('are for local disks', async () => {
    const at = (real: string) => ({ real, stats: lstatSync(real, { bigint: true }) });
    assert.equal(await looks.mayAsk(at('/proc')), false);
    assert.equal(await new QuickLooks().mayAsk({ ...at(home), real: join(home, 'gone') }), false);
  });

  it('leave the rest of a batch to slower ones, in the same order', async () => {
    for (let index = 0; index < 200; index++)
      writeFileSync(join(home, 'e', String(index).padStart(3, '0')), '');
    symlinkSync('../a', join(home, 'e', '100-link'));
    const listed = await Array.fromAsync(fromDirectory({ uri: 'file:///m', path: home }).list());
    const paths = listed.map(({ path }) => path);
    assert.deepEqual(paths, [...paths].sort());
    assert.equal(paths.length, 4 + 201);
    const link = listed.find(({ path }) => path === 'e/100-link');
    assert.equal(link?.version, listed[0]?.version);
  });
});
