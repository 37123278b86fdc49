/** Workload j: memory, whatever the size of the object or of the listing; also inside a memory cgroup. */
import { join } from 'node:path';
import { limitMemory } from '../cgroup.ts';
import { OURS } from '../clients.ts';
import { GENERATED } from '../origin/generated.ts';
import type { Contestant, Target, Workload } from '../workload.ts';
import { GIB, MIB, SHARED, s3Of, type Stage } from './stage.ts';

const anonymous: Target = { kind: 'anon', of: 'model-fetch', bytes: 128 * MIB };

export function memory(stage: Stage): Workload[] {
  const { clients, fixtures, nginx, scale } = stage;
  const { plain } = s3Of(stage);
  const many = GENERATED[scale.many]!;
  const listed = GENERATED[scale.listed]!;
  const common = { modes: SHARED, origin: nginx, targets: [anonymous] };
  const one = clients.ours('s3://sparse/model.bin', { s3: plain });
  const objects = clients.ours(`s3://${scale.many}`, { s3: plain });
  const listing = lister(stage);
  const limits = limitsHere();
  return [
    {
      ...common,
      id: 'j-large',
      title: `Memory: one object of ${(scale.sparse / GIB).toFixed(3).replace(/\.?0+$/, '')} GiB`,
      bytes: scale.sparse,
      expected: { file: join(fixtures.root, 'sparse/model.bin'), as: 'model.bin' },
      seconds: 220,
      contestants: [one, ...limited(one, limits), clients.s5cmdCopy('sparse/model.bin', plain)].map(
        once,
      ),
    },
    {
      ...common,
      id: 'j-many',
      title: `Memory: ${many} objects of 1 KiB`,
      bytes: many * 1024,
      objects: many,
      expected: { generated: scale.many },
      seconds: 120,
      contestants: [
        objects,
        ...limited(objects, limits),
        clients.s5cmdCopy(`${scale.many}/*`, plain),
      ].map(once),
    },
    {
      ...common,
      id: 'j-list',
      title: `Memory: one object out of a listing of ${listed} keys`,
      bytes: 0,
      objects: listed,
      seconds: 160,
      contestants: [
        listing,
        ...limited(listing, limits),
        { ...clients.ours('', {}), ...ls(stage), name: 'model-fetch ls' },
        clients.s5cmd(() => ['ls', `s3://${scale.listed}/*`], plain, 's5cmd ls'),
      ].map(once),
    },
  ];
}

/** Lists everything, brings one object. */
function lister(stage: Stage): Contestant {
  const { plain } = s3Of(stage);
  const flags = ['--include', '**/part-0000007.bin'];
  return stage.clients.ours(`s3://${stage.scale.listed}`, { s3: plain, flags });
}

function ls(stage: Stage): Pick<Contestant, 'command'> {
  const { plain } = s3Of(stage);
  const { command } = stage.clients.ours(`s3://${stage.scale.listed}`, { s3: plain });
  return {
    command: (dest) => {
      const { argv, ...rest } = command(dest);
      // Our words, then --quiet and the URI; no target.
      return { ...rest, argv: [...OURS, 'ls', ...argv.slice(OURS.length, -1)] };
    },
  };
}

/** A peak needs no median, and these runs are long. */
function once(contestant: Contestant): Contestant {
  return { ...contestant, rounds: 1 };
}

/** The same client inside groups of each limit. The page cache counts there too, but can be taken back. */
function limited(contestant: Contestant, limits: Limits): Contestant[] {
  return limits.map(({ bytes, missing }) => ({
    ...contestant,
    name: `${contestant.name} in a cgroup of ${bytes / MIB} MiB`,
    command: (dest) => ({ ...contestant.command(dest), memory: bytes }),
    uncompared: true,
    ...(missing !== undefined && { missing }),
  }));
}

type Limits = readonly { readonly bytes: number; readonly missing?: string }[];

/** The limits, and why they cannot be set here. */
function limitsHere(): Limits {
  return [256 * MIB, 128 * MIB].map((bytes) => {
    const group = limitMemory(bytes);
    if ('missing' in group) return { bytes, missing: group.missing };
    void group.remove();
    return { bytes };
  });
}
