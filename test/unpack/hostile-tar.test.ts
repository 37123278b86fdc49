import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { zstdCompressSync } from 'node:zlib';
import type { ErrorCode } from '../../src/errors.ts';
import { Budget } from '../../src/unpack/limits.ts';
import { defaultLimits } from '../../src/unpack/unpack.ts';
import {
  directory,
  gnuLong,
  hardlink,
  pax,
  paxRecord,
  symlink,
  tar,
  TAR_END,
  tarMember,
  type TarMember,
} from '../support/archives.ts';
import { outcome, refused, treeOf } from './harness.ts';

const UNSAFE = 'UNSAFE_ARCHIVE';
const BAD = 'BAD_ARCHIVE';
const file = (name: string | Buffer, content = 'x'): TarMember => ({ name, content });
/** Through a pax header, which can say what the name field cannot. */
const named = (name: string | Buffer): Buffer =>
  Buffer.concat([pax({ path: name }), tarMember(file('plain'))]);

type Case = [attack: string, archive: Buffer, code: ErrorCode, message?: RegExp];

function table(cases: readonly Case[]): void {
  for (const [attack, archive, code, message] of cases)
    it(attack, async () => {
      await refused(archive, code, message);
      await refused(archive, code, message, { step: 100 });
    });
}

describe('names in a tar that must not be written', () => {
  const names: readonly [string, string | Buffer, RegExp?][] = [
    ['P1 parent', '../x', /"\.\."/],
    ['P1 parent in the middle', 'a/../../x'],
    ['P1 parent at the end', 'a/..'],
    ['P1 parent behind a dot', './../x'],
    ['P2 absolute', '/x', /absolute/],
    ['P2 doubly absolute', '//x', /absolute/],
    ['P3 backslash parent', '..\\x', /backslash/],
    ['P3 drive', 'C:\\x'],
    ['P3 drive-relative', 'C:..x', /drive/],
    ['P3 network share', '\\\\server\\x'],
    ['P3 device path', '//?/C:/x'],
    ['P4 sibling of the staging directory', '../into2/x'],
    ['P5 dot', '.', /folder/],
    ['P5 dot in the middle', 'a/./b', /"\."/],
    ['P5 empty component', 'a//b', /empty/],
    ['P6 zero byte', 'a\0b', /zero byte/],
    ['P7 newline', 'a\nb', /newline/],
    ['P7 escape', 'a\u001b[2Jb', /control/],
    ['P7 delete', 'a\u007fb', /control/],
    ['P7 bidi override', 'a\u202egnp.exe', /direction/],
    ['P7 bidi isolate', 'a\u2066b', /direction/],
    ['P8 invalid UTF-8', Buffer.from([0x61, 0xff, 0x62]), /UTF-8/],
    ['P8 overlong UTF-8', Buffer.from([0x61, 0xc0, 0xaf, 0x62]), /UTF-8/],
    ['P8 a surrogate in UTF-8', Buffer.from([0xed, 0xa0, 0x80]), /UTF-8/],
    ['P11 component of 256 bytes', 'a'.repeat(256), /255/],
    ['P11 path of 5000 bytes', 'abcdefghi/'.repeat(500) + 'a', /4096|deep/],
    ['P11 65 folders', 'a/'.repeat(65) + 'x', /deep/],
    ['P12 our own folder', '.model-fetch/manifest.jsonl', /own files/],
    ['P12 our own folder, shouted', '.Model-Fetch/x', /own files/],
    ['P12 the folder of Kubernetes', '..data/x', /Kubernetes/],
    ['P12 a generation of Kubernetes', '..2024_01_01_00_00_00.123/x', /Kubernetes/],
  ];
  for (const [attack, name, message] of names)
    it(attack, async () => {
      const error = await refused(
        tar(named(name)),
        typeof name === 'string' ? UNSAFE : BAD,
        message,
      );
      assert.doesNotMatch(error.message, /[\u0000-\u001f\u007f\u202e\u2066]/);
      const short = Buffer.from(name);
      if (short.length < 100 && !/[\0\n]/.test(short.toString('latin1')))
        await refused(tar(file(name)), UNSAFE);
    });

  it('P15 names that only look dangerous are kept', async () => {
    const names = ['..foo', '...', 'a..b', 'a b', '#?%+&', '模型', '.hidden', 'x.', 'ab:c'];
    const tree = await treeOf(tar(...names.map((name) => file(name))));
    assert.deepEqual(Object.keys(tree).sort(), [...names].sort());
  });

  it('P5 `./` as a folder is the root itself', async () => {
    assert.deepEqual(await treeOf(tar(directory('./'), file('./a'))), { a: 'x' });
  });
});

