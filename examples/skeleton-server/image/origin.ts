/** Where the models come from: a web server on the host's loopback, which the images' programs share. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';

/** What a version must predict. */
export interface Reference {
  readonly x: number[][];
  readonly probabilities: number[][];
  readonly tolerance: number;
}

export interface Origin extends AsyncDisposable {
  /** The URI of a version. */
  uri(version: string): string;
  reference(version: string): Reference;
}

/** Serves the folders below `models` as `/<name>.tar`. */
export async function startOrigin(models: string): Promise<Origin> {
  const pack = (version: string): Buffer =>
    execFileSync('tar', ['-c', '-C', join(models, version), '.']);
  const archives: Readonly<Record<string, Buffer>> = { '/1.tar': pack('1'), '/2.tar': pack('2') };
  const server = createServer(({ url = '' }, response) => {
    const archive = archives[url];
    if (archive) response.setHeader('etag', `"${url}"`).end(archive);
    else response.writeHead(404).end();
  });
  const references = Object.fromEntries(
    ['1', '2'].map((one) => [
      one,
      JSON.parse(readFileSync(join(models, one, 'reference.json'), 'utf8')),
    ]),
  ) as Record<string, Reference>;
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    uri: (version) => `http://127.0.0.1:${port}/${version}.tar`,
    reference: (version) => references[version]!,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
