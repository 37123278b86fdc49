/** Workload h: a network with a round trip and a rate for each connection, and a rate for all of them together. */
import { join } from 'node:path';
import { ONE } from '../fixtures.ts';
import { SLICE_MS, type Distance } from '../origin/distance.ts';
import type { Contestant, Extra, Workload } from '../workload.ts';
import { SHARED, type Stage } from './stage.ts';

/** What the loopback and the distance between can carry on two cores with room to spare, so that it is the cap. */
export const FAR: Distance = {
  roundTripMs: 30,
  perConnection: 100e6,
  total: 400e6,
  resetEvery: 0,
};

export function farAway(stage: Stage): Workload[] {
  const { clients, far, fixtures, scale } = stage;
  const place = { endpoint: far.http };
  const reset = (contestant: Contestant): Contestant => ({
    ...contestant,
    before: async () => {
      far.set(FAR);
    },
  });
  const url = `${far.http}/${ONE}`;
  const cap = `${FAR.roundTripMs} ms, ${FAR.perConnection / 1e6} MB/s a connection, ${FAR.total / 1e6} MB/s in all`;
  return [
    {
      id: 'h-one',
      title: `One object at ${cap}`,
      bytes: scale.one,
      modes: SHARED,
      origin: far,
      expected: { file: join(fixtures.root, ONE), as: 'model.bin' },
      seconds: 80,
      contestants: [
        clients.ours(`s3://${ONE}`, { s3: place }),
        clients.s5cmdCopy(ONE, place),
        clients.rclone(ONE, place),
        clients.aria2c(url, 16),
        clients.kserve(`s3://${ONE}`, place),
        { ...clients.curl(url), rounds: 1 },
      ].map(reset),
      extra: () => share(stage),
      targets: [
        { kind: 'extra', of: 'model-fetch', name: 'share of the cap after 2 s, %', least: 90 },
        { kind: 'extra', of: 'model-fetch', name: '90 % of the cap after, s', most: 2 },
      ],
    },
    {
      id: 'h-small',
      title: `${scale.farSmall} objects of 16 KiB at ${cap}`,
      bytes: scale.farSmall * 16_384,
      objects: scale.farSmall,
      modes: SHARED,
      origin: far,
      expected: { folder: join(fixtures.root, 'far') },
      seconds: 30,
      contestants: [
        clients.ours('s3://far', { s3: place }),
        clients.s5cmdCopy('far/*', place),
        clients.rclone('far', place),
        { ...clients.kserve('s3://far', place), rounds: 1 },
      ].map(reset),
      targets: [{ kind: 'faster', than: 's5cmd', times: 0.9 }],
    },
  ];
}

const SLICES_PER_SECOND = 1000 / SLICE_MS;

/** How soon the cap was reached, and how much of it was used from two seconds on. A run that ends before has no share. */
async function share({ far }: Stage): Promise<Extra> {
  const { slices } = await far.passed();
  const cap = FAR.total / SLICES_PER_SECOND;
  const reached = slices.findIndex((bytes) => bytes >= 0.9 * cap);
  // The last slice is cut short by the end of the run.
  const steady = slices.slice(2 * SLICES_PER_SECOND, -1);
  const mean = steady.reduce((total, bytes) => total + bytes, 0) / steady.length;
  return {
    ...(reached !== -1 && { '90 % of the cap after, s': (reached + 1) / SLICES_PER_SECOND }),
    ...(steady.length > 0 && { 'share of the cap after 2 s, %': (100 * mean) / cap }),
  };
}

/**
 * A network without distance that resets a connection each time so much has passed. Its rate is one that the clients can
 * take, so that little lies in the sockets' buffers when they are reset: those bytes count as fetched again.
 */
export function resets(stage: Stage): Workload {
  const { clients, far, fixtures, scale } = stage;
  const place = { endpoint: far.http };
  const network: Distance = {
    roundTripMs: 0,
    perConnection: FAR.perConnection,
    total: FAR.total,
    resetEvery: Math.floor(scale.one / scale.resets),
  };
  const patient = ['--max-tries=0', '--retry-wait=1'];
  return {
    id: 'k-reset',
    title: `One object at ${FAR.total / 1e6} MB/s in all, while a connection is reset ${scale.resets} times`,
    bytes: scale.one,
    modes: SHARED,
    origin: far,
    expected: { file: join(fixtures.root, ONE), as: 'model.bin' },
    seconds: 40,
    contestants: [
      clients.ours(`s3://${ONE}`, { s3: place }),
      clients.s5cmdCopy(ONE, place),
      clients.rclone(ONE, place),
      clients.kserve(`s3://${ONE}`, place),
      { ...clients.aria2c(`${far.http}/${ONE}`, 4, { flags: patient }), rounds: 1 },
    ].map((contestant) => ({
      ...contestant,
      before: async () => {
        far.set(network);
      },
    })),
    extra: async (): Promise<Extra> => {
      const { slices } = await far.passed();
      const passed = slices.reduce((total, bytes) => total + bytes, 0);
      return { 'fetched again, %': 100 * (passed / scale.one - 1) };
    },
  };
}