describe('members of a tar that are in each other’s way', () => {
  table([
    ['P9 upper and lower case', tar(file('W.bin'), file('w.bin')), UNSAFE, /tell it from/],
    ['P9 composed and decomposed', tar(file('\u00e9'), file('e\u0301')), UNSAFE, /tell it from/],
    ['P9 a ligature', tar(file('stra\u00dfe'), file('strasse')), UNSAFE, /tell it from/],
    ['P9 folders', tar(file('A/x'), file('a/y')), UNSAFE, /tell it from/],
    ['P9 a folder and a link', tar(file('Dir/x'), symlink('dir', 'Dir')), UNSAFE],
    ['P13 a file, then a folder', tar(file('a'), directory('a/')), UNSAFE, /came before/],
    ['P13 a folder, then a file', tar(directory('a/'), file('a')), UNSAFE, /came before/],
    ['P13 a file as a folder', tar(file('a'), file('a/b')), UNSAFE, /its folder a is a file/],
    ['P13 an implied folder, then a file', tar(file('a/b'), file('a')), UNSAFE],
    ['P14 twice the same', tar(file('a'), file('a')), UNSAFE, /twice/],
    ['P14 twice, differently', tar(file('a', '1'), file('a', '2')), UNSAFE, /twice/],
    ['P14 twice, spelled differently', tar(file('a'), file('./a')), UNSAFE, /twice/],
  ]);
});

describe('links in a tar', () => {
  table([
    ['L1 absolute', tar(symlink('l', '/etc')), UNSAFE, /absolute/],
    ['L1 outside', tar(symlink('l', '../outside')), UNSAFE, /out of the archive/],
    ['L1 outside by one, from a folder', tar(symlink('d/l', '../..')), UNSAFE, /out of/],
    ['L1 write over the link', tar(symlink('l', '../sentinel'), file('l')), UNSAFE, /twice/],
    ['L1 write through the link', tar(symlink('l', '..'), file('l/sentinel')), UNSAFE, /is a link/],
    [
      'L1 write through an honest link',
      tar(directory('d/'), symlink('l', 'd'), file('l/x')),
      UNSAFE,
    ],
    ['L1 a folder over the link', tar(symlink('l', '..'), directory('l/')), UNSAFE],
    ['L1 a link over a folder', tar(file('l/x'), symlink('l', '..')), UNSAFE],
    ['L1 nowhere', tar(symlink('l', 'missing')), UNSAFE, /nothing/],
    ['L1 through a file', tar(file('f'), symlink('l', 'f/..')), UNSAFE, /no folder/],
    ['L1 backslash', tar(symlink('l', '..\\x')), UNSAFE, /Windows/],
    ['L1 newline', tar(symlink('l', 'a\nb')), UNSAFE],
    [
      'L2 chain',
      tar(
        directory('d/'),
        symlink('d/cur', '../d2'),
        directory('d2/'),
        symlink('par', 'd/cur/../..'),
      ),
      UNSAFE,
      /out of/,
    ],
    [
      'L2 chain that climbs by where links lead, not by how they are spelled',
      tar(
        directory('a/b/c/'),
        symlink('deep', 'a/b/c'),
        directory('t/'),
        symlink('t/e', '../deep/../../../..'),
      ),
      UNSAFE,
      /out of/,
    ],
    [
      'L2 a link before the folder it goes through',
      tar(symlink('esc', 'd/up/../v'), directory('d/'), symlink('d/up', '../..')),
      UNSAFE,
    ],
    ['L2 the folder itself, which never ends', tar(symlink('cur', '.')), UNSAFE, /never ends/],
    ['L3 itself', tar(symlink('l', 'l')), UNSAFE, /itself/],
    ['L3 a circle', tar(symlink('a', 'b'), symlink('b', 'a')), UNSAFE, /itself/],
    ['L4 hard link, absolute', tar(hardlink('h', '/etc/passwd')), UNSAFE, /absolute/],
    ['L4 hard link, outside', tar(hardlink('h', '../sentinel')), UNSAFE],
    ['L4 hard link to a later file', tar(hardlink('h', 'f'), file('f')), UNSAFE, /no earlier file/],
    ['L4 hard link to a folder', tar(directory('d/'), hardlink('h', 'd')), UNSAFE],
    [
      'L4 hard link to a symbolic link',
      tar(file('f'), symlink('s', 'f'), hardlink('h', 's')),
      UNSAFE,
    ],
    [
      'L4 hard link through a chain of links',
      tar(symlink('a', '.'), symlink('b', 'a/..'), hardlink('h', 'b/sentinel')),
      UNSAFE,
    ],
    [
      'L4 hard link with content of its own',
      tar(file('f'), { ...hardlink('h', 'f'), content: 'y' }),
      BAD,
      /content/,
    ],
    [
      'L4 write over a hard link',
      tar(file('f'), hardlink('h', 'f'), file('h', 'y')),
      UNSAFE,
      /twice/,
    ],
    ['a link without a target', tar(symlink('l', '')), BAD],
    ['a file with a link target', tar({ ...file('f'), link: 'g' }), BAD],
  ]);

  it('links that stay inside are kept, in any order', async () => {
    const archive = tar(
      symlink('first', 'd/f'),
      directory('d/'),
      file('d/f', 'content'),
      symlink('d/up', '../e'),
      symlink('chain', 'd/up/g'),
      file('e/g', 'other'),
      hardlink('e/h', 'd/f'),
    );
    assert.deepEqual(await treeOf(archive), {
      first: '->d/f',
      d: '/',
      'd/f': 'content',
      'd/up': '->../e',
      chain: '->d/up/g',
      e: '/',
      'e/g': 'other',
      'e/h': 'content',
    });
  });
});

