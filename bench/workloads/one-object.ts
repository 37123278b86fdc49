/** Workloads a and i: one large object, by http and by S3's protocol, plain and TLS, unverified and verified. */
import { join } from 'node:path';
import { CHECKED, ONE } from '../fixtures.ts';
import type { S3Place } from '../clients.ts';
import type { Expected } from '../compare.ts';
import type { Contestant, Target, Workload } from '../workload.ts';
import { BOTH, SHARED, s3Of, type Stage } from './stage.ts';

export function oneObject(stage: Stage): Workload[] {
  const { plain, tls } = s3Of(stage);
  return [
    overHttp(stage, 'a-http', 'One object over http', stage.nginx.http),
    overHttp(stage, 'a-https', 'One object over https', stage.nginx.https, stage.nginx.ca),
    overS3(stage, 'a-s3', "One object over S3's protocol, nginx", plain),
    overS3(stage, 'a-s3-tls', "One object over S3's protocol and TLS, nginx", tls),
    withChecksum(stage, plain),
    ...fromMinio(stage),
    verified(stage, plain),
  ];
}

function common(stage: Stage): Pick<Workload, 'bytes' | 'expected' | 'origin'> {
  const expected: Expected = { file: join(stage.fixtures.root, ONE), as: 'model.bin' };
  return { bytes: stage.scale.one, expected, origin: stage.nginx };
}

function overHttp(stage: Stage, id: string, title: string, base: string, ca?: string): Workload {
  const { clients } = stage;
  const url = `${base}/${ONE}`;
  const trust = ca === undefined ? {} : { ca };
  return {
    ...common(stage),
    id,
    title,
    modes: SHARED,
    seconds: 25,
    contestants: [
      clients.ours(url, trust),
      clients.curl(url, trust),
      clients.aria2c(url, 4, trust),
      clients.got(url, ca),
    ],
    targets: [
      { kind: 'faster', than: 'curl', times: 1.2 },
      { kind: 'cpu', against: 'curl', times: 1 },
    ],
  };
}

function overS3(stage: Stage, id: string, title: string, place: S3Place): Workload {
  const { clients } = stage;
  return {
    ...common(stage),
    id,
    title,
    modes: BOTH,
    seconds: 55,
    contestants: [
      ...s3Peers(stage, place),
      curlUnsigned(stage, place),
      clients.awsSdk('one', 'model.bin', place),
    ],
    targets: [
      { kind: 'faster', than: 's5cmd', times: 1.5 },
      { kind: 'faster', than: 'curl', times: 1.2 },
      { kind: 'cpu', against: 'curl', times: 1 },
    ],
  };
}

/** curl asks without a signature, which this origin does not read: it is the floor, not an S3 client. */
function curlUnsigned({ clients }: Stage, { endpoint, ca }: S3Place): Contestant {
  return clients.curl(`${endpoint}/${ONE}`, ca === undefined ? {} : { ca });
}

function s3Peers({ clients }: Stage, place: S3Place): Contestant[] {
  return [
    clients.ours(`s3://${ONE}`, { s3: place }),
    clients.s5cmdCopy(ONE, place),
    clients.rclone(ONE, place),
    clients.boto3('one', 'model.bin', place),
    clients.kserve(`s3://${ONE}`, place),
  ];
}

/** As Amazon's S3 stores objects today: with a CRC-64/NVME, which we and the SDK check, and the others do not. */
function withChecksum(stage: Stage, place: S3Place): Workload {
  const { clients, fixtures } = stage;
  const missing = fixtures.crc64 === undefined ? { missing: 'no library for CRC-64/NVME' } : {};
  const targets: Target[] = [{ kind: 'faster', than: 'AWS SDK for JS', times: 5 }];
  return {
    ...common(stage),
    id: 'a-s3-crc',
    title: 'One object that carries a CRC-64/NVME, nginx',
    modes: SHARED,
    seconds: 25,
    contestants: [
      { ...clients.ours(`s3://${CHECKED}`, { s3: place }), ...missing },
      { ...clients.awsSdk('checked', 'model.bin', place), ...missing },
      clients.s5cmdCopy(CHECKED, place),
    ],
    targets,
  };
}

function fromMinio(stage: Stage): Workload[] {
  const { minio, clients } = stage;
  if (!minio) return [];
  const place = { endpoint: minio.http };
  return [
    {
      ...common(stage),
      id: 'a-minio',
      title: 'One object from MinIO',
      origin: minio,
      modes: SHARED,
      seconds: 70,
      contestants: [...s3Peers(stage, place), clients.awsSdk('one', 'model.bin', place)],
      targets: [{ kind: 'faster', than: 'KServe storage', times: 3 }],
    },
  ];
}

/** Workload i: ours checks a sha256, the others check nothing. */
function verified(stage: Stage, place: S3Place): Workload {
  const { clients, fixtures } = stage;
  const flags = ['--checksum', `sha256:${fixtures.sha256.one}`];
  return {
    ...common(stage),
    id: 'i-sha256',
    title: 'One object with its sha256 checked by ours alone, nginx',
    modes: BOTH,
    seconds: 25,
    contestants: [
      clients.ours(`s3://${ONE}`, { s3: place, flags }),
      clients.ours(`s3://${ONE}`, { s3: place, name: 'model-fetch, unverified' }),
      clients.s5cmdCopy(ONE, place),
    ],
    targets: [{ kind: 'faster', than: 's5cmd', times: 1 }],
  };
}
