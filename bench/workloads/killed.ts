/** Workload k: killed half-way and started again (what was on disk should not be fetched twice); a busy store. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ONE } from '../fixtures.ts';
import { BUSY_RATE, type Nginx } from '../origin/nginx.ts';
import type { Contestant, Extra, Setting, Workload } from '../workload.ts';
import { SHARED, type Stage } from './stage.ts';

export function killed(stage: Stage): Workload {
  const { clients, fixtures, nginx, scale } = stage;
  const place = { endpoint: nginx.logged };
  const url = `${nginx.logged}/${ONE}`;
  const kept = new Map<string, number>();
  const half = (contestant: Contestant): Contestant => ({
    ...contestant,
    before: async ({ dest, run }: Setting) => {
      const kill = { folder: dest, bytes: scale.one / 2 };
      const { killed: how } = await run({ ...contestant.command(dest), kill });
      if (how === null) throw new Error('it was done before it could be killed');
      await sentBytes(nginx);
      kept.set(contestant.name, onDisk(dest));
    },
  });
  return {
    id: 'k-kill',
    title: 'One object: killed with half of it on disk, then run again',
    bytes: scale.one,
    modes: SHARED,
    origin: nginx,
    expected: { file: join(fixtures.root, ONE), as: 'model.bin', amongOthers: true },
    seconds: 40,
    contestants: [
      clients.ours(`s3://${ONE}`, { s3: place }),
      clients.aria2c(url, 4, {
        flags: ['--file-allocation=none', '--continue=true', '--auto-save-interval=1'],
      }),
      clients.curl(url, { flags: ['-C', '-'] }),
      clients.s5cmdCopy(ONE, place),
      clients.rclone(ONE, place),
    ].map(half),
    extra: async ({ contestant }: Setting): Promise<Extra> => {
      const sent = await sentBytes(nginx);
      const missing = scale.one - (kept.get(contestant.name) ?? 0);
      return { 'fetched again, %': (100 * (sent - missing)) / scale.one };
    },
    targets: [{ kind: 'extra', of: 'model-fetch', name: 'fetched again, %', most: 2 }],
  };
}

/** A store that says 503 to most of what is asked at once. */
export function busy(stage: Stage): Workload {
  const { clients, fixtures, nginx, scale } = stage;
  const place = { endpoint: nginx.busy };
  return {
    id: 'k-busy',
    title: `${scale.farSmall} objects from a store that answers 503 beyond ${BUSY_RATE} a second`,
    bytes: scale.farSmall * 16_384,
    objects: scale.farSmall,
    modes: SHARED,
    origin: nginx,
    expected: { folder: join(fixtures.root, 'far') },
    seconds: 40,
    contestants: [
      clients.ours('s3://far', { s3: place }),
      clients.s5cmdCopy('far/*', place),
      clients.rclone('far', place),
    ],
  };
}

/** nginx writes its log when it has noticed the end of a request. */
async function sentBytes(nginx: Nginx): Promise<number> {
  await sleep(300);
  return nginx.sentBytes();
}

/** Bytes below a folder that are really there. */
function onDisk(folder: string): number {
  return Number(execFileSync('du', ['-s', '-B1', folder], { encoding: 'utf8' }).split('\t')[0]);
}
