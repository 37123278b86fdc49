/** The metadata server of Google's machines and of GKE: is there one, and what token does it give? */
import { request } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { tokenError } from './gcs-errors.ts';

/** The address every Google machine answers at. https://cloud.google.com/compute/docs/metadata/querying-metadata */
export const METADATA_ADDRESS = '169.254.169.254';
const TOKEN_PATH = '/computeMetadata/v1/instance/service-accounts/default/token';

export interface MetadataToken {
  readonly access_token: string;
  /** Milliseconds since the epoch. */
  readonly expiry_date: number;
}

/**
 * A token of the default service account, or undefined when there is no metadata server, it does not answer within
 * `timeoutMs`, or it has no account. Throws `UNAVAILABLE` when there is one that cannot answer now: going on without
 * credentials would be wrong there.
 *
 * Asked directly over `node:http`: this address must never be reached through a proxy, one refusal is the answer, and
 * the whole must be bounded, whereas the control plane waits for servers that are still starting.
 */
export async function metadataToken(
  host: string,
  timeoutMs: number,
): Promise<MetadataToken | undefined> {
  const bound = AbortSignal.timeout(timeoutMs);
  for (let attempt = 1; ; attempt++) {
    const answer = await ask(host, bound).catch(() => undefined);
    // Anything else may listen at that address: only the real one says so.
    if (answer?.flavor !== 'Google') return undefined;
    if (answer.status === 200) return parse(answer.body);
    if (answer.status < 500 && answer.status !== 429) return undefined;
    if (attempt === 3 || bound.aborted) throw tokenError(answer, `metadata server at ${host}`);
    await pause(timeoutMs / 10);
  }
}

interface Answer {
  readonly status: number;
  readonly flavor: string | undefined;
  readonly body: string;
}

function ask(host: string, signal: AbortSignal): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const url = `${/^https?:\/\//.test(host) ? host.replace(/\/$/, '') : `http://${host}`}${TOKEN_PATH}`;
    // No agent: a shared one may have been given a proxy.
    const sent = request(
      url,
      { agent: false, signal, headers: { 'metadata-flavor': 'Google' } },
      (response) => {
        const flavor = response.headers['metadata-flavor'];
        let body = '';
        response.setEncoding('utf8');
        response.on('error', reject);
        response.on('data', (chunk: string) => {
          body += chunk;
          if (body.length > 65_536) sent.destroy(new Error('too long for a token'));
        });
        response.on('end', () => {
          resolve({
            status: response.statusCode ?? 0,
            flavor: typeof flavor === 'string' ? flavor : undefined,
            body,
          });
        });
      },
    );
    sent.on('error', reject);
    sent.end();
  });
}

function parse(body: string): MetadataToken | undefined {
  try {
    const said = JSON.parse(body) as { access_token?: unknown; expires_in?: unknown };
    if (typeof said.access_token !== 'string' || said.access_token === '') return undefined;
    const seconds = typeof said.expires_in === 'number' ? said.expires_in : 0;
    return { access_token: said.access_token, expiry_date: Date.now() + seconds * 1000 };
  } catch {
    return undefined;
  }
}
