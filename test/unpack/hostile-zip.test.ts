import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { crc32, deflateRawSync, zstdCompressSync } from 'node:zlib';
import type { ErrorCode } from '../../src/errors.ts';
import { defaultLimits } from '../../src/unpack/unpack.ts';
import {
  DESCRIPTOR,
  descriptor,
  extra,
  UTF8,
  zip,
  zip64Extra,
  type ZipMember,
} from '../support/archives.ts';
import { outcome, refused, treeOf } from './harness.ts';

const UNSAFE = 'UNSAFE_ARCHIVE';
const BAD = 'BAD_ARCHIVE';
const ZIP = { format: 'zip' } as const;
const file = (name: string | Buffer, content = 'content'): ZipMember => ({ name, content });
const content = Buffer.from('content');
const packed = deflateRawSync(content);
const truth = { crc: crc32(content), packed: packed.length, size: content.length };

type Case = [attack: string, archive: Buffer, code: ErrorCode, message?: RegExp];

function table(cases: readonly Case[]): void {
  for (const [attack, archive, code, message] of cases)
    it(attack, async () => {
      await refused(archive, code, message, ZIP);
    });
}

describe('names in a zip that must not be written', () => {
  for (const [attack, name] of [
    ['P1 parent', '../x'],
    ['P1 parent in the middle', 'a/../../x'],
    ['P2 absolute', '/x'],
    ['P3 backslash', '..\\x'],
    ['P3 drive', 'C:/x'],
    ['P4 sibling', '../into2/x'],
    ['P5 empty', ''],
    ['P5 only a slash', '/'],
    ['P5 empty component', 'a//x'],
    ['P6 zero byte', 'a\0.txt'],
    ['P7 newline', 'a\nb'],
    ['P11 long component', 'n'.repeat(256)],
    ['P12 our own folder', '.model-fetch/x'],
    ['P12 Kubernetes', '..data'],
  ] as const)
    it(attack, async () => {
      await refused(zip([file(name)]), UNSAFE, undefined, ZIP);
    });

  table([
    [
      'P8 flagged as UTF-8 and is not',
      zip([{ ...file(Buffer.from([0x61, 0xff])), flags: UTF8 }]),
      UNSAFE,
      /UTF-8/,
    ],
    [
      'P8 a Unicode path that differs from the name',
      zip([{ ...file('name'), extra: unicodePath('name', 'other') }]),
      UNSAFE,
      /two names/,
    ],
    [
      'P8 a Unicode path that was made for another name',
      zip([{ ...file('name'), extra: unicodePath('else', 'name') }]),
      UNSAFE,
      /belongs to another/,
    ],
    [
      'P8 a Unicode path that escapes',
      zip([{ ...file(Buffer.from([0x81])), extra: unicodePath(Buffer.from([0x81]), '../x') }]),
      UNSAFE,
    ],
    ['P9 twins', zip([file('A'), file('a')]), UNSAFE, /tell it from/],
    ['P13 a file as a folder', zip([file('a'), file('a/b')]), UNSAFE],
    ['P13 a file, then a folder', zip([file('a'), { name: 'a/' }]), UNSAFE],
    ['P14 twice', zip([file('a'), file('a')]), UNSAFE, /twice/],
    [
      'L8 symbolic link',
      zip([{ ...file('l', '../x'), attributes: (0o120777 << 16) >>> 0 }]),
      UNSAFE,
      /symbolic link/,
    ],
    [
      'L8 symbolic link from another system',
      zip([{ ...file('l', '../x'), attributes: (0o120777 << 16) >>> 0, madeBy: 0 }]),
      UNSAFE,
    ],
    ['L5 device', zip([{ ...file('d'), attributes: (0o20644 << 16) >>> 0 }]), UNSAFE, /regular/],
    ['L9 a folder with content', zip([{ name: 'd/', content: 'x' }]), UNSAFE, /content/],
    [
      'L9 a folder by its mode only',
      zip([{ ...file('d'), attributes: (0o40755 << 16) >>> 0 }]),
      UNSAFE,
    ],
  ]);

  it('names are UTF-8, flagged or not, and code page 437 otherwise', async () => {
    const archive = zip([
      { ...file('模型', '1'), flags: UTF8 },
      file('naïve', '2'),
      file(Buffer.from([0x81, 0xe1]), '3'),
      { ...file(Buffer.from([0x82]), '4'), extra: unicodePath(Buffer.from([0x82]), 'Ж') },
    ]);
    assert.deepEqual(await treeOf(archive, ZIP), { 模型: '1', naïve: '2', üß: '3', Ж: '4' });
  });

  it('modes become 0644 or 0755', async () => {
    const { reported } = await outcome(
      zip([
        { ...file('run'), attributes: (0o106755 << 16) >>> 0 },
        { ...file('all'), attributes: (0o100666 << 16) >>> 0 },
        { ...file('dos'), attributes: 0x20, madeBy: 0 },
      ]),
      ZIP,
    );
    assert.deepEqual(
      reported?.map(({ mode }) => mode),
      [0o755, 0o644, 0o644],
    );
  });
});

