import assert from 'node:assert/strict';
import { spawnSync, execFileSync } from 'node:child_process';
import { describe, it } from 'node:test';
import { gzipSync, zstdCompressSync, constants } from 'node:zlib';
import { ModelFetchError } from '../../src/errors.ts';
import type { ArchiveFormat } from '../../src/fetcher.ts';
import { DESCRIPTOR, pax, tar, zip } from '../support/archives.ts';
import { outcome, treeOf } from './harness.ts';

const plain = tar(pax({ path: 'd/ä' }), { name: 'a', content: 'A file, with some content.' });
/** Offsets of its headers. */
const headers = [0, 1024];
const zipped = zip([
  { name: 'd/' },
  { name: 'd/a', content: 'The first file, with some content, some content.' },
  { name: 'b', content: 'The second one.', method: 0 },
  {
    name: 'c',
    content: 'The third one.',
    flags: DESCRIPTOR,
    local: { crc: 0, packed: 0, size: 0 },
  },
]);
const tools = ['bzip2', 'xz'].filter((tool) => spawnSync(tool, ['--help']).error === undefined);
const archives: readonly [ArchiveFormat, Buffer][] = [
  ['tar', plain],
  ['tar.gz', gzipSync(plain)],
  ['tar.zst', zstdCompressSync(plain, { params: { [constants.ZSTD_c_checksumFlag]: 1 } })],
  ['zip', zipped],
  ...tools.map((tool): [ArchiveFormat, Buffer] => [
    tool === 'xz' ? 'tar.xz' : 'tar.bz2',
    execFileSync(tool, ['-c'], { input: plain }),
  ]),
];

/** Typed, of the right kind, and with a reason. */
function assertTyped(error: unknown, what: string): void {
  assert.ok(error instanceof ModelFetchError, `${what}: ${String(error)}`);
  assert.ok(
    ['BAD_ARCHIVE', 'UNSAFE_ARCHIVE', 'LIMIT_EXCEEDED'].includes(error.code),
    `${what}: ${error.message}`,
  );
}

describe('an archive that was cut short', () => {
  for (const [format, whole] of archives)
    it(`${format}: refused at every byte`, async () => {
      await treeOf(whole, { format });
      // A tar is over after its second zero block; nothing is lost with the padding that follows.
      for (let length = 0; length < whole.length; length++) {
        const { error, tree } = await outcome(whole.subarray(0, length), { format });
        assert.equal(tree, undefined, `${length} of ${whole.length} bytes passed for the whole`);
        assertTyped(error, `${length} bytes`);
      }
    });
});

describe('an archive with one flipped bit', () => {
  for (const [format, whole] of archives.filter(([format]) => format !== 'tar'))
    it(`${format}: refused at every byte, or without effect on the tree`, async () => {
      const right = await treeOf(whole, { format });
      const harmless: number[] = [];
      for (let at = 0; at < whole.length; at++) {
        const spoilt = Buffer.from(whole);
        spoilt[at]! ^= 1 << (at % 8);
        const { error, tree, reported } = await outcome(spoilt, { format });
        if (tree) {
          assert.deepEqual(tree, right, `byte ${at}`);
          assert.ok(reported);
          harmless.push(at);
        } else assertTyped(error, `byte ${at}`);
      }
      // Times, versions and attributes in the headers; never a byte of content.
      assert.ok(
        harmless.length < whole.length / 3,
        `${harmless.length} of ${whole.length} went unnoticed`,
      );
    });

  it('tar: refused in a header; contents have no checksum of their own', async () => {
    for (let at = 0; at < plain.length; at++) {
      const spoilt = Buffer.from(plain);
      spoilt[at]! ^= 1 << (at % 8);
      const { error, tree } = await outcome(spoilt);
      if (tree) {
        assert.equal(Object.values(tree).filter((found) => found !== '/').length, 1, `byte ${at}`);
        const inHeader = headers.some((header) => at >= header && at < header + 512);
        // The checksum's own field may begin with a space instead of a zero, and what ends it says nothing.
        assert.ok(
          !inHeader || [148, 154, 155].includes(at % 512),
          `byte ${at} of a header went unnoticed`,
        );
      } else assertTyped(error, `byte ${at}`);
    }
  });
});