describe('kinds of members that are no files', () => {
  for (const [kind, type] of [
    ['L5 character device', '3'],
    ['L5 block device', '4'],
    ['L5 named pipe', '6'],
    ['L5 contiguous file', '7'],
    ['L5 GNU dump folder', 'D'],
    ['L5 GNU continuation', 'M'],
    ['L5 GNU volume header', 'V'],
    ['L5 Solaris ACL', 'A'],
    ['L5 an unknown letter', 'Z'],
    ['L5 a control character', '\u0001'],
  ] as const)
    it(kind, async () => {
      await refused(tar(file('before'), { name: 'n', type }), UNSAFE);
    });

  it('L6 modes become 0644 or 0755; owners are ignored', async () => {
    const modes: [string, number][] = [
      ['s', 0o6755],
      ['w', 0o777],
      ['n', 0],
      ['r', 0o444],
      ['t', 0o1644],
    ];
    // The harness compares the modes on the disk with those reported.
    const { reported } = await outcome(
      tar(...modes.map(([name, mode]) => ({ ...file(name), mode }))),
    );
    assert.deepEqual(
      reported?.map(({ mode }) => mode),
      [0o755, 0o755, 0o644, 0o644, 0o644],
    );
  });

  it('L7 absurd owners are ignored', async () => {
    const spoil = (header: Buffer): void => {
      header.fill(0xff, 108, 116);
    };
    assert.deepEqual(await treeOf(tar({ ...file('f'), spoil })), { f: 'x' });
  });
});

const size = (text: string): Buffer => Buffer.from(text.padEnd(12, '\0'), 'latin1');
const base256 = (...tail: number[]): Buffer =>
  Buffer.from([...Array<number>(12 - tail.length).fill(0), ...tail]);