describe('the end of a zip', () => {
  const whole = zip([file('a')]);
  const inner = zip([file('inner')]);
  const spoil32 = (offset: number, value: number) => ({
    spoil: (bytes: Buffer, end: number) => {
      bytes.writeUInt32LE(value, end + offset);
    },
  });
  const spoil16 = (offset: number, value: number) => ({
    spoil: (bytes: Buffer, end: number) => {
      bytes.writeUInt16LE(value, end + offset);
    },
  });
  table([
    ['Z1 no end', whole.subarray(0, -22), BAD, /end is missing/],
    ['Z1 empty file', Buffer.alloc(0), BAD],
    ['Z1 a zip in the comment of a zip', zip([file('a')], { comment: inner }), BAD, /two ends/],
    ['Z1 comment shorter than said', zip([file('a')], spoil16(20, 5)), BAD, /follows/],
    ['Z1 comment longer than said', Buffer.concat([whole, Buffer.from('x')]), BAD, /follows/],
    ['Z1 something in front', Buffer.concat([Buffer.from('MZ stub'), whole]), BAD, /not where/],
    ['Z1 two zips joined', Buffer.concat([inner, whole]), BAD, /not where/],
    [
      'Z3 fewer counted than listed',
      zip([file('a'), file('b')], { count: 1 }),
      BAD,
      /more than it counts/,
    ],
    ['Z3 more counted than listed', zip([file('a')], { count: 2 }), BAD],
    ['Z3 far more counted than listed', zip([file('a')], { count: 60_000 }), BAD, /can hold/],
    ['Z3 directory larger than it is', zip([file('a')], spoil32(12, 5000)), BAD, /not where/],
    ['Z3 directory elsewhere', zip([file('a')], spoil32(16, 0)), BAD, /not where/],
    [
      'Z3 a member that is not listed',
      zip([file('a'), { ...file('hidden'), only: 'local' }]),
      BAD,
      /between/,
    ],
    [
      'Z3 an unlisted member in front',
      zip([{ ...file('hidden'), only: 'local' }, file('a')]),
      BAD,
      /between/,
    ],
    [
      'Z3 a listed member that is not there',
      zip([file('a'), { ...file('ghost'), only: 'central' }]),
      BAD,
    ],
    ['Z9 split over disks', zip([file('a')], spoil16(4, 1)), BAD, /several/],
    ['Z9 a member on another disk', zip([{ ...file('a'), central: { disk: 1 } }]), BAD],
    [
      'bytes between members',
      zip([file('a'), file('b')], { between: Buffer.from('gap') }),
      BAD,
      /between/,
    ],
  ]);

  it('comments are fine, and so is an end record inside a stored member', async () => {
    const archive = zip([{ name: 'in.zip', raw: inner, content: inner, method: 0 }], {
      comment: Buffer.from('said PK'),
    });
    assert.deepEqual(await treeOf(archive, ZIP), { 'in.zip': inner.toString('latin1') });
    assert.deepEqual(await treeOf(zip([file('a')], { comment: Buffer.alloc(65_535, 'c') }), ZIP), {
      a: 'content',
    });
    assert.deepEqual(await treeOf(zip([]), ZIP), {});
  });
});

