/** What runs on a node for EKS Pod Identity: it gives keys to those who show the pod's token. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Bench } from './bench.ts';
import type { TemporaryKeys } from './temporary-keys.ts';

export interface Agent {
  readonly url: string;
  /** What it gives out. */
  keys: TemporaryKeys;
  readonly given: () => number;
}

/** Source: Amazon EKS user guide, "How EKS Pod Identity works"; the answer is that of the container credential provider. */
export async function startAgent(bench: Bench, token: string, keys: TemporaryKeys): Promise<Agent> {
  let given = 0;
  const server = createServer((request, response) => {
    if (request.headers.authorization !== token) {
      response.writeHead(400, { 'content-type': 'application/json' });
      response.end(
        '{"code":"AccessDeniedException","message":"the service account token is not valid"}',
      );
      return;
    }
    given += 1;
    response.setHeader('content-type', 'application/json').end(
      JSON.stringify({
        AccessKeyId: agent.keys.accessKeyId,
        SecretAccessKey: agent.keys.secretAccessKey,
        Token: agent.keys.sessionToken,
        Expiration: new Date(Date.now() + 3_600_000).toISOString(),
      }),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  bench.onEnd(() => {
    server.close();
    server.closeAllConnections();
  });
  const { port } = server.address() as AddressInfo;
  const agent = {
    url: `http://127.0.0.1:${String(port)}/v1/credentials`,
    keys,
    given: () => given,
  };
  return agent;
}