describe('the frame of a tar', () => {
  const whole = tar(file('a', 'content'), file('b', 'more'));
  table([
    ['T1 cut in a body', tar(file('a', 'y'.repeat(1000))).subarray(0, 700), BAD, /early/],
    ['T1 cut in a header', whole.subarray(0, 1024 + 200), BAD, /early/],
    ['T1 cut between members', whole.subarray(0, 1024), BAD, /early/],
    ['T1 cut before the second zero block', whole.subarray(0, -512), BAD, /early/],
    ['T2 a zero block in the middle', tar(file('a'), Buffer.alloc(512), file('b')), BAD, /follows/],
    ['T2 something after the end', Buffer.concat([whole, Buffer.from('junk')]), BAD, /follows/],
    ['T2 a second archive', Buffer.concat([whole, whole]), BAD, /follows/],
    ['T3 bad checksum', tar(file('a'), { ...file('b'), badChecksum: true }), BAD, /damaged/],
    ['T4 negative size', tar({ name: 'a', size: Buffer.alloc(12, 0xff) }), BAD, /absurd/],
    [
      'T4 size of 2^63',
      tar({ name: 'a', size: Buffer.from([0x80, 0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0]) }),
      BAD,
      /absurd/,
    ],
    ['T4 size larger than what follows', tar({ name: 'a', size: 100_000 }), BAD, /early/],
    ['T4 size that is no octal number', tar({ name: 'a', size: size('9') }), BAD, /number/],
    ['T4 size that is no number', tar({ name: 'a', size: size('0x10') }), BAD, /number/],
    ['T4 size with a sign', tar({ name: 'a', size: size('-1') }), BAD, /number/],
    ['a folder with content', tar({ ...directory('d/'), content: 'y' }), BAD, /content/],
    [
      'an old folder with content',
      tar({ name: 'd/', type: '\0', content: 'y' }),
      BAD,
      /differently/,
    ],
    ['a link with content', tar({ ...symlink('l', 'a'), content: 'y' }), BAD, /content/],
    [
      'a prefix in a header of GNU',
      tar({ ...file('a'), prefix: 'folder', magic: 'ustar  \0' }),
      BAD,
      /two ways/,
    ],
    [
      'a prefix in a header from before POSIX',
      tar({ ...file('a'), prefix: 'folder', magic: '' }),
      BAD,
      /two ways/,
    ],
    ['no tar', Buffer.alloc(2048, 'no tar at all'), BAD],
    [
      'gzip where a tar was announced',
      Buffer.concat([Buffer.from([0x1f, 0x8b]), Buffer.alloc(2000)]),
      BAD,
    ],
  ]);

  it('padding of zeros after the end is fine', async () => {
    assert.deepEqual(await treeOf(Buffer.concat([whole, Buffer.alloc(10_240)])), {
      a: 'content',
      b: 'more',
    });
    assert.deepEqual(await treeOf(Buffer.concat([whole, Buffer.alloc(100)]), { step: 7 }), {
      a: 'content',
      b: 'more',
    });
  });

  it('a base-256 size is understood', async () => {
    const size = base256(7);
    size[0] = 0x80;
    assert.deepEqual(await treeOf(tar({ ...file('a', 'content'), size })), { a: 'content' });
  });
});

const sparse = (records: Record<string, string>): Buffer =>
  Buffer.concat([pax(records), tarMember(file('f'))]);

