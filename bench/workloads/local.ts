/** Workloads e, f and g: files that are here already, models that are here already, and nothing at all. */
import { join } from 'node:path';
import { OURS } from '../clients.ts';
import { s3Environment } from '../origin/minio.ts';
import type { Contestant, Setting, Workload } from '../workload.ts';
import { MIB, SHARED, s3Of, type Stage } from './stage.ts';

export function local(stage: Stage): Workload[] {
  return [...copies(stage), ...restarts(stage), start(stage)];
}

function copies({ clients, fixtures, scale }: Stage): Workload[] {
  const big = join(fixtures.root, 'one');
  const tiny = join(fixtures.root, 'tiny');
  const linked = (name: string, from: string, how: string): Contestant =>
    clients.ours(`file://${from}`, { flags: ['--link', how], name });
  const size = `${scale.one / MIB} MiB`;
  return [
    {
      id: 'e-copy',
      title: `A local copy of ${size}`,
      bytes: scale.one,
      modes: SHARED,
      expected: { folder: big },
      seconds: 20,
      contestants: [
        linked('model-fetch', big, 'copy'),
        clients.plain('cp', 'cp', (dest) => ['-r', `${big}/.`, dest]),
        clients.plain('cp --reflink=auto', 'cp', (dest) => [
          '-r',
          '--reflink=auto',
          `${big}/.`,
          dest,
        ]),
        clients.plain('rsync', 'rsync', (dest) => ['-a', '--whole-file', `${big}/`, dest]),
      ],
      targets: [{ kind: 'faster', than: 'cp', times: 0.95 }],
    },
    {
      id: 'e-link',
      title: `Links to ${size}, and to 1 KiB`,
      bytes: 0,
      modes: SHARED,
      seconds: 10,
      contestants: [
        linked('model-fetch, hard', big, 'hard'),
        linked('model-fetch, hard, 1 KiB', tiny, 'hard'),
        linked('model-fetch, symlink', big, 'symlink'),
        clients.plain('cp -l', 'cp', (dest) => ['-rl', `${big}/.`, dest]),
      ],
      targets: [{ kind: 'behind', what: 'model-fetch, hard, 1 KiB', seconds: 0.02 }],
    },
  ];
}

/** Fills the target before the first run, so that every measured one finds it as it should be. */
function warmed(contestant: Contestant): Contestant {
  let warm = false;
  const before = async ({ run, dest }: Setting): Promise<void> => {
    if (warm) return;
    const { status } = await run(contestant.command(dest));
    if (status !== 0) throw new Error(`the first run ended with ${status}`);
    warm = true;
  };
  return { ...contestant, before };
}

function restarts(stage: Stage): Workload[] {
  const { clients, fixtures, nginx, scale } = stage;
  const { plain } = s3Of(stage);
  const source = join(fixtures.root, 'small');
  const common = { bytes: 0, objects: scale.small, modes: SHARED, warm: true, seconds: 12 };
  return [
    {
      ...common,
      id: 'f-s3',
      title: `A restart with ${scale.small} objects unchanged, nginx behind the façade`,
      origin: nginx,
      expected: { folder: source },
      contestants: [
        warmed(clients.ours('s3://small', { s3: plain })),
        { ...clients.s5cmd(() => ['ls', 's3://small/*'], plain, 's5cmd ls'), uncompared: true },
        warmed(clients.s5cmd((dest) => ['sync', 's3://small/*', `${dest}/`], plain, 's5cmd sync')),
        warmed(clients.rclone('small', plain)),
      ],
      targets: [{ kind: 'behind', what: 's5cmd ls', seconds: 0.15 }],
    },
    {
      ...common,
      id: 'f-file',
      title: `A restart with ${scale.small} local files unchanged`,
      contestants: [
        warmed(clients.ours(`file://${source}`, { flags: ['--link', 'copy'] })),
        warmed(clients.plain('rsync', 'rsync', (dest) => ['-a', `${source}/`, dest])),
        { ...node('node -e 0', ['-e', '0']), uncompared: true },
      ],
      targets: [{ kind: 'behind', what: 'node -e 0', seconds: 0.3 }],
    },
  ];
}

function node(name: string, words: string[]): Contestant {
  return { name, needs: [], command: () => ({ argv: [process.execPath, ...words] }) };
}

function start(stage: Stage): Workload {
  const { clients, nginx, scale } = stage;
  const { plain } = s3Of(stage);
  const ours = OURS.slice(1);
  const kserve = clients.kserve('s3://tiny/config.json', plain);
  return {
    id: 'g-start',
    title: 'Cold starts',
    bytes: 0,
    modes: SHARED,
    origin: nginx,
    seconds: 20,
    repeat: scale.starts,
    contestants: [
      node('model-fetch --version', [...ours, '--version']),
      node('node -e 0', ['-e', '0']),
      node('model-fetch --help', [...ours, '--help']),
      clients.ours('s3://tiny/config.json', { s3: plain, name: 'model-fetch, 1 KiB of S3' }),
      { ...clients.s5cmdCopy('tiny/config.json', plain), name: 's5cmd, 1 KiB of S3' },
      { ...clients.rclone('tiny/config.json', plain), name: 'rclone, 1 KiB of S3' },
      { ...kserve, name: 'KServe storage, 1 KiB of S3' },
      { ...clients.plain('s5cmd version', 's5cmd', () => ['version']) },
      {
        ...clients.plain('rclone version', 'rclone', () => ['version']),
        command: rcloneVersion(stage),
      },
    ],
    targets: [{ kind: 'behind', what: 'node -e 0', seconds: 0.015 }],
  };
}

/** rclone's words with the environment that every other client has. */
function rcloneVersion({ clients, nginx }: Stage): Contestant['command'] {
  const plain = clients.plain('rclone version', 'rclone', () => ['version']).command;
  return (dest) => ({ ...plain(dest), env: s3Environment(nginx.http) });
}
