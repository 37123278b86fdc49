/** Frames beside each other: the same bytes, or the same error, as from the engine that works in order. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { constants, crc32, deflateRawSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { ModelFetchError } from '../../src/errors.ts';
import { FORMS } from '../../src/unpack/decompress.ts';
import type { Form } from '../../src/unpack/frame-batch.ts';
import { frames } from '../../src/unpack/frames.ts';

const MIB = 2 ** 20;
const LANES = 3;

/** Numbers from 0 up to 1, the same ones for the same seed. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/** Bytes that compress to about half. */
function content(size: number, next: () => number): Buffer {
  return Buffer.from(Array.from({ length: size }, () => Math.floor(next() * 16)));
}

/** A gzip member with this extra field, which is given the bytes before its compressed data, and those of that. */
function member(
  plain: Buffer,
  extra?: (before: number, packed: number) => Buffer,
  name = '',
): Buffer {
  const packed = deflateRawSync(plain);
  const field = extra?.(0, 0) ?? Buffer.alloc(0);
  const after = name === '' ? '' : `${name}\0`;
  const before = 10 + (extra ? 2 + field.length : 0) + after.length;
  const header = Buffer.from([0x1f, 0x8b, 8, (extra ? 4 : 0) | (name === '' ? 0 : 8)]);
  const trailer = Buffer.alloc(8);
  trailer.writeUInt32LE(crc32(plain));
  trailer.writeUInt32LE(plain.length, 4);
  const length = Buffer.from([field.length & 255, field.length >> 8]);
  return Buffer.concat([
    header,
    Buffer.alloc(6),
    ...(extra ? [length, extra(before, packed.length)] : []),
    Buffer.from(after, 'latin1'),
    packed,
    trailer,
  ]);
}

function subfield(id: string, ...numbers: readonly (readonly [value: number, bytes: number])[]) {
  const fields = numbers.map(([value, bytes]) => {
    const field = Buffer.alloc(bytes);
    field.writeUIntLE(value, 0, bytes);
    return field;
  });
  const body = Buffer.concat(fields);
  return Buffer.concat([Buffer.from(id), Buffer.from([body.length, 0]), body]);
}

type Extra = (before: number, packed: number) => Buffer;
const bgzf: Extra = (before, packed) => subfield('BC', [(before + packed + 7) & 0xffff, 2]);
const SAYING: Readonly<Record<string, Extra>> = {
  BGZF: bgzf,
  'BGZF behind another field': (before, packed) =>
    Buffer.concat([subfield('XX', [7, 1]), bgzf(before, packed)]),
  pgzip: (before, packed) => subfield('IG', [before + packed + 8, 4]),
  PGZF: (before, packed) => subfield('ZC', [before + packed + 8, 4]),
  MiGz: (_, packed) => subfield('MZ', [packed, 4]),
  QATzip: (_, packed) => subfield('QZ', [0, 4], [packed, 4]),
};
const LYING: Readonly<Record<string, Extra>> = {
  'too small a size': (before, packed) => subfield('BC', [(before + packed + 2) & 0xffff, 2]),
  'too large a size': (before, packed) => subfield('BC', [(before + packed + 12) & 0xffff, 2]),
  'no size': () => subfield('BC', [0, 2]),
  'the size of two': (before, packed) => subfield('IG', [2 * (before + packed + 8), 4]),
  'a huge size': () => subfield('IG', [0xffffffff, 4]),
};

function frame(plain: Buffer, { checksum = true, size = true } = {}): Buffer {
  return zstdCompressSync(plain, {
    params: {
      [constants.ZSTD_c_checksumFlag]: Number(checksum),
      [constants.ZSTD_c_contentSizeFlag]: Number(size),
    },
  });
}

function skippable(size: number): Buffer {
  const head = Buffer.from([0x5e, 0x2a, 0x4d, 0x18, 0, 0, 0, 0]);
  head.writeUInt32LE(size, 4);
  return Buffer.concat([head, Buffer.alloc(size, 1)]);
}

