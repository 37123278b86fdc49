import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runCase, testResolver, type Harness } from '../../src/testing/index.ts';
import { oci } from './oci.ts';
import { startRegistry, type OciServer } from './oci-server.ts';

const LOGIN = 'puller:canary-password';

function harnessOn(server: OciServer): Harness {
  const host = new URL(server.registry.origin).host;
  return {
    resolver: oci({ login: LOGIN }),
    uri: `reg://${host}/models/m:latest`,
    put: async (files) => server.push('models/m', files),
    siblings: async (files) => {
      for (const [name, bytes] of Object.entries(files))
        server.push(`models/m${name.split('/')[0]!}`, { 'a.bin': bytes });
    },
    missingUri: `reg://${host}/models/nothing`,
    denied: { resolver: oci({ login: 'puller:canary-wrong' }) },
    secrets: ['canary-password', 'canary-wrong', 'canary-token'],
    hang: async () => server.registry.hang(),
    close: () => server.close(),
  };
}

testResolver('oci', async () => harnessOn(await startRegistry(LOGIN)), {
  except: {
    'lists a single object as one entry with its base name':
      'an artifact is always a set of layers',
    'lists the whole of the root': 'a registry has no catalogue that can be relied on',
    'lists more than one page': 'a manifest is one document',
  },
});

test('a token that ends half-way is replaced, and storage never sees one', async () => {
  const server = await startRegistry(LOGIN);
  const harness = { ...harnessOn(server), close: async () => undefined };
  try {
    await runCase('reads every file whole', async () => harness);
    const tokens = new Set(server.registry.asked.map(({ headers }) => headers.authorization));
    assert.ok(tokens.has('Bearer canary-token-0') && tokens.has('Bearer canary-token-1'));
    const bodies = server.storage.asked;
    assert.ok(bodies.length > 0, 'the large file came from storage');
    for (const { headers } of bodies) assert.equal(headers.authorization, undefined);
  } finally {
    await server.close();
  }
});