describe('extended headers of a tar', () => {
  table([
    ['T5 size with a sign', tar(pax({ size: '+1' }), file('a')), BAD, /number/],
    ['T5 size with an exponent', tar(pax({ size: '1e0' }), file('a')), BAD, /number/],
    ['T5 size in hexadecimal', tar(pax({ size: '0x1' }), file('a')), BAD, /number/],
    ['T5 negative size', tar(pax({ size: '-1' }), file('a')), BAD, /number/],
    ['T5 size with a zero byte', tar(pax({ size: '1\x000' }), file('a')), UNSAFE],
    ['T5 size of a folder', tar(pax({ size: '512' }), directory('d/'), file('a')), BAD, /content/],
    [
      'T5 record that is too long',
      tar(pax(Buffer.from('99 path=a\n')), file('a')),
      BAD,
      /malformed/,
    ],
    [
      'T5 record that is too short',
      tar(pax(Buffer.from('5 path=a\n')), file('a')),
      BAD,
      /malformed/,
    ],
    ['T5 record without "="', tar(pax(Buffer.from('9 path a\n')), file('a')), BAD, /malformed/],
    [
      'T5 record without its newline',
      tar(pax(Buffer.from('10 path=ab')), file('a')),
      BAD,
      /malformed/,
    ],
    ['T5 record of no length', tar(pax(Buffer.from('0 path=a\n')), file('a')), BAD, /malformed/],
    [
      'T5 zero bytes among the records',
      tar(pax(Buffer.concat([paxRecord('path', 'a'), Buffer.alloc(20)])), file('b')),
      BAD,
      /malformed/,
    ],
    ['T5 empty path', tar(pax({ path: '' }), file('a')), BAD, /empty/],
    ['T5 a path of two lines', tar(pax({ path: 'a\nb' }), file('a')), UNSAFE],
    ['T5 larger than a MiB', tar(pax({ comment: 'c'.repeat(2 ** 20 + 1) }), file('a')), BAD, /MiB/],
    ['T5 at the very end', Buffer.concat([pax({ path: 'b' }), TAR_END]), BAD, /extended header/],
    [
      'T5 two for one member',
      tar(pax({ path: 'a' }), pax({ path: 'b' }), file('c')),
      BAD,
      /two extended/,
    ],
    ['T5 a global path', tar(pax({ path: 'b' }, 'g'), file('a')), BAD, /global/],
    ['T5 a global size', tar(pax({ size: '0' }, 'g'), file('a')), BAD, /global/],
    ['T6 a long name with a zero byte in it', tar(gnuLong('a\0b'), file('x')), BAD, /malformed/],
    ['T6 an empty long name', tar(gnuLong(''), file('x')), BAD, /malformed/],
    [
      'T6 a very deep long name',
      tar(gnuLong('a/'.repeat(13_000) + 'x'), file('x')),
      UNSAFE,
      /4096|deep/,
    ],
    ['T6 two long names', tar(gnuLong('a'), gnuLong('b'), file('x')), BAD, /two extended/],
    [
      'T6 a long name and a pax path',
      tar(gnuLong('a'), pax({ path: 'b' }), file('x')),
      BAD,
      /twice/,
    ],
    [
      'T6 a pax path and a long name',
      tar(pax({ path: 'b' }), gnuLong('a'), file('x')),
      BAD,
      /two extended|twice/,
    ],
    ['T6 a long name that is no UTF-8', tar(gnuLong(Buffer.from([0xff])), file('x')), BAD, /UTF-8/],
    ['T6 a long name that escapes', tar(gnuLong('../x'), file('x')), UNSAFE],
    [
      'T6 a long link that escapes',
      tar(gnuLong('../../x', 'K'), symlink('l', 'y')),
      UNSAFE,
      /out of/,
    ],
    ['T7 GNU sparse, old', tar({ name: 'f', type: 'S', content: 'x' }), BAD, /sparse/],
    [
      'T7 pax sparse 0.0',
      tar(sparse({ 'GNU.sparse.size': '9', 'GNU.sparse.numblocks': '0' })),
      BAD,
      /sparse/,
    ],
    [
      'T7 pax sparse 0.1',
      tar(sparse({ 'GNU.sparse.map': '0,1', 'GNU.sparse.size': '9' })),
      BAD,
      /sparse/,
    ],
    [
      'T7 pax sparse 1.0',
      tar(sparse({ 'GNU.sparse.major': '1', 'GNU.sparse.realsize': '9' })),
      BAD,
      /sparse/,
    ],
  ]);

  it('T5 the size of a pax header overrides that of the header (TARmageddon)', async () => {
    const inner = tar(file('smuggled'));
    const archive = tar(pax({ size: String(inner.length) }), {
      name: 'inner.tar',
      content: inner,
      size: 0,
    });
    assert.deepEqual(await treeOf(archive), { 'inner.tar': inner.toString('latin1') });
  });

  it('T5 a pax size says nothing about the long-name header between it and its member', async () => {
    const archive = tar(pax({ size: '4' }), gnuLong('long'), {
      name: 'short',
      content: 'four',
      size: 0,
    });
    assert.deepEqual(await treeOf(archive), { long: 'four' });
  });

  it('T5 a record hidden in an attribute is no record', async () => {
    const hidden = Buffer.concat([Buffer.from('\n'), paxRecord('path', '../evil')]);
    const archive = tar(pax({ 'SCHILY.xattr.user.x': hidden }), file('a'));
    assert.deepEqual(await treeOf(archive), { a: 'x' });
  });

  it('a name is the same wherever the stream is cut', async () => {
    const name = `${'模'.repeat(80)}/${'型'.repeat(80)}/${'é'.repeat(120)}`;
    for (const step of [1, 511, 512, 513, 1000, 65_536]) {
      const tree = await treeOf(tar(pax({ comment: 'c'.repeat(300), path: name }), file('x')), {
        step,
      });
      assert.equal(tree[name], 'x');
    }
  });

  it('global comments, times and attributes are passed over', async () => {
    const archive = tar(
      pax({ comment: 'deadbeef' }, 'g'),
      pax({ mtime: '1.5', 'LIBARCHIVE.xattr.user.a': 'QQ', uid: '-1' }),
      file('a'),
    );
    assert.deepEqual(await treeOf(archive), { a: 'x' });
  });
});

