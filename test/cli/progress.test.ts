import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { stripVTControlCharacters } from 'node:util';
import { renderBar, type BarStyle } from '../../src/cli/bar.ts';
import { Progress, type Snapshot } from '../../src/cli/progress.ts';
import { Screen } from '../../src/cli/screen.ts';

const GIB = 2 ** 30;

function listed(files: number, bytes: number, kept = 0) {
  return { type: 'listed', uri: 's3://b', files, bytes, kept } as const;
}

function got(bytes: number) {
  return { type: 'progress', path: 'x', bytes } as const;
}

suite('counting', () => {
  test('sums bytes, files and retries, and knows a rate and a time once there is a total', () => {
    const progress = new Progress(1, 0);
    progress.add(listed(4, 1000, 1));
    progress.add(got(250));
    progress.add({ type: 'verified', path: 'x', bytes: 250, crc: 'crc32:0', against: [] });
    progress.add({
      type: 'retry',
      path: 'x',
      at: 0,
      inMs: 5,
      attempt: 1,
      code: 'STALLED',
      message: 'm',
    });
    assert.deepEqual(progress.snapshot(1000), {
      bytes: 250,
      totalBytes: 1000,
      percent: 25,
      bytesPerSec: 250,
      etaSec: 3,
      files: 2,
      totalFiles: 4,
      retries: 1,
    });
  });
  test('has no total before every listing has ended', () => {
    const progress = new Progress(2, 0);
    progress.add(listed(1, 1000));
    progress.add(got(10));
    const before = progress.snapshot(1000);
    assert.equal(
      before.totalBytes ?? before.percent ?? before.etaSec ?? before.totalFiles,
      undefined,
    );
    progress.add(listed(2, 1000));
    assert.equal(progress.snapshot(2000).totalBytes, 2000);
    assert.equal(progress.snapshot(2000).totalFiles, 3);
  });
  test('gives a total up that turns out to be too small', () => {
    const progress = new Progress(1, 0);
    progress.add(listed(1, 100));
    progress.add(got(101));
    const { percent, etaSec, totalBytes } = progress.snapshot(1000);
    assert.deepEqual([percent, etaSec, totalBytes], [undefined, undefined, undefined]);
  });
  test('measures the rate over the last seconds, not over the whole run', () => {
    const progress = new Progress(1, 0);
    for (let second = 1; second <= 60; second++) {
      progress.add(got(second <= 30 ? 1_000_000 : 1000));
      progress.snapshot(second * 1000);
    }
    assert.equal(progress.snapshot(60_000).bytesPerSec, 1000);
  });
  test('shows a stall as a rate of nothing', () => {
    const progress = new Progress(1, 0);
    progress.add(got(1000));
    for (let second = 1; second <= 20; second++) progress.snapshot(second * 1000);
    assert.equal(progress.snapshot(20_000).bytesPerSec, 0);
  });
});

const FULL: Snapshot = {
  bytes: 3.1 * GIB,
  totalBytes: 7.4 * GIB,
  percent: 41,
  bytesPerSec: 412e6,
  etaSec: 11,
  files: 12,
  totalFiles: 57,
  retries: 0,
};
const STYLE: BarStyle = { columns: 100, color: false, unicode: true, frame: 0 };

suite('the bar', () => {
  test('shows share, bytes, rate, time and files', () => {
    assert.match(
      renderBar(FULL, STYLE),
      /^▕█{11}.? +▏ {2}41% {2}3\.1 of 7\.4 GiB {3}412 MB\/s {2}0:11 left {2}12\/57 files$/,
    );
  });
  test('is always narrower than the terminal, and drops the less important parts first', () => {
    for (let columns = 5; columns < 200; columns++) {
      const bar = renderBar(FULL, { ...STYLE, columns, color: columns % 2 === 0 });
      assert.ok(stripVTControlCharacters(bar).length < columns, `${columns}: ${bar}`);
    }
    assert.equal(renderBar(FULL, { ...STYLE, columns: 40 }), ' 41%  3.1 of 7.4 GiB   412 MB/s');
    assert.match(renderBar(FULL, { ...STYLE, columns: 22 }), /^ 41% {2}3\.1 of 7\.4 GiB$/);
  });
  test('keeps its width while the numbers grow', () => {
    const widths = [0, 0.2, 1, 5, 7.3].map(
      (gib) => renderBar({ ...FULL, bytes: gib * GIB }, STYLE).length,
    );
    assert.equal(new Set(widths).size, 1);
  });
  test('is plain where the terminal speaks no Unicode', () => {
    assert.match(renderBar(FULL, { ...STYLE, unicode: false }), /^\[#{11}\.+\] {2}41%/);
  });
  test('turns while it lists, and says when only finishing is left', () => {
    const nothing: Snapshot = { bytes: 0, files: 0, retries: 0 };
    assert.equal(renderBar(nothing, STYLE), '⠋  listing');
    assert.equal(renderBar(nothing, { ...STYLE, frame: 1 }), '⠙  listing');
    assert.match(
      renderBar({ ...FULL, bytes: 7.4 * GIB, percent: 100, etaSec: 0 }, STYLE),
      /100% {2}7\.4 of 7\.4 GiB {2}finishing {2}12\/57 files$/,
    );
  });
  test('without a total shows what has come', () => {
    assert.equal(
      renderBar({ bytes: 5000, bytesPerSec: 1000, files: 2, retries: 0 }, STYLE),
      '⠋   4.9 KiB   1.0 kB/s  2 files',
    );
  });
});

suite('the screen', () => {
  function screen(columns = 80) {
    const written: string[] = [];
    const sink = { columns, write: (text: string) => written.push(text) };
    return { screen: new Screen(sink), written, sink };
  }
  test('writes a line above the status line, in one write', () => {
    const { screen: it, written } = screen();
    it.status('50%');
    it.line('hello');
    assert.deepEqual(written, ['\r50%\u001b[K', '\r\u001b[Khello\n50%']);
  });
  test('does not write what is already there, and erases it at the end', () => {
    const { screen: it, written } = screen();
    it.status('50%');
    it.status('50%');
    it.status('');
    it.status('');
    it.line('done');
    assert.deepEqual(written, ['\r50%\u001b[K', '\r\u001b[K', 'done\n']);
  });
  test('erases every row that the status takes after the terminal became narrower', () => {
    const { screen: it, written, sink } = screen(80);
    it.status('x'.repeat(70));
    sink.columns = 30;
    it.status('short');
    assert.equal(written.at(-1), '\u001b[2A\r\u001b[Jshort\u001b[K');
  });
});
