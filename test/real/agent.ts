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

/** An STS that gives each who assumes a role by a web identity the next of `keys`, and the last ones again. */
export async function startSts(
  bench: Bench,
  keys: readonly TemporaryKeys[],
): Promise<{ readonly url: string; readonly given: () => number }> {
  let given = 0;
  const server = createServer((_request, response) => {
    const { accessKeyId, secretAccessKey, sessionToken } = keys[given] ?? keys.at(-1)!;
    given += 1;
    const end = new Date(Date.now() + 3_600_000).toISOString();
    response
      .setHeader('content-type', 'text/xml')
      .end(
        `<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult><Credentials>` +
          `<AccessKeyId>${accessKeyId}</AccessKeyId><SecretAccessKey>${secretAccessKey}</SecretAccessKey>` +
          `<SessionToken>${sessionToken}</SessionToken><Expiration>${end}</Expiration>` +
          `</Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`,
      );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  bench.onEnd(() => {
    server.close();
    server.closeAllConnections();
  });
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${String(port)}`, given: () => given };
}
