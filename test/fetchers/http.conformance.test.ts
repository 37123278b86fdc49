import { fromEnv } from '../../src/fetchers/http.ts';
import { testResolver } from '../../src/testing/index.ts';
import type { Harness } from '../../src/testing/harness.ts';
import { startHttpServer } from '../servers/http.ts';

async function harness(): Promise<Harness> {
  const server = await startHttpServer();
  const uri = server.url('/models/weights.bin');
  const env = { '127.0.0.1-headers': '{"Authorization":"Bearer sesame-1"}' };
  server.put('/denied.bin', 'x', { allow: () => false });
  return {
    resolver: fromEnv(env),
    uri,
    singleFile: true,
    put: async (files) => {
      server.remove('/models/weights.bin');
      for (const [name, bytes] of Object.entries(files))
        server.put(`/models/${encodeURIComponent(name)}`, bytes);
    },
    single: async (name, bytes) => server.put(`/other/${encodeURIComponent(name)}`, bytes),
    missingUri: server.url('/models/none.bin'),
    denied: { uri: server.url('/denied.bin') },
    hang: async () => void server.faults.push({ kind: 'silence' }),
    secrets: ['sesame-1'],
    close: () => server.close(),
  };
}

testResolver('http', harness);