interface Outcome {
  readonly bytes: Buffer;
  readonly error?: unknown;
}

async function outcome(chunks: AsyncIterable<Uint8Array>): Promise<Outcome> {
  const out: Buffer[] = [];
  try {
    for await (const chunk of chunks) out.push(Buffer.from(chunk));
  } catch (error) {
    return { bytes: Buffer.concat(out), error };
  }
  return { bytes: Buffer.concat(out) };
}

/** In chunks that are worthless as soon as the next one is asked for. */
async function* stepped(bytes: Uint8Array, step = bytes.length): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += step) {
    const chunk = new Uint8Array(bytes.subarray(at, at + step));
    await Promise.resolve();
    yield chunk;
    chunk.fill(0xee);
  }
}

/**
 * Fails unless the frames of `bytes` become what they become in order. Answers that. What zstd's engine makes of a frame that
 * says a false size depends on how much of the frame it is given at once, so another way to give it counts as well.
 */
async function same(
  form: Form,
  bytes: Uint8Array,
  step: number | undefined,
  what: string,
): Promise<Outcome> {
  const told = `${what}, ${step ?? 'all'} bytes at a time`;
  const found = await outcome(frames(stepped(bytes, step), form, LANES));
  let expected = await outcome(form.inOrder(stepped(bytes, step)));
  if (form.certain && String(found.error) !== String(expected.error))
    expected = await outcome(form.inOrder(stepped(bytes)));
  assert.equal(String(found.error), String(expected.error), told);
  if (expected.error === undefined) assert.ok(found.bytes.equals(expected.bytes), told);
  else {
    assert.ok(found.error instanceof ModelFetchError, told);
    assert.equal(found.error.code, 'BAD_ARCHIVE', told);
    const least = Math.min(found.bytes.length, expected.bytes.length);
    assert.ok(found.bytes.subarray(0, least).equals(expected.bytes.subarray(0, least)), told);
  }
  return expected;
}

/** How often a form begins to work beside, and in order. */
function counted(form: Form): { form: Form; batches: number; inOrder: number } {
  const counts = {
    batches: 0,
    inOrder: 0,
    form: {
      ...form,
      open: (size: number) => {
        counts.batches++;
        return form.open(size);
      },
      inOrder: (chunks: AsyncIterable<Uint8Array>) => {
        counts.inOrder++;
        return form.inOrder(chunks);
      },
    },
  };
  return counts;
}

const text = (size: number, seed = size): Buffer => content(size, random(seed));
const parts = [text(40), Buffer.alloc(0), text(90), text(7)];
const streams: readonly (readonly [string, Form, Buffer])[] = [
  ...Object.entries(SAYING).map(([name, extra]): [string, Form, Buffer] => [
    name,
    FORMS.gz,
    Buffer.concat(parts.map((part) => member(part, extra))),
  ]),
  ...Object.entries(LYING).map(([name, extra]): [string, Form, Buffer] => [
    `gzip, ${name}`,
    FORMS.gz,
    Buffer.concat([member(parts[0]!, bgzf), member(parts[2]!, extra), member(parts[3]!, bgzf)]),
  ]),
  [
    'gzip, some of which says its size',
    FORMS.gz,
    Buffer.concat([member(text(30), bgzf), gzipSync(text(30)), member(text(30), bgzf)]),
  ],
  ['gzip and zeros', FORMS.gz, Buffer.concat([member(text(30), bgzf), Buffer.alloc(30)])],
  [
    'gzip, zeros and more',
    FORMS.gz,
    Buffer.concat([member(text(30), bgzf), Buffer.alloc(3), member(text(9), bgzf)]),
  ],
  [
    'gzip and something',
    FORMS.gz,
    Buffer.concat([member(text(30), bgzf), Buffer.from('something')]),
  ],
  [
    'gzip with names',
    FORMS.gz,
    Buffer.concat([1, 2].map(() => member(text(20), SAYING['pgzip'], 'ä'))),
  ],
  [
    'MiGz with names',
    FORMS.gz,
    Buffer.concat([1, 2].map(() => member(text(20), SAYING['MiGz'], 'b'))),
  ],
  ['zstd', FORMS.zst, Buffer.concat(parts.map((part) => frame(part)))],
  [
    'zstd without sizes and checksums',
    FORMS.zst,
    Buffer.concat(parts.map((part) => frame(part, { size: false, checksum: false }))),
  ],
  [
    'zstd with skippable frames',
    FORMS.zst,
    Buffer.concat([
      skippable(4),
      frame(text(50)),
      skippable(0),
      skippable(21),
      frame(text(3), { size: false }),
      skippable(1),
    ]),
  ],
  ['zstd that skips all', FORMS.zst, Buffer.concat([skippable(4), skippable(9)])],
  ['zstd and something', FORMS.zst, Buffer.concat([frame(text(50)), Buffer.from('something')])],
  ['zstd of a run', FORMS.zst, Buffer.concat([frame(Buffer.alloc(300)), frame(text(9))])],
];

