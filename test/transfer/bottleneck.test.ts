/** What is said of recorded runs: of one whose disk takes 20 MiB/s, of one with a fifth of a core, and of many that nothing binds. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { Bottleneck, boundOf, pressedBy, type Load } from '../../src/transfer/bottleneck.ts';

const MIB = 2 ** 20;

/** Half a second of nothing in particular. */
const IDLE: Load = {
  ms: 500,
  bytes: 10 * MIB,
  transferring: true,
  cpuMs: 100,
  systemMs: 50,
  cores: 2,
  periods: 0,
  throttledPeriods: 0,
  writers: 2,
  writingMs: 60,
  queuedMs: 30,
  loopUse: 0.3,
};

/** As measured over a disk that was held to 20 MiB/s, two threads writing, on a busy machine of two cores. */
const SLOW_DISK: readonly Load[] = [
  { cpuMs: 47, systemMs: 17, writingMs: 938, queuedMs: 97, bytes: 10_484_924 },
  { cpuMs: 48, systemMs: 13, writingMs: 963, queuedMs: 67, bytes: 9_961_465 },
  { cpuMs: 30, systemMs: 17, writingMs: 976, queuedMs: 57, bytes: 10_223_616 },
  { cpuMs: 24, systemMs: 9, writingMs: 995, queuedMs: 40, bytes: 9_960_628 },
  { cpuMs: 26, systemMs: 13, writingMs: 983, queuedMs: 33, bytes: 10_485_338 },
  { cpuMs: 24, systemMs: 17, writingMs: 778, queuedMs: 37, bytes: 7_601_754 },
  { cpuMs: 27, systemMs: 3, writingMs: 1181, queuedMs: 45, bytes: 12_057_780 },
  { cpuMs: 21, systemMs: 9, writingMs: 1003, queuedMs: 67, bytes: 10_223_616 },
  { cpuMs: 34, systemMs: 13, writingMs: 954, queuedMs: 53, bytes: 10_222_771 },
  { cpuMs: 26, systemMs: 13, writingMs: 985, queuedMs: 41, bytes: 9_961_048 },
].map((measured) => ({ ...IDLE, ...measured }));

/** As measured with a quota of 0.2 cores: small files, one thread. */
const SMALL_QUOTA: readonly Load[] = [
  { ms: 516, cpuMs: 104, systemMs: 19, periods: 5, throttledPeriods: 5, writingMs: 17 },
  { ms: 584, cpuMs: 113, systemMs: 9, periods: 6, throttledPeriods: 6, writingMs: 2 },
  { ms: 516, cpuMs: 108, systemMs: 24, periods: 5, throttledPeriods: 5, writingMs: 10 },
  { ms: 588, cpuMs: 114, systemMs: 64, periods: 6, throttledPeriods: 6, writingMs: 68 },
  { ms: 592, cpuMs: 124, systemMs: 44, periods: 6, throttledPeriods: 6, writingMs: 2 },
  { ms: 503, cpuMs: 103, systemMs: 33, periods: 5, throttledPeriods: 5, writingMs: 1 },
  { ms: 652, cpuMs: 113, systemMs: 53, periods: 6, throttledPeriods: 6, writingMs: 2 },
  { ms: 538, cpuMs: 117, systemMs: 71, periods: 6, throttledPeriods: 6, writingMs: 2 },
  { ms: 559, cpuMs: 112, systemMs: 64, periods: 5, throttledPeriods: 5, writingMs: 2 },
].map((measured) => ({ ...IDLE, cores: 0.2, writers: 1, queuedMs: 700, bytes: 100, ...measured }));

