/** `s3://` against the suite that every scheme passes. */
import { s3 } from '../../src/fetchers/s3.ts';
import { testResolver } from '../../src/testing/conformance.ts';
import type { Files, Harness } from '../../src/testing/harness.ts';
import { startS3, type S3Server } from '../servers/s3.ts';
import { reach } from './s3-support.ts';

const MODEL = 'models/m';
const SECRETS = ['s3cr3t-of-the-model', 's3ss10n-token'];

async function makeHarness(): Promise<Harness> {
  const [secretAccessKey = '', sessionToken = ''] = SECRETS;
  const credentials = { accessKeyId: 'reader', secretAccessKey, sessionToken };
  let silent = false;
  const server = await startS3({
    buckets: ['models'],
    credentials: [credentials],
    pageSize: 5,
    emptyLastPage: true,
    faults: () => (silent ? { hang: true } : undefined),
  });
  const resolverAs = (secret: string): Harness['resolver'] =>
    s3(reach(server, { credentials: { ...credentials, secretAccessKey: secret } }));
  return {
    resolver: resolverAs(secretAccessKey),
    uri: `s3://models/${MODEL}`,
    rootUri: 's3://models',
    missingUri: 's3://models/nothing/here',
    twoPages: 6,
    denied: { resolver: resolverAs('another-secret') },
    secrets: [...SECRETS, 'another-secret'],
    put: async (files) => replace(server, files),
    siblings: async (files) => {
      for (const [name, bytes] of Object.entries(files)) server.put('models', MODEL + name, bytes);
    },
    single: async (name, bytes) => {
      server.put('models', `single/${name}`, bytes, { checksums: ['sha256'] });
      return `s3://models/single/${name}`;
    },
    hang: async () => {
      silent = true;
    },
    close: () => server.close(),
  };
}

/** Makes the model exactly `files`. */
function replace(server: S3Server, files: Files): void {
  for (const key of server.keys('models'))
    if (key.startsWith(`${MODEL}/`)) server.remove('models', key);
  for (const [path, bytes] of Object.entries(files))
    server.put('models', `${MODEL}/${path}`, bytes, { checksums: ['crc64nvme'] });
}

testResolver('s3', makeHarness);