describe('zip64', () => {
  const spoil = (offset: number, value: bigint) => ({
    zip64: true,
    spoil: (bytes: Buffer, end: number) => {
      bytes.writeBigUInt64LE(value, end - 76 + offset);
    },
  });
  table([
    ['Z4 a locator to nowhere', zip([file('a')], spoil(64, 9_999_999n)), BAD, /not where/],
    [
      'Z4 a record with more in it',
      zip([file('a')], spoil(4, 45n)),
      BAD,
      /more than is understood/,
    ],
    ['Z4 an absurd count', zip([file('a')], spoil(32, 2n ** 60n)), BAD],
    [
      'Z4 an absurd count, twice',
      zip([file('a')], {
        zip64: true,
        spoil: (bytes, end) => {
          bytes.writeBigUInt64LE(4_000_000_000n, end - 76 + 24);
          bytes.writeBigUInt64LE(4_000_000_000n, end - 76 + 32);
        },
      }),
      'LIMIT_EXCEEDED',
    ],
    [
      'Z4 end records that contradict each other',
      zip([file('a')], {
        zip64: true,
        spoil: (bytes, end) => {
          bytes.writeUInt16LE(7, end + 10);
        },
      }),
      BAD,
      /contradict/,
    ],
    [
      'Z4 a wide size without its field',
      zip([{ ...file('a'), central: { size: 0xffffffff } }]),
      BAD,
    ],
    [
      'Z4 a wide size with too short a field',
      zip([{ ...file('a'), central: { size: 0xffffffff, extra: extra(1, Buffer.alloc(4)) } }]),
      BAD,
    ],
    [
      'Z4 the field twice',
      zip([{ ...file('a'), extra: Buffer.concat([zip64Extra(1, 1), zip64Extra(2, 2)]) }]),
      BAD,
      /twice/,
    ],
    [
      'Z4 absurd sizes',
      zip([{ ...file('a'), central: { size: 0xffffffff, extra: zip64Extra(2 ** 53) } }]),
      BAD,
    ],
    [
      'Z12 an extra field that is too long',
      zip([{ ...file('a'), extra: Buffer.from([1, 2, 200, 0]) }]),
      BAD,
      /extra field/,
    ],
    [
      'Z12 half an extra field',
      zip([{ ...file('a'), extra: Buffer.from([1, 2]) }]),
      BAD,
      /extra field/,
    ],
  ]);

  it('is understood', async () => {
    const wide = zip64Extra(truth.size, truth.packed);
    const archive = zip(
      [{ ...file('a'), size: 0xffffffff, packed: 0xffffffff, extra: wide }, file('b')],
      { zip64: true },
    );
    assert.deepEqual(await treeOf(archive, ZIP), { a: 'content', b: 'content' });
  });
});

describe('what the directory says and what the members say', () => {
  table([
    ['Z2 name', zip([{ ...file('a'), local: { name: 'b' } }]), BAD, /one name/],
    ['Z2 size', zip([{ ...file('a'), local: { size: 3 } }]), BAD, /one size/],
    ['Z2 packed size', zip([{ ...file('a'), local: { packed: 3 } }]), BAD, /one size/],
    ['Z2 checksum', zip([{ ...file('a'), local: { crc: 3 } }]), BAD, /one checksum/],
    ['Z2 method', zip([{ ...file('a'), local: { method: 0 } }]), BAD, /one method/],
    ['Z2 encrypted in one of them', zip([{ ...file('a'), local: { flags: 1 } }]), BAD, /one flags/],
    ['Z2 UTF-8 in one of them', zip([{ ...file('a'), local: { flags: UTF8 } }]), BAD, /one flags/],
    [
      'Z2 descriptor in one of them',
      zip([{ ...file('a'), local: { flags: DESCRIPTOR } }]),
      BAD,
      /one flags/,
    ],
    [
      'Z5 two members in one place',
      zip([file('a'), { ...file('b'), only: 'central', central: { at: 0 } }]),
      BAD,
    ],
    ['Z5 a member inside another', nested(), BAD],
    [
      'Z5 a member that reaches into the directory',
      zip([{ ...file('a', 'x'), method: 0, packed: 100, size: 100 }]),
      BAD,
    ],
    ['Z9 encrypted', zip([{ ...file('a'), flags: 1 }]), BAD, /encrypted/],
    ['Z9 strongly encrypted', zip([{ ...file('a'), flags: 0x41 }]), BAD, /encrypted/],
    ['Z9 masked', zip([{ ...file('a'), flags: 0x2000 }]), BAD, /encrypted/],
    ['Z9 AES', zip([{ ...file('a'), method: 99, raw: packed }]), BAD, /method 99/],
    ['a patch', zip([{ ...file('a'), flags: 0x20 }]), BAD, /patch/],
    ...[1, 6, 9, 12, 14, 95, 98].map((method): Case => [
      `Z10 method ${method}`,
      zip([{ ...file('a'), method, raw: packed }]),
      BAD,
      /method/,
    ]),
    ['Z10 stored, and says deflated', zip([{ ...file('a'), raw: content }]), BAD, /damaged/],
    [
      'Z10 deflated, and says stored',
      zip([{ ...file('a'), method: 0, raw: packed }]),
      BAD,
      /two sizes/,
    ],
    [
      'Z7 inflates to more than it says',
      zip([{ ...file('a', 'y'.repeat(1000)), size: 10 }]),
      BAD,
      /one size/,
    ],
    [
      'Z7 inflates to far more than it says',
      zip([{ ...file('a', 'y'.repeat(3_000_000)), size: 2_000_000 }]),
      BAD,
      /one size/,
    ],
    ['Z7 inflates to less than it says', zip([{ ...file('a'), size: 8 }]), BAD, /one size/],
    [
      'Z11 something after the deflated data',
      zip([{ ...file('a'), raw: Buffer.concat([packed, Buffer.from('x')]) }]),
      BAD,
    ],
    [
      'Z11 deflated data cut short',
      zip([{ ...file('a'), raw: packed.subarray(0, -1) }]),
      BAD,
      /damaged/,
    ],
    ['Z11 the same for a large member', large(Buffer.from('x')), BAD, /follows/],
    ['a wrong checksum', zip([{ ...file('a'), crc: 1 }]), BAD, /damaged/],
    ['a wrong checksum, stored', zip([{ ...file('a'), method: 0, crc: 1 }]), BAD, /damaged/],
  ]);

  it('Z10 zstd is understood', async () => {
    const raw = zstdCompressSync(content);
    assert.deepEqual(await treeOf(zip([{ ...file('a'), method: 93, raw }]), ZIP), { a: 'content' });
  });
});

