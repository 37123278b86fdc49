/** Workload d: archives that are fetched and unpacked. */
import type { Contestant, Target, Workload } from '../workload.ts';
import { BOTH, SHARED, type Stage } from './stage.ts';

export function archives(stage: Stage): Workload[] {
  const { clients, fixtures, nginx } = stage;
  const url = (end: string): string => `${nginx.http}/archives/model.${end}`;
  const piped = (
    name: string,
    end: string,
    through: string,
    more: 'pigz' | 'zstd' | 'gzip' = 'gzip',
  ) => clients.shell(name, ['curl', 'tar', more], `curl -sSf ${url(end)} | ${through} -C "$1"`);
  const make = (
    id: string,
    end: string,
    contestants: readonly Contestant[],
    targets: readonly Target[],
    seconds: number,
  ): Workload => ({
    id,
    title: `${end}: fetched and unpacked`,
    bytes: stage.scale.weights * 4,
    modes: SHARED,
    origin: nginx,
    expected: { folder: fixtures.unpacked },
    contestants: [clients.ours(url(end)), ...contestants],
    targets,
    seconds,
  });
  const unzip = `curl -sSf -o "$1.zip" ${url('zip')} && unzip -q "$1.zip" -d "$1"; status=$?; rm -f "$1.zip"; exit $status`;
  const kserve = (end: string): Contestant => clients.kserve(url(end));
  return [
    make(
      'd1-tar',
      'tar',
      [piped('curl | tar', 'tar', 'tar x'), kserve('tar')],
      [faster('curl | tar', 1)],
      15,
    ),
    {
      ...make(
        'd2-targz',
        'tar.gz',
        [
          piped('curl | tar xz', 'tar.gz', 'tar xz'),
          piped('curl | pigz | tar', 'tar.gz', 'pigz -dc | tar x', 'pigz'),
          kserve('tar.gz'),
        ],
        [faster('curl | tar xz', 1.2)],
        25,
      ),
      modes: BOTH,
    },
    make(
      'd3-tarzst',
      'tar.zst',
      [piped('curl | tar --zstd', 'tar.zst', 'tar x --zstd', 'zstd')],
      [faster('curl | tar --zstd', 0.9)],
      10,
    ),
    make(
      'd4-zip',
      'zip',
      [clients.shell('curl + unzip', ['curl', 'unzip'], unzip), kserve('zip')],
      [faster('curl + unzip', 2)],
      25,
    ),
    sha256OfArchive(stage, url('tar.gz'), piped('curl | tar xz', 'tar.gz', 'tar xz')),
  ];
}

/** Workload i for an archive: its own sha256 is checked while it is unpacked. */
function sha256OfArchive(
  { clients, fixtures, nginx, scale }: Stage,
  url: string,
  piped: Contestant,
): Workload {
  return {
    id: 'i-targz',
    title: 'tar.gz with its sha256 checked by ours alone',
    bytes: scale.weights * 4,
    modes: SHARED,
    origin: nginx,
    expected: { folder: fixtures.unpacked },
    contestants: [
      clients.ours(url, { flags: ['--checksum', `sha256:${fixtures.sha256.targz}`] }),
      piped,
    ],
    seconds: 12,
  };
}

function faster(than: string, times: number): Target {
  return { kind: 'faster', than, times };
}
