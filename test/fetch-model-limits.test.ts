/** Runs under real limits: of CPU time, of what the disk takes, of memory. Skipped where no control group can be made. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { suite, test, type TestContext } from 'node:test';
import type { FetchEvent } from '../src/events.ts';
import type { Machine } from '../src/machine.ts';
import { KEEP, noise, s3Scene, type S3Scene } from './publish/scene.ts';
import { tar, tarMember } from './support/archives.ts';
import { limitCpu, limitMemory, limitWrites } from './support/cgroup.ts';

const MIB = 2 ** 20;
const CHILD = new URL('support/limited-child.ts', import.meta.url).pathname;

interface Told {
  readonly bounds: readonly (FetchEvent & { readonly type: 'bound' })[];
  readonly machine: Omit<Machine, 'usage'>;
}

async function fetchIn(t: TestContext, group: string, { options, dest }: S3Scene): Promise<Told> {
  const words = ['s3://models/m/', dest, JSON.stringify({ ...KEEP, env: options.env })];
  return told(t, [process.execPath, CHILD, group, ...words]);
}

/** The same, in the group from its first instruction on. */
async function fetchAllIn(
  t: TestContext,
  group: string,
  { options, dest }: S3Scene,
): Promise<Told> {
  const words = ['s3://models/m/', dest, JSON.stringify({ ...KEEP, env: options.env })];
  const join = 'echo $$ > "$0/cgroup.procs"; exec "$@"';
  return told(t, ['sh', '-c', join, group, process.execPath, CHILD, group, ...words]);
}

async function told(t: TestContext, [command = '', ...words]: readonly string[]): Promise<Told> {
  const { stdout } = await promisify(execFile)(command, words, {
    timeout: 60_000,
    killSignal: 'SIGKILL',
  });
  t.diagnostic(stdout);
  return JSON.parse(stdout) as Told;
}

suite('a run with limits', { concurrency: true }, () => {
  test('of CPU time says that they bound it', async (t) => {
    const group = limitCpu(t, 0.2);
    if (typeof group !== 'string') return t.skip(group.missing);
    const scene = await s3Scene(t);
    for (let i = 0; i < 20_000; i++) scene.s3.put('models', `m/${String(i)}`, 'x');
    const { bounds, machine } = await fetchIn(t, group, scene);
    assert.deepEqual(machine, { ...machine, cores: 0.2, quota: true });
    // Once when it is certain, once more at the end.
    assert.equal(bounds.length, 2);
    const { by, seconds, ofSeconds, share, cores, quota } = bounds[0]!;
    assert.deepEqual({ by, cores, quota }, { by: 'cpu', cores: 0.2, quota: true });
    assert.ok(seconds >= 5 && seconds <= ofSeconds, `${String(seconds)} of ${String(ofSeconds)}`);
    assert.ok(share > 0.5, String(share));
  });

  test('of the disk says that it is the disk, and at which rate', async (t) => {
    const scene = await s3Scene(t);
    mkdirSync(scene.dest);
    const group = limitWrites(t, scene.dest, 20 * MIB);
    if (typeof group !== 'string') return t.skip(group.missing);
    scene.s3.put('models', 'm/weights', noise(240 * MIB));
    const { bounds } = await fetchIn(t, group, scene);
    assert.equal(bounds.length, 2);
    const { by, seconds, bytesPerSecond, share } = bounds[0]!;
    assert.equal(by, 'disk');
    assert.ok(seconds >= 5);
    assert.ok(share >= 0.6, String(share));
    const rate = bytesPerSecond / MIB;
    assert.ok(rate > 12 && rate < 28, `${String(rate)} MiB/s`);
    // It was told to stop at once: threads heed that between two writes.
    const more = bounds[1]!.ofSeconds - bounds[0]!.ofSeconds;
    assert.ok(more < 2.5, `${String(more)} s more`);
  });

  test('of 100 MiB of memory stays within them, and blames nothing', async (t) => {
    const group = limitMemory(t, 100 * MIB);
    if (typeof group !== 'string') return t.skip(group.missing);
    const scene = await s3Scene(t);
    scene.s3.put('models', 'm/weights', noise(160 * MIB));
    const { machine, bounds } = await fetchAllIn(t, group, scene);
    assert.equal(machine.memory, 100 * MIB);
    assert.deepEqual(bounds, []);
  });

  test('of 128 MiB of memory unpacks an archive within them', async (t) => {
    const group = limitMemory(t, 128 * MIB);
    if (typeof group !== 'string') return t.skip(group.missing);
    const scene = await s3Scene(t);
    const member = tarMember({ name: 'weights', content: noise(120 * MIB) });
    scene.s3.put('models', 'm/weights.tar.gz', gzipSync(tar(member), { level: 1 }));
    const { machine } = await fetchAllIn(t, group, scene);
    assert.equal(machine.memory, 128 * MIB);
    assert.equal(statSync(join(scene.dest, 'weights')).size, 120 * MIB);
  });
});
