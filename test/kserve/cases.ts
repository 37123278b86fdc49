/** Which of the recorded init containers are ours, what they find, whom they run as, and what must be there then. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { tar } from '../support/archives.ts';
import type { PodNode } from './node.ts';

/** One recorded init container that is ours to run. */
export interface Case {
  /** Region of the S3 that the environment means. */
  readonly region?: string;
  /** Puts the model where the arguments look for it. */
  readonly fill: (node: PodNode) => Promise<void> | void;
  /** The files that must be there, by mount path. */
  readonly files: Readonly<Record<string, readonly string[]>>;
  /** Variables that come from elsewhere than KServe. */
  readonly env?: (node: PodNode) => Promise<Record<string, string>>;
  readonly uid: number;
}

const MODEL = ['config.json', 'sub/__init__.py', 'weights.bin'];

function putS3(prefix: string): (node: PodNode) => void {
  return ({ s3, weights }) => {
    s3.put('models', `${prefix}/config.json`, '{}');
    s3.put('models', `${prefix}/sub/__init__.py`, '');
    s3.put('models', `${prefix}/weights.bin`, weights);
    s3.put('models', `${prefix}-v2/config.json`, 'another model');
  };
}

export const iris = putS3('iris');
export const base = putS3('base');
const role = (node: PodNode) => node.role();
/** IRSA's and Istio's, the image's own, distroless's, and one out of a namespace's range. */
export const [KSERVE, ISTIO, NONROOT, RANDOM] = [1000, 1337, 65532, 1_000_680_000] as const;

/** By the name of the recording. */
export const CASES: Readonly<Record<string, Case>> = {
  's3-keys': { uid: KSERVE, fill: iris, files: { '/mnt/models': MODEL } },
  's3-irsa': {
    uid: RANDOM,
    region: 'eu-west-1',
    fill: iris,
    files: { '/mnt/models': MODEL },
    env: role,
  },
  's3-ca-bundle': { uid: ISTIO, fill: iris, files: { '/mnt/models': MODEL } },
  's3-readonly-false': { uid: 1001, fill: iris, files: { '/mnt/models': MODEL } },
  'i-uri': { uid: NONROOT, fill: iris, files: { '/mnt/models': MODEL } },
  'i-csc': {
    uid: KSERVE,
    region: 'us-east-1',
    fill: iris,
    files: { '/mnt/models': MODEL },
    env: role,
  },
  'i-spec': {
    uid: RANDOM,
    region: 'eu-central-1',
    fill: putS3('iris/v1'),
    files: { '/mnt/models': MODEL },
  },
  'i-uris': {
    uid: RANDOM,
    fill: (node) => {
      base(node);
      node.gcs.put('bucket', 'adapter/adapter.bin', node.weights);
    },
    files: { '/mnt/models/base': MODEL, '/mnt/models/adapter': ['adapter.bin'] },
  },
  'i-uris-one': { uid: KSERVE, fill: base, files: { '/mnt/models': MODEL } },
  'i-uris-pvc': { uid: ISTIO, fill: base, files: { '/mnt/models/base': MODEL } },
  gs: {
    uid: NONROOT,
    fill: ({ gcs, weights }) => {
      gcs.put('bucket', 'path/model.joblib', weights);
      gcs.put('bucket', 'path/sub/__init__.py', '');
      gcs.put('bucket', 'path-v2/x', 'x');
    },
    files: { '/mnt/models': ['model.joblib', 'sub/__init__.py'] },
  },
  https: {
    uid: RANDOM,
    fill: ({ web, weights }) => {
      const archive = gzipSync(tar({ name: 'model.pth', content: weights }));
      web.put('/m/model.tar.gz', archive, {
        headers: { 'content-type': 'application/octet-stream' },
      });
    },
    files: { '/mnt/models': ['model.pth'] },
  },
  file: {
    uid: KSERVE,
    fill: async (node) => {
      await mkdir(node.path('/mnt/x'), { recursive: true });
      await writeFile(join(node.path('/mnt/x'), 'model.onnx'), node.weights);
    },
    files: { '/mnt/models': ['model.onnx'] },
  },
};
