/** What control groups say, in the files of either version as kernels and container runtimes write them. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { suite, test, type TestContext } from 'node:test';
import {
  parseBytes,
  parseCfsQuota,
  parseCpuMax,
  parseCpuStat,
  parseGroups,
  thisMachine,
  type Machine,
} from '../src/machine.ts';
import { folder } from './publish/scene.ts';

const MIB = 2 ** 20;
const NONE = '9223372036854771712\n';

/** A machine of 8 CPUs and 16 GiB with these files where control groups are mounted. */
function machine(t: TestContext, groups: string, files: Readonly<Record<string, string>>): Machine {
  const root = folder(t);
  for (const [path, text] of Object.entries({ ...files, '../groups': groups })) {
    const full = join(root, 'mount', path);
    mkdirSync(dirname(full), { recursive: true });
    writeFileSync(full, text);
  }
  return thisMachine({
    mount: join(root, 'mount'),
    groups: join(root, 'groups'),
    cores: 8,
    memory: 16_384 * MIB,
  });
}

const UNLIMITED = { cores: 8, quota: false };

suite('what this process may use', () => {
  const table: readonly (readonly [
    name: string,
    groups: string,
    files: Readonly<Record<string, string>>,
    expected: object,
  ])[] = [
    ['nothing is mounted', '', {}, UNLIMITED],
    ['version 2 at its root, where there are no such files', '0::/\n', {}, UNLIMITED],
    [
      'version 2 in a pod, whose namespace hides where it is',
      '0::/\n',
      { 'cpu.max': '100000 100000\n', 'memory.max': '1073741824\n', 'memory.high': 'max\n' },
      { cores: 1, quota: true, memory: 1024 * MIB },
    ],
    [
      'version 2 without limits',
      '0::/\n',
      { 'cpu.max': 'max 100000\n', 'memory.max': 'max\n', 'memory.high': 'max\n' },
      UNLIMITED,
    ],
    [
      'version 2 nested: the least on the way up, fractions kept',
      '0::/kubepods.slice/pod1.slice/app.scope\n',
      {
        'kubepods.slice/cpu.max': 'max 100000\n',
        'kubepods.slice/memory.max': '8589934592\n',
        'kubepods.slice/pod1.slice/cpu.max': '50000 100000\n',
        'kubepods.slice/pod1.slice/memory.max': '268435456\n',
        'kubepods.slice/pod1.slice/app.scope/cpu.max': '200000 100000\n',
        'kubepods.slice/pod1.slice/app.scope/memory.max': 'max\n',
      },
      { cores: 0.5, quota: true, memory: 256 * MIB },
    ],
    [
      'version 2 with the path of the host, while the mount shows the own group',
      '0::/kubepods.slice/pod1.slice/app.scope\n',
      { 'cpu.max': '150000 100000\n', 'memory.max': '536870912\n' },
      { cores: 1.5, quota: true, memory: 512 * MIB },
    ],
    [
      'version 2 outside of its namespace',
      '0::/../../other\n',
      { 'cpu.max': '50000 100000\n', 'other/cpu.max': '1000 100000\n' },
      { cores: 0.5, quota: true },
    ],
    [
      'version 2 that slows down before it ends',
      '0::/\n',
      { 'memory.max': '1073741824\n', 'memory.high': '536870912\n' },
      { ...UNLIMITED, memory: 512 * MIB },
    ],
    [
      'version 1 with the controllers of CPU together',
      '5:cpu,cpuacct:/docker/abc\n4:memory:/docker/abc\n1:name=systemd:/docker/abc\n',
      {
        'cpu,cpuacct/docker/abc/cpu.cfs_quota_us': '250000\n',
        'cpu,cpuacct/docker/abc/cpu.cfs_period_us': '100000\n',
        'cpu,cpuacct/cpu.cfs_quota_us': '-1\n',
        'memory/docker/abc/memory.limit_in_bytes': '134217728\n',
        'memory/memory.limit_in_bytes': NONE,
      },
      { cores: 2.5, quota: true, memory: 128 * MIB },
    ],
    [
      'version 1 in a container, whose own group is mounted as the root',
      '3:memory:/kubepods/pod1/app\n2:cpu:/kubepods/pod1/app\n0::/\n',
      {
        'cpu/cpu.cfs_quota_us': '100000\n',
        'cpu/cpu.cfs_period_us': '100000\n',
        'memory/memory.limit_in_bytes': '268435456\n',
      },
      { cores: 1, quota: true, memory: 256 * MIB },
    ],
    [
      'version 1 without limits, beside an idle version 2',
      '4:memory:/\n1:cpu:/\n0::/\n',
      {
        'cpu/cpu.cfs_quota_us': '-1\n',
        'cpu/cpu.cfs_period_us': '100000\n',
        'memory/memory.limit_in_bytes': NONE,
        'unified/cgroup.controllers': 'hugetlb\n',
      },
      UNLIMITED,
    ],
    [
      'limits above what the machine has',
      '0::/\n',
      { 'cpu.max': '1600000 100000\n', 'memory.max': '68719476736\n' },
      UNLIMITED,
    ],
    [
      'a quota that Node has counted already, rounded down',
      '0::/\n',
      { 'cpu.max': '850000 100000\n' },
      { cores: 8.5, quota: true },
    ],
    [
      'files that say nothing we know',
      'garbage\n0:\n0::relative\n0::/\n',
      { 'cpu.max': 'auto\n', 'memory.max': '-5\n' },
      UNLIMITED,
    ],
  ];
  for (const [name, groups, files, expected] of table)
    test(name, (t) => {
      const { usage, ...limits } = machine(t, groups, files);
      assert.deepEqual(limits, expected);
      assert.doesNotThrow(usage);
    });

  test('how often it was stopped, and how much memory it has, are read when asked for', (t) => {
    const { usage } = machine(t, '0::/pod/app\n', {
      'pod/cpu.max': '50000 100000\n',
      'pod/cpu.stat': 'usage_usec 9\nnr_periods 40\nnr_throttled 10\nthrottled_usec 12345\n',
      'pod/app/cpu.max': 'max 100000\n',
      'pod/app/cpu.stat': 'usage_usec 9\nnr_periods 0\nnr_throttled 0\nthrottled_usec 0\n',
      'pod/app/memory.current': '1048576\n',
      'pod/memory.current': '2097152\n',
    });
    assert.deepEqual(usage(), { periods: 40, throttledPeriods: 10, memory: MIB });
  });

  test('is known of the machine that runs this', () => {
    const { cores, memory, usage } = thisMachine();
    assert.ok(cores > 0);
    assert.ok(memory === undefined || memory > 0);
    assert.ok(usage().periods >= usage().throttledPeriods);
  });
});

