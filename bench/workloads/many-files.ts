/** Workloads b and c: ten thousand small objects, and the shape of a language model. */
import { writeFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { S3Place } from '../clients.ts';
import type { Origin } from '../origin/origin.ts';
import type { Contestant, Workload } from '../workload.ts';
import { BOTH, MIB, SHARED, s3Of, type Stage } from './stage.ts';

export function manyFiles(stage: Stage): Workload[] {
  const { plain } = s3Of(stage);
  const { minio, nginx } = stage;
  const small = {
    ...smallFiles(stage, 'b-s3', 'from nginx behind the façade', nginx, plain),
    modes: BOTH,
    targets: [{ kind: 'faster', than: 's5cmd', times: 2 }] as const,
  };
  const llm = {
    ...languageModel(stage, 'c-s3', 'from nginx', nginx, plain),
    targets: [{ kind: 'faster', than: 's5cmd', times: 1.5 }] as const,
  };
  const found: Workload[] = [
    { ...small, contestants: [...small.contestants, curlMany(stage)] },
    llm,
  ];
  if (!minio) return found;
  const place = { endpoint: minio.http };
  return [
    ...found,
    {
      ...smallFiles(stage, 'b-minio', 'from MinIO', minio, place),
      seconds: 140,
      targets: [
        { kind: 'faster', than: 's5cmd', times: 1.3 },
        { kind: 'faster', than: 'KServe storage', times: 12 },
      ],
    },
    {
      ...languageModel(stage, 'c-minio', 'from MinIO', minio, place),
      seconds: 110,
      targets: [{ kind: 'faster', than: 'KServe storage', times: 3 }],
    },
  ];
}

function smallFiles(
  stage: Stage,
  id: string,
  from: string,
  origin: Origin,
  place: S3Place,
): Workload {
  return {
    id,
    title: `${stage.scale.small} objects of 16 KiB ${from}`,
    bytes: stage.scale.small * 16_384,
    objects: stage.scale.small,
    modes: SHARED,
    origin,
    expected: { folder: join(stage.fixtures.root, 'small') },
    seconds: 90,
    contestants: peers(stage, 'small', place, 1),
  };
}

function languageModel(
  stage: Stage,
  id: string,
  from: string,
  origin: Origin,
  place: S3Place,
): Workload {
  return {
    id,
    title: `A language model: 8 x ${stage.scale.shard / MIB} MiB and 12 small files, ${from}`,
    bytes: stage.scale.shard * 8,
    modes: SHARED,
    origin,
    expected: { folder: join(stage.fixtures.root, 'llm') },
    seconds: 60,
    contestants: peers(stage, 'llm', place, 2),
  };
}

function peers(
  { clients }: Stage,
  bucket: string,
  place: S3Place,
  kserveRounds: number,
): Contestant[] {
  return [
    clients.ours(`s3://${bucket}`, { s3: place }),
    clients.s5cmdCopy(`${bucket}/*`, place),
    clients.rclone(bucket, place),
    { ...clients.kserve(`s3://${bucket}`, place), rounds: kserveRounds },
  ];
}

/** curl is told every name beforehand, and so lists nothing: a floor for the requests alone. */
function curlMany(stage: Stage): Contestant {
  const root = join(stage.fixtures.root, 'small');
  const paths = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((path) =>
    path.endsWith('.bin'),
  );
  const config = join(stage.work, 'curl-small.txt');
  writeFileSync(
    config,
    paths.map((path) => `url=${stage.nginx.http}/small/${path}\noutput=${path}\n`).join(''),
  );
  return stage.clients.plain('curl --parallel, unlisted', 'curl', (dest) => [
    ...['-sSf', '--parallel', '--parallel-max', '64', '--create-dirs', '--output-dir', dest],
    ...['-K', config],
  ]);
}