describe('data descriptors', () => {
  const later = (own: Partial<ZipMember> = {}): ZipMember => ({
    ...file('a'),
    flags: DESCRIPTOR,
    local: { crc: 0, packed: 0, size: 0 },
    ...own,
  });
  table([
    ['Z8 none although announced', zip([later({ descriptor: false })]), BAD, /descriptor/],
    [
      'Z8 a wrong checksum',
      zip([later({ descriptor: descriptor({ ...truth, crc: 5 }) })]),
      BAD,
      /descriptor/,
    ],
    [
      'Z8 a wrong size',
      zip([later({ descriptor: descriptor({ ...truth, size: 5 }) })]),
      BAD,
      /descriptor/,
    ],
    [
      'Z8 one although none is announced',
      zip([
        { ...file('a'), raw: Buffer.concat([packed, descriptor(truth)]), packed: packed.length },
      ]),
      BAD,
      /between/,
    ],
  ]);

  it('all four forms are understood, also between members', async () => {
    for (const signature of [true, false])
      for (const wide of [true, false]) {
        const one = later({ descriptor: descriptor(truth, { signature, wide }) });
        const tree = await treeOf(zip([one, { ...one, name: 'b' }, file('c')]), ZIP);
        assert.deepEqual(tree, { a: 'content', b: 'content', c: 'content' });
      }
  });

  it('Z8 one inside stored content ends nothing', async () => {
    const tricky = Buffer.concat([
      Buffer.from('x'),
      descriptor({ crc: crc32('x'), packed: 1, size: 1 }),
      Buffer.from('y'),
    ]);
    const archive = zip([later({ content: tricky, method: 0 })]);
    assert.deepEqual(await treeOf(archive, ZIP), { a: tricky.toString('latin1') });
  });
});

describe('limits', () => {
  const limited = (limits: Partial<typeof defaultLimits>) => ({
    ...ZIP,
    limits: { ...defaultLimits, ...limits },
  });
  it('T10 more members than allowed', async () => {
    await refused(zip([file('a'), file('b')]), 'LIMIT_EXCEEDED', /members/, limited({ files: 1 }));
  });
  it('T10 more bytes than allowed, before anything is written', async () => {
    await refused(zip([file('a'), file('b')]), 'LIMIT_EXCEEDED', /bytes/, limited({ bytes: 10 }));
  });
  it('T10 an absurd ratio, before anything is written', async () => {
    await refused(zip([{ ...file('a'), size: 0xfffffff0 }]), 'LIMIT_EXCEEDED', /bomb/, limited({}));
  });
  it('Z6 a zip in a zip stays a file', async () => {
    const inner = zip([file('x')]);
    assert.deepEqual(await treeOf(zip([{ name: 'in.zip', content: inner }]), ZIP), {
      'in.zip': inner.toString('latin1'),
    });
  });
});

function unicodePath(of: string | Buffer, name: string): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt8(1, 0);
  head.writeUInt32LE(crc32(of), 1);
  return extra(0x7075, Buffer.concat([head, Buffer.from(name)]));
}

/** Fifield's overlap: the content of the first member is the whole of the second. */
function nested(): Buffer {
  const second = zip([file('b')]);
  const local = second.subarray(0, second.indexOf('PK\u0001\u0002', 0, 'latin1'));
  const first: ZipMember = { name: 'a', content: local, raw: local, method: 0 };
  return zip([first, { ...file('b'), only: 'central', central: { at: 31 } }]);
}

function large(tail: Buffer): Buffer {
  const random = Buffer.alloc(2_000_000);
  for (let at = 0; at < random.length; at += 4)
    random.writeUInt32LE((at * 2_654_435_761) % 2 ** 32, at);
  return zip([{ name: 'a', content: random, raw: Buffer.concat([deflateRawSync(random), tail]) }]);
}