suite('the files of control groups', () => {
  test('cpu.max', () => {
    assert.equal(parseCpuMax('50000 100000\n'), 0.5);
    assert.equal(parseCpuMax('max 100000\n'), undefined);
    assert.equal(parseCpuMax('max'), undefined);
    assert.equal(parseCpuMax(''), undefined);
    assert.equal(parseCpuMax('0 0'), undefined);
  });
  test('cpu.cfs_quota_us with its period', () => {
    assert.equal(parseCfsQuota('150000\n', '100000\n'), 1.5);
    assert.equal(parseCfsQuota('-1\n', '100000\n'), undefined);
    assert.equal(parseCfsQuota('100000\n', ''), undefined);
  });
  test('bytes', () => {
    assert.equal(parseBytes('1048576\n'), MIB);
    assert.equal(parseBytes('max\n'), undefined);
    assert.equal(parseBytes(NONE), undefined);
    assert.equal(parseBytes(''), undefined);
  });
  test('cpu.stat of both versions', () => {
    const old = 'nr_periods 3\nnr_throttled 2\nthrottled_time 7\n';
    assert.deepEqual(parseCpuStat(old), { periods: 3, throttledPeriods: 2 });
    assert.deepEqual(parseCpuStat('usage_usec 1\n'), { periods: 0, throttledPeriods: 0 });
  });
  test('/proc/self/cgroup', () => {
    const paths = parseGroups('4:cpu,cpuacct:/a:b\n1:name=systemd:/x\n0::/y\n');
    assert.deepEqual(
      [...paths],
      [
        ['cpu', '/a:b'],
        ['cpuacct', '/a:b'],
        ['name=systemd', '/x'],
        ['', '/y'],
      ],
    );
  });
});
