import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { ModelFetchError } from '../../src/errors.ts';
import { archiveFormat, namedLikeArchive } from '../../src/unpack/format.ts';
import { tar, zip } from '../support/archives.ts';

const aTar = tar({ name: 'a', content: 'x' });
const oldTar = tar({ name: 'a', content: 'x', magic: '' });
const aZip = zip([{ name: 'a', content: 'x' }]);
const bzip2 = Buffer.from('BZh91AY&SY');
const xz = Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0, 0, 4]);
const text = Buffer.from('just some text '.repeat(80));
const head = (bytes: Buffer): Buffer => bytes.subarray(0, 1024);

describe('namedLikeArchive', () => {
  const yes =
    'm.tar m.tar.gz m.tgz m.taz m.tz m.tar.bz2 m.tbz2 m.tar.xz m.txz m.tar.zst m.tzst m.zip m.ZIP M.Tar.Gz a/b.zip a.b.zip';
  const no =
    'm.pt m.pth m.npz m.keras m.mar m.whl m.jar m.pkl.gz m.gz m.bz2 m.xz m.zst m.7z m.nemo m.safetensors tar zip .zip a/.tar mtar m.zip/x m.zip.part m.tar.Z';
  for (const name of yes.split(' '))
    it(`${name} is`, () => assert.equal(namedLikeArchive(name), true));
  for (const name of no.split(' '))
    it(`${name} is not`, () => assert.equal(namedLikeArchive(name), false));
});

describe('archiveFormat', () => {
  it('follows the content when the name is that of an archive', () => {
    const formats = [
      [aTar, 'tar'],
      [oldTar, 'tar'],
      [Buffer.alloc(1024), 'tar'],
      [aZip, 'zip'],
      [zip([]), 'zip'],
      [gzipSync(aTar), 'tar.gz'],
      [zstdCompressSync(aTar), 'tar.zst'],
      [Buffer.from([0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0]), 'tar.zst'],
      [bzip2, 'tar.bz2'],
      [xz, 'tar.xz'],
    ] as const;
    for (const name of ['m.tar', 'm.tar.gz', 'm.TGZ', 'm.zip', 'm.tar.zst'])
      for (const [bytes, format] of formats) assert.equal(archiveFormat(name, head(bytes)), format);
  });

  it('leaves files of other names as they are, whatever is in them', () => {
    for (const name of [
      'm.pt',
      'm.pth',
      'm.npz',
      'm.keras',
      'm.mar',
      'm.whl',
      'm.nemo',
      'm.pkl.gz',
      'm.gz',
      'm.bin',
    ])
      for (const bytes of [aTar, aZip, gzipSync(aTar), zstdCompressSync(aTar), bzip2, xz, text])
        assert.equal(archiveFormat(name, head(bytes)), undefined, name);
  });

  it('takes a name without an extension for an archive only when the content is unmistakably tar', () => {
    for (const name of ['model', 'a/download', 'model-1.2', 'bert.v3']) {
      assert.equal(archiveFormat(name, head(aTar)), 'tar');
      assert.equal(archiveFormat(name, head(gzipSync(aTar))), 'tar.gz');
      assert.equal(archiveFormat(name, head(zstdCompressSync(aTar))), 'tar.zst');
      for (const bytes of [
        aZip,
        oldTar,
        text,
        bzip2,
        xz,
        gzipSync(text),
        zstdCompressSync(text),
        Buffer.alloc(1024),
      ])
        assert.equal(archiveFormat(name, head(bytes)), undefined);
    }
  });

  it('sees a tar in the first bytes of a long gzip', () => {
    const random = Buffer.from(Array.from({ length: 100_000 }, (_, at) => (at * at * 31) >> 5));
    assert.equal(
      archiveFormat('model', head(gzipSync(tar({ name: 'a', content: random })))),
      'tar.gz',
    );
  });

  it('says what a file is that is only called an archive', () => {
    const cases: [Buffer, RegExp][] = [
      [Buffer.alloc(0), /empty file/],
      [Buffer.from('\n<!DOCTYPE html><html>'), /HTML page/],
      [Buffer.from('version https://git-lfs.github.com/spec/v1\noid'), /Git LFS pointer/],
      [Buffer.from('<?xml version="1.0"?><Error>'), /XML/],
      [Buffer.from('{"error": "denied"}'), /JSON/],
      [Buffer.from([0x37, 0x7a, 0xbc, 0xaf, 0x27, 0x1c]), /7z/],
      [Buffer.from('Rar!\u001a\u0007'), /RAR/],
      [Buffer.from([0x1f, 0x9d, 0x90]), /compress/],
      [Buffer.from([0x80, 0x02]), /pickle/],
      [text, /something else/],
    ];
    for (const [bytes, what] of cases)
      for (const name of ['m.tar.gz', 'm.zip'])
        assert.throws(
          () => archiveFormat(name, bytes),
          (error: unknown) =>
            error instanceof ModelFetchError &&
            error.code === 'BAD_ARCHIVE' &&
            what.test(error.message),
          what.source,
        );
  });

  it('leaves the checkpoints that PyTorch calls .pth.tar as they are, unless they are tars', () => {
    assert.equal(archiveFormat('best.pth.tar', Buffer.from([0x80, 0x02])), undefined);
    assert.equal(archiveFormat('best.pth.tar', head(aZip)), undefined);
    assert.equal(archiveFormat('best.pth.tar', head(aTar)), 'tar');
  });
});