suite('what binds an interval', () => {
  const blocked: Load = { ...IDLE, writingMs: 900 };
  const table: readonly (readonly [string, Load, ReturnType<typeof boundOf>])[] = [
    ['a network: nothing has much to do', IDLE, undefined],
    ['writers that sleep in their writes', blocked, 'disk'],
    [
      'one of two writers that sleeps, as it may behind the other',
      { ...IDLE, writingMs: 500 },
      undefined,
    ],
    ['writes that copy, at full speed', { ...blocked, cpuMs: 880, systemMs: 700 }, undefined],
    ['writes that wait for a CPU that others have', { ...blocked, queuedMs: 600 }, undefined],
    ['waiting for a CPU that is not told', { ...blocked, queuedMs: undefined }, undefined],
    [
      'a process that was stopped in its writes',
      { ...blocked, periods: 5, throttledPeriods: 2 },
      undefined,
    ],
    [
      'writers faster than disks, waiting for each other',
      { ...blocked, bytes: 600 * MIB },
      undefined,
    ],
    ['no writer', { ...blocked, writers: 0 }, undefined],
    ['both cores in use', { ...IDLE, cpuMs: 930 }, 'cpu'],
    ['one of two cores in use', { ...IDLE, cpuMs: 500 }, undefined],
    ['a quota in use', { ...IDLE, cores: 0.5, cpuMs: 240 }, 'cpu'],
    [
      'a quota that others in the group use up',
      { ...IDLE, periods: 5, throttledPeriods: 4 },
      'cpu',
    ],
    [
      'a quota that is used up now and then',
      { ...IDLE, periods: 5, throttledPeriods: 2 },
      undefined,
    ],
  ];
  for (const [name, load, expected] of table)
    test(`${name}: ${expected ?? 'nothing is said'}`, () => {
      assert.equal(boundOf([load]), expected);
    });

  test('a quota used up now and then is reason enough not to grow', () => {
    assert.equal(pressedBy({ ...IDLE, periods: 5, throttledPeriods: 2 }), 'cpu');
    assert.equal(pressedBy({ ...IDLE, periods: 5, throttledPeriods: 1 }), undefined);
    assert.equal(pressedBy(blocked), 'disk');
    assert.equal(pressedBy(IDLE), undefined);
  });

  test('so are event loops that are never idle, which is not said of a run', () => {
    assert.equal(pressedBy({ ...IDLE, loopUse: 0.95 }), 'cpu');
    assert.equal(boundOf([{ ...IDLE, loopUse: 1 }]), undefined);
    assert.equal(pressedBy({ ...IDLE, loopUse: 0.7 }), undefined);
  });
});

suite('what binds a run', () => {
  test('is told once, after five seconds of it, and summed at the end', () => {
    const bottleneck = new Bottleneck();
    const told = SLOW_DISK.map((load) => bottleneck.add(load));
    assert.deepEqual(told.slice(0, 9), Array(9).fill(undefined));
    const first = { by: 'disk', seconds: 5, ofSeconds: 5, bytesPerSecond: 20_236_588, share: 0.91 };
    assert.deepEqual(told[9], first);
    for (const load of SLOW_DISK.slice(0, 4)) assert.equal(bottleneck.add(load), undefined);
    const [{ seconds, ofSeconds } = first, ...more] = bottleneck.verdicts();
    assert.deepEqual([seconds, ofSeconds, more], [7, 7, []]);
  });

  test('may be the quota of the CPU', () => {
    const bottleneck = new Bottleneck();
    const told = SMALL_QUOTA.map((load) => bottleneck.add(load)).filter(Boolean);
    assert.deepEqual(told, [
      { by: 'cpu', seconds: 5, ofSeconds: 5, bytesPerSecond: 178, share: 1 },
    ]);
  });

  test('is not told of less: a pause begins anew', () => {
    const bottleneck = new Bottleneck();
    for (const load of [...SLOW_DISK.slice(0, 8), { ...IDLE, transferring: false }])
      assert.equal(bottleneck.add(load), undefined);
    for (const load of SLOW_DISK.slice(0, 9)) assert.equal(bottleneck.add(load), undefined);
    assert.deepEqual(bottleneck.verdicts(), []);
    assert.equal(bottleneck.add(SLOW_DISK[9]!)?.seconds, 5);
  });

  test('counts no second twice, and knows how long it was something else', () => {
    const bottleneck = new Bottleneck();
    for (const load of SLOW_DISK) bottleneck.add(load);
    for (let i = 0; i < 40; i++) bottleneck.add(IDLE);
    for (const load of SLOW_DISK) bottleneck.add(load);
    const [verdict] = bottleneck.verdicts();
    assert.equal(verdict?.ofSeconds, 30);
    // What is certain of five seconds together is also said of the few at their edge.
    assert.ok(verdict.seconds >= 10 && verdict.seconds <= 14, String(verdict.seconds));
  });

  test('is nothing that could be told, of a run over a network', () => {
    const bottleneck = new Bottleneck();
    for (let i = 0; i < 100; i++) assert.equal(bottleneck.add(IDLE), undefined);
    assert.deepEqual(bottleneck.verdicts(), []);
  });
});