describe('limits', () => {
  const limited = (limits: Partial<typeof defaultLimits>): { limits: typeof defaultLimits } => ({
    limits: { ...defaultLimits, ...limits },
  });
  it('T10 more members than allowed', async () => {
    await refused(
      tar(file('a'), directory('b/'), file('c')),
      'LIMIT_EXCEEDED',
      /2 members/,
      limited({ files: 2 }),
    );
  });
  it('T10 more bytes than allowed, refused before they are written', async () => {
    await refused(
      tar({ name: 'a', size: 11 }),
      'LIMIT_EXCEEDED',
      /10 bytes/,
      limited({ bytes: 10 }),
    );
  });
  it('T10 deeper than allowed', async () => {
    await refused(tar(file('a/b/c')), 'LIMIT_EXCEEDED', /2 folders/, limited({ depth: 2 }));
  });
  it('T10 hard links count as what they hold', async () => {
    await refused(
      tar(file('a', '123456'), hardlink('b', 'a')),
      'LIMIT_EXCEEDED',
      /bytes/,
      limited({ bytes: 10 }),
    );
  });
});

describe('bombs', () => {
  it('T10 a ratio is judged once more than a GiB has come out', () => {
    const budget = new Budget({ ...defaultLimits, ratio: 1000 });
    budget.read(2 ** 20);
    budget.inflated(1000 * 2 ** 20);
    budget.inflated(2 ** 30 - 1000 * 2 ** 20);
    const bomb = new Budget({ ...defaultLimits, ratio: 1000 });
    bomb.read(32_894);
    bomb.inflated(2 ** 30);
    assert.throws(() => {
      bomb.inflated(1);
    }, /bomb/);
    const { files, bytes, depth } = defaultLimits;
    const unlimited = new Budget({ files, bytes, depth });
    unlimited.inflated(2 ** 40);
  });

  it('T10 zeros without end behind the end are not read on for ever', async () => {
    const zeros = zstdCompressSync(Buffer.alloc(64 * 2 ** 20));
    const archive = Buffer.concat([
      zstdCompressSync(tar(file('a'))),
      ...Array<Buffer>(5).fill(zeros),
    ]);
    await refused(archive, 'LIMIT_EXCEEDED', /padding/, { format: 'tar.zst' });
  });
});

describe('strip', () => {
  const layer = tar(
    directory('etc/'),
    file('etc/passwd'),
    symlink('etc/mtab', '/proc/mounts'),
    directory('models/'),
    file('models/config.json', '{}'),
    file('models/1/weights.bin', 'w'),
    symlink('models/latest', '1'),
    hardlink('models/copy.bin', 'models/1/weights.bin'),
    file('models-v2/other', 'o'),
  );
  it('drops the leading path and leaves out what lies elsewhere', async () => {
    assert.deepEqual(await treeOf(layer, { strip: 'models' }), {
      'config.json': '{}',
      '1': '/',
      '1/weights.bin': 'w',
      latest: '->1',
      'copy.bin': 'w',
    });
  });
  it('still refuses what is unsafe inside of it', async () => {
    await refused(tar(file('models/../x')), UNSAFE, undefined, { strip: 'models' });
    await refused(tar(file('/models/x')), UNSAFE, undefined, { strip: 'models' });
    await refused(tar(symlink('models/l', '../etc')), UNSAFE, undefined, { strip: 'models' });
    await refused(tar(file('models/.model-fetch/x')), UNSAFE, undefined, { strip: 'models' });
    await refused(tar(file('f'), hardlink('models/h', 'f')), UNSAFE, undefined, {
      strip: 'models',
    });
  });
});
