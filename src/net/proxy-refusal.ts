/** A proxy that speaks for itself instead of passing on what the origin says. */
import type { IncomingHttpHeaders } from 'node:http';
import { ModelFetchError } from '../errors.ts';
import { proxyName } from './proxy.ts';

/**
 * Whether a forward proxy made this answer itself. 407 is a proxy's by definition (RFC 9110 section 15.5.8); tinyproxy
 * answers 401 to wrong credentials, and squid marks what it refuses.
 */
export function isProxys(status: number, headers: IncomingHttpHeaders): boolean {
  if (status === 407) return true;
  if (status !== 401 && status !== 403) return false;
  return 'x-squid-error' in headers || /^tinyproxy\b/i.test(String(headers.server));
}

/** The error for `status`, the proxy's own answer to `asked` (`CONNECT host:port`). */
export function proxyRefusal(status: number, proxy: URL, asked: string, url: URL): ModelFetchError {
  const said = `the proxy ${proxyName(proxy)} answers ${String(status)} to ${asked}`;
  if (status === 407 || status === 401)
    return new ModelFetchError('UNAUTHENTICATED', said, {
      uri: url.href,
      hint: 'It wants credentials, the right ones: put user:password@ before the host in the URL of the proxy, percent-encoded.',
    });
  if (status === 403 || status === 405)
    return new ModelFetchError('PERMISSION_DENIED', said, {
      uri: url.href,
      hint: 'The proxy does not allow this host or port; if it is reachable without a proxy, list it in NO_PROXY.',
    });
  const passing = status === 0 || status === 408 || status === 429 || status >= 500;
  return new ModelFetchError(passing ? 'UNAVAILABLE' : 'BAD_RESPONSE', said, {
    uri: url.href,
    hint: 'Check the proxy; if the host is reachable without it, list it in NO_PROXY.',
  });
}
