/** `gs://` against the suite that every scheme passes. */
import { writeFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gcs } from '../../src/fetchers/gcs.ts';
import type { Files, Harness } from '../../src/testing/harness.ts';
import { testResolver } from '../../src/testing/conformance.ts';
import { startGcs, type GcsServer } from '../servers/gcs.ts';

const MODEL = 'models/m';

/** Makes everything whose name starts with `prefix` exactly `files`. */
function replace(server: GcsServer, prefix: string, files: Files): void {
  for (const name of server.names('models'))
    if (name.startsWith(prefix)) server.remove('models', name);
  for (const [path, bytes] of Object.entries(files)) server.put('models', prefix + path, bytes);
}

async function makeHarness(): Promise<Harness> {
  const server = await startGcs({ requireAuth: true, pageSize: 5, buckets: { models: {} } });
  const folder = await mkdtemp(join(tmpdir(), 'gcs-conformance-'));
  const credentialsFile = join(folder, 'key.json');
  const key = server.authorizedUser();
  await writeFile(credentialsFile, JSON.stringify(key));
  return {
    resolver: gcs({ endpoint: server.url, credentialsFile }),
    uri: `gs://models/${MODEL}`,
    rootUri: 'gs://models',
    missingUri: 'gs://models/nothing/here',
    twoPages: 6,
    denied: { resolver: gcs({ endpoint: server.url, anonymous: 'for this test' }) },
    secrets: [key['refresh_token']!, key['client_secret']!],
    put: async (files) => replace(server, `${MODEL}/`, files),
    siblings: async (files) => {
      for (const [name, bytes] of Object.entries(files)) server.put('models', MODEL + name, bytes);
    },
    single: async (name, bytes) => {
      server.put('models', `single/${name}`, bytes);
      return `gs://models/single/${name}`;
    },
    hang: async () => server.hang(),
    close: async () => {
      await server.close();
      await rm(folder, { recursive: true });
    },
  };
}

testResolver('gs', makeHarness);
