import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runCase, testResolver, type Harness } from '../../src/testing/index.ts';
import { hdfs } from './hdfs.ts';
import { startHdfs, type HdfsServer } from './hdfs-server.ts';

const DELEGATION = 'canary-delegation';

function harnessOn(server: HdfsServer): Harness {
  const root = `fakehdfs://${new URL(server.nameNode.origin).host}`;
  return {
    resolver: hdfs({ delegation: DELEGATION }),
    uri: `${root}/models/m`,
    put: async (files) => server.write('/models/m', files),
    siblings: async (files) => {
      for (const [name, bytes] of Object.entries(files))
        server.write(`/models/m${name.split('/')[0]!}`, { 'a.bin': bytes });
    },
    single: async (name, bytes) => {
      server.write('/single', { [name]: bytes });
      return `${root}/single/${name}`;
    },
    rootUri: `${root}/`,
    missingUri: `${root}/models/nothing`,
    denied: { resolver: hdfs({ delegation: 'canary-wrong' }) },
    secrets: [DELEGATION, 'canary-wrong'],
    hang: async () => server.nameNode.hang(),
    close: () => server.close(),
  };
}

testResolver('hdfs', async () => harnessOn(await startHdfs(DELEGATION)), {
  except: { 'lists more than one page': 'LISTSTATUS answers a folder at a time' },
});

test('bodies are asked of the data node, by offset and length', async () => {
  const server = await startHdfs(DELEGATION);
  const harness = { ...harnessOn(server), close: async () => undefined };
  try {
    await runCase('gives ranges that make up the whole', async () => harness);
    const parts = server.dataNode.asked.map(({ url, headers }) => {
      assert.equal(headers.range, undefined);
      return `${String(url.searchParams.get('offset'))}+${String(url.searchParams.get('length'))}`;
    });
    assert.deepEqual(parts.sort(), ['0+1', '1+4095', '4096+1', '4097+5902', '9999+1']);
  } finally {
    await server.close();
  }
});