describe('frames beside each other become what they become in order', () => {
  for (const [name, form, bytes] of streams) {
    it(`${name}, cut into any chunks`, async () => {
      for (let step = 1; step <= bytes.length; step++) await same(form, bytes, step, name);
    });

    it(`${name}, cut short at every byte`, async () => {
      for (let end = 0; end < bytes.length; end++)
        for (const step of [undefined, 13])
          await same(form, bytes.subarray(0, end), step, `${end} of ${bytes.length} bytes`);
    });

    it(`${name}, with one bit flipped in every byte`, async () => {
      for (let at = 0; at < bytes.length; at++) {
        const spoilt = Buffer.from(bytes);
        spoilt[at]! ^= 1 << (at % 8);
        for (const step of [undefined, 29]) await same(form, spoilt, step, `byte ${at}`);
      }
    });
  }

  it('streams of all sorts of frames', async () => {
    const next = random(4);
    const pick = <T>(from: readonly T[]): T => from[Math.floor(next() * from.length)]!;
    for (let round = 0; round < 60; round++) {
      const made: Buffer[] = [];
      const zstd = next() < 0.5;
      for (let left = Math.ceil(next() * 12); left > 0; left--) {
        const plain = Buffer.alloc(Math.floor(next() ** 4 * 3 * MIB), text(1000, round + left));
        if (zstd && next() < 0.2) made.push(skippable(Math.floor(next() * 3000)));
        else if (zstd) made.push(frame(plain, { size: next() < 0.6, checksum: next() < 0.5 }));
        else if (next() < 0.1) made.push(gzipSync(plain));
        else
          made.push(
            member(
              plain,
              pick([...Object.values(SAYING), ...Object.values(SAYING), ...Object.values(LYING)]),
            ),
          );
      }
      const bytes = Buffer.concat(made);
      if (next() < 0.3) bytes[Math.floor(next() * bytes.length)]! ^= 1;
      const length = next() < 0.2 ? Math.floor(next() * bytes.length) : bytes.length;
      for (const step of [undefined, 1 + Math.floor(next() * 70_000)])
        await same(zstd ? FORMS.zst : FORMS.gz, bytes.subarray(0, length), step, `round ${round}`);
    }
  });

  it('a frame that is too large, among others', async () => {
    const large = Buffer.alloc(40 * MIB, text(5000));
    for (const size of [true, false]) {
      const counts = counted(FORMS.zst);
      const { bytes } = await same(
        counts.form,
        Buffer.concat([
          frame(text(9)),
          frame(large, { size }),
          skippable(10 * MIB),
          frame(text(8)),
        ]),
        100_000,
        'zstd',
      );
      assert.equal(bytes.length, 40 * MIB + 17);
      assert.equal(counts.batches, 2);
      // The oracle's and, beside it, that of the two that are too large.
      assert.equal(counts.inOrder, 3);
    }
    const stream = [text(9), large, text(8)].map((part) => member(part, SAYING['pgzip']));
    const { bytes } = await same(FORMS.gz, Buffer.concat(stream), 100_000, 'gzip');
    assert.equal(bytes.length, 40 * MIB + 17);
  });
});

