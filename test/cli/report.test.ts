import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { suite, test } from 'node:test';
import { createLogger, type Level } from '../../src/cli/log.ts';
import { Report, type ReportOptions } from '../../src/cli/report.ts';
import { Screen } from '../../src/cli/screen.ts';
import type { FetchEvent } from '../../src/events.ts';
import type { FetchResult } from '../../src/fetch-model.ts';
import { records } from './child.ts';

const SECRET = 'https://user:hunter2@host/m?X-Amz-Signature=abcdef';

const EVENTS: readonly FetchEvent[] = [
  { type: 'resolved', uri: 's3://models/iris', revision: 'v7' },
  { type: 'listed', uri: 's3://models/iris', files: 3, bytes: 3000, kept: 1 },
  { type: 'progress', path: 'a', bytes: 1000 },
  {
    type: 'retry',
    path: 'a',
    at: 500,
    inMs: 1500,
    attempt: 1,
    code: 'STALLED',
    message: `no byte from ${SECRET}`,
  },
  { type: 'verified', path: 'a', bytes: 1000, crc: 'crc32:cafe', against: ['sha256:00'] },
  { type: 'unpacked', path: 'a.tar', format: 'tar', files: 2, bytes: 900 },
  { type: 'warning', message: 'a\nforged line' },
  { type: 'published', target: '/mnt/models', files: 3, bytes: 3000, removed: 1 },
];

const RESULT: FetchResult = {
  target: '/mnt/models',
  unchanged: false,
  sources: [],
  files: 3,
  bytes: 3000,
  fetchedBytes: 2000,
  kept: 1,
  removed: 1,
  verified: { sha256: 1, length: 1 },
  retries: 1,
  seconds: 1,
};

function reporting(
  format: 'text' | 'json',
  options: Partial<ReportOptions> = {},
  level: Level = 'info',
) {
  let written = '';
  const screen = new Screen({ write: (text) => (written += text) });
  const log = createLogger({ format, level, color: false, write: screen.line, now: () => 0 });
  const report = new Report({
    log,
    screen,
    progress: 'none',
    intervalMs: 1000,
    pairs: 1,
    color: false,
    unicode: true,
    ...options,
  });
  const end = (results: readonly FetchResult[]): void => {
    const { msg, figures } = report.done(results);
    log('info', msg, figures);
  };
  return { report, end, output: () => written };
}

