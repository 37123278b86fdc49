import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runCase, testResolver, type Harness } from '../../src/testing/index.ts';
import { hub } from './hub.ts';
import { startHub, type HubServer } from './hub-server.ts';

const TOKEN = 'canary-hub-5a1e';

function harnessOn(server: HubServer): Harness {
  const endpoint = server.hub.origin;
  return {
    resolver: hub({ endpoint, token: TOKEN }),
    uri: 'hub://acme/m',
    put: async (files) => server.push('acme/m', files),
    siblings: async (files) => {
      for (const [name, bytes] of Object.entries(files))
        server.push(`acme/m${name.split('/')[0]!}`, { 'a.bin': bytes });
    },
    missingUri: 'hub://acme/nothing',
    denied: { resolver: hub({ endpoint, token: 'canary-wrong' }) },
    secrets: [TOKEN, 'canary-wrong'],
    twoPages: 25,
    hang: async () => {
      server.hub.hang();
      server.cdn.hang();
    },
    close: () => server.close(),
  };
}

testResolver('hub', async () => harnessOn(await startHub(TOKEN)), {
  except: {
    'lists a single object as one entry with its base name': 'a repository is always a folder',
    'lists the whole of the root': 'repositories are not listed',
  },
});

test('links that have expired are refreshed, and the token never reaches the CDN', async () => {
  const server = await startHub(TOKEN);
  const harness = { ...harnessOn(server), close: async () => undefined };
  try {
    await runCase('reads every file whole', async () => harness);
    const links = server.cdn.asked.filter((asked) => asked.method === 'GET');
    const files = new Set(links.map((asked) => asked.url.pathname)).size;
    assert.equal(
      links.length,
      2 * files,
      'each file by a link that had expired, and by a fresh one',
    );
    for (const { headers } of server.cdn.asked) assert.equal(headers.authorization, undefined);
    assert.ok(server.hub.asked.every(({ headers }) => headers.authorization === `Bearer ${TOKEN}`));
  } finally {
    await server.close();
  }
});