describe('frames beside each other', () => {
  const plain = text(3000);
  const all = Buffer.alloc(24 * MIB, plain);
  const cut = (size: number): Buffer[] =>
    Array.from({ length: Math.ceil(all.length / size) }, (_, i) =>
      all.subarray(i * size, (i + 1) * size),
    );
  const many: readonly (readonly [string, Form, Buffer, batches: number])[] = [
    ['BGZF', FORMS.gz, Buffer.concat(cut(60_000).map((part) => member(part, bgzf))), 24],
    ['zstd', FORMS.zst, Buffer.concat(cut(MIB).map((part) => frame(part))), 24],
    [
      'pzstd',
      FORMS.zst,
      Buffer.concat(cut(8 * MIB).flatMap((part) => [skippable(4), frame(part, { size: false })])),
      3,
    ],
    ['small zstd', FORMS.zst, Buffer.concat(cut(50_000).map((part) => frame(part))), 24],
  ];
  for (const [name, form, bytes, batches] of many)
    it(`${name}: a batch is about a MiB, and nothing is done in order`, async () => {
      const counts = counted(form);
      const found = await outcome(frames(stepped(bytes, 100_000), counts.form, LANES));
      assert.ok(found.bytes.equals(all));
      assert.equal(counts.inOrder, 0);
      assert.ok(Math.abs(counts.batches - batches) <= 1, `${counts.batches} batches`);
    });

  it('one core, or another stream under way: in order', async () => {
    const bytes = Buffer.concat(cut(MIB).map((part) => frame(part)));
    const alone = counted(FORMS.zst);
    await outcome(frames(stepped(bytes), alone.form, 1));
    assert.equal(alone.batches, 0);
    const first = frames(stepped(bytes), FORMS.zst, LANES);
    await first.next();
    const second = counted(FORMS.zst);
    assert.ok((await outcome(frames(stepped(bytes), second.form, LANES))).bytes.equals(all));
    assert.equal(second.batches, 0);
    await first.return(undefined);
    const third = counted(FORMS.zst);
    await outcome(frames(stepped(bytes), third.form, LANES));
    assert.equal(third.inOrder, 0);
  });

  it("the source's error comes out as it is, behind the frames before it", async () => {
    const error = new Error('the source');
    for (const [name, form, bytes] of many) {
      const failing = async function* (): AsyncGenerator<Uint8Array> {
        yield* stepped(bytes.subarray(0, bytes.length * 0.75), 100_000);
        throw error;
      };
      const found = await outcome(frames(failing(), form, LANES));
      assert.equal(found.error, error, name);
      assert.ok(found.bytes.equals(all.subarray(0, found.bytes.length)));
      assert.ok(found.bytes.length > 0);
    }
  });

  it('reads ahead in bounded memory, and no more once nobody asks', async () => {
    const noise = Buffer.concat(
      Array.from({ length: 8 }, (_, i) => text(MIB, i).map((byte, at) => byte * 16 + (at % 13))),
    );
    const packed = frame(noise);
    let given = 0;
    let closed = false;
    const endless = async function* (): AsyncGenerator<Uint8Array> {
      try {
        for (;;)
          for await (const chunk of stepped(packed, MIB)) {
            given += chunk.length;
            yield chunk;
          }
      } finally {
        closed = true;
      }
    };
    let taken = 0;
    for await (const chunk of frames(endless(), FORMS.zst, 8)) {
      // Whatever is read by then waits in memory.
      await new Promise((resolve) => setTimeout(resolve, 1));
      assert.ok(given - (taken * packed.length) / noise.length < 33 * MIB, `${given} bytes`);
      taken += chunk.length;
      if (taken > 40 * MIB) break;
    }
    await new Promise((resolve) => setImmediate(resolve));
    assert.ok(closed);
    const then = given;
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(given, then);
  });
});