suite('a run in JSON lines', () => {
  test('has a record for each event, with its fields', () => {
    const { report, output } = reporting('json', {}, 'debug');
    EVENTS.forEach(report.onEvent);
    const told = records(output());
    assert.deepEqual(
      told.map((record) => record['event']),
      ['resolved', 'listed', 'retry', 'verified', 'unpacked', 'warning', 'published'],
    );
    assert.deepEqual(told[1], {
      time: '1970-01-01T00:00:00.000Z',
      level: 'info',
      msg: 'found 3 files, 2.9 KiB; 1 already in place',
      event: 'listed',
      uri: 's3://models/iris',
      files: 3,
      totalBytes: 3000,
      kept: 1,
    });
    const { file, attempt, code, level } = told[2]!;
    assert.deepEqual([file, attempt, code, level], ['a', 1, 'STALLED', 'warn']);
  });
  test('ends with a summary: files, bytes, seconds, rate, checks and retries', () => {
    const { end, output } = reporting('json');
    end([RESULT, RESULT]);
    const [{ files, bytes, fetchedBytes, retries, verified, seconds, megabytesPerSec }] = records(
      output(),
    ) as [Record<string, unknown>];
    assert.deepEqual(
      { files, bytes, fetchedBytes, retries, verified },
      {
        files: 6,
        bytes: 6000,
        fetchedBytes: 4000,
        retries: 2,
        verified: { sha256: 2, length: 2 },
      },
    );
    assert.ok(typeof seconds === 'number' && typeof megabytesPerSec === 'number');
  });
  test('says once what binds the run, and at its end only if it did for half of it', () => {
    const bound = (by: 'cpu' | 'disk', seconds: number): FetchEvent => ({
      type: 'bound',
      by,
      seconds,
      ofSeconds: 40,
      bytesPerSecond: 121 * 2 ** 20,
      share: by === 'cpu' ? 0.451 : 0.93,
      cores: 0.5,
      quota: true,
    });
    const { report, end, output } = reporting('json');
    for (const event of [bound('cpu', 5), bound('disk', 5), bound('cpu', 9), bound('disk', 21)])
      report.onEvent(event);
    end([RESULT]);
    const [cpu, disk, done, ...more] = records(output());
    assert.equal(
      cpu!['msg'],
      'bound by the CPU limit of 0.5 cores: used up in 45 % of its periods',
    );
    const line = 'bound by the disk: 121 MiB/s; writes waited for it 93 % of the time';
    assert.equal(disk!['msg'], line);
    const { event, by, seconds, ofSeconds, share } = disk!;
    assert.deepEqual([event, by, seconds, ofSeconds, share], ['bound', 'disk', 5, 40, 0.93]);
    assert.ok(String(done!['msg']).endsWith(`; ${line}`));
    assert.deepEqual(done!['bound'], { by: 'disk', bytesPerSec: 121 * 2 ** 20 });
    assert.deepEqual(more, []);
  });
  test('has a progress record now and then', async () => {
    const { report, output } = reporting('json', { progress: 'log', intervalMs: 40 });
    EVENTS.slice(0, 3).forEach(report.onEvent);
    await sleep(150);
    report.stop();
    const before = output();
    await sleep(80);
    assert.equal(output(), before, 'nothing is said after the end');
    const told = records(before).filter((record) => record['event'] === 'progress');
    assert.ok(told.length >= 2);
    const { bytes, totalBytes, files, totalFiles, percent } = told[0]!;
    assert.deepEqual([bytes, totalBytes, files, totalFiles, percent], [1000, 3000, 1, 3, 33]);
  });
});

suite('a run in text', () => {
  test('reads as sentences, each in one line and without secrets', () => {
    const { report, output } = reporting('text');
    EVENTS.forEach(report.onEvent);
    assert.deepEqual(output().split('\n'), [
      'resolved s3://models/iris at v7',
      'found 3 files, 2.9 KiB; 1 already in place',
      'warning: a: no byte from https://REDACTED@host/m?X-Amz-Signature=REDACTED (attempt 2 in 1.5 s, from byte 500)',
      'unpacked a.tar (tar): 2 files, 900 B',
      'warning: a forged line',
      'published 3 files in /mnt/models, removed 1 stale',
      '',
    ]);
  });
  test('ends with a line that tells what was done and how it was checked', () => {
    const { end, output } = reporting('text');
    end([RESULT]);
    assert.match(
      output(),
      /^done: 3 files, 2\.9 KiB; fetched 2\.0 KiB in \d\.\d s \([\d.]+ .?B\/s\); checked 1 by sha256, 1 by length; 1 retry\n$/,
    );
  });
  test('says so when there was nothing to do', () => {
    const { end, output } = reporting('text');
    end([{ ...RESULT, unchanged: true, fetchedBytes: 0, verified: {}, retries: 0 }]);
    assert.match(output(), /^done: 3 files, 2\.9 KiB; nothing to fetch, \d\.\d s\n$/);
  });
  test('may have progress records in JSON all the same', async () => {
    const { report, output } = reporting('text', { progress: 'json', intervalMs: 30 });
    await sleep(70);
    report.stop();
    assert.ok(
      records(output()).every(
        (record) => record['event'] === 'progress' && record['msg'] === 'listing',
      ),
    );
  });
  test('draws a bar and leaves nothing of it behind', async () => {
    const { report, end, output } = reporting('text', { progress: 'bar' });
    EVENTS.slice(0, 3).forEach(report.onEvent);
    await sleep(250);
    end([RESULT]);
    assert.match(output(), /▏ {2}33%/);
    assert.match(output(), /\r\u001b\[Kdone: [^\r\u001b]*\n$/);
  });
});

test('levels are obeyed', () => {
  const { report, output } = reporting('json', {}, 'warn');
  EVENTS.forEach(report.onEvent);
  assert.deepEqual(
    records(output()).map((record) => record['level']),
    ['warn', 'warn'],
  );
});
