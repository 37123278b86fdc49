/** What the operating system and OpenSSL report, as errors a person can act on. */
import { ModelFetchError } from '../errors.ts';

/** Certificate trouble does not go away by trying again. Source: Node's tls documentation, X509 certificate error codes. */
const CERTIFICATE_CODES = new Set([
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'CERT_UNTRUSTED',
  'CERT_REJECTED',
  'CERT_REVOKED',
  'CERT_SIGNATURE_FAILURE',
  'CERT_CHAIN_TOO_LONG',
  'INVALID_CA',
  'INVALID_PURPOSE',
  'PATH_LENGTH_EXCEEDED',
  'UNABLE_TO_DECRYPT_CERT_SIGNATURE',
  'UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY',
  'ERROR_IN_CERT_NOT_BEFORE_FIELD',
  'ERROR_IN_CERT_NOT_AFTER_FIELD',
]);
const NAME_CODES = new Set([
  'ERR_TLS_CERT_ALTNAME_INVALID',
  'HOSTNAME_MISMATCH',
  'ERR_TLS_CERT_ALTNAME_FORMAT',
]);
const TIME_CODES = new Set([
  'CERT_HAS_EXPIRED',
  'CERT_NOT_YET_VALID',
  'CRL_HAS_EXPIRED',
  'CRL_NOT_YET_VALID',
]);
const NOT_TLS =
  /WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG|HTTP_REQUEST|UNSUPPORTED_PROTOCOL|UNKNOWN_PROTOCOL/;
const WANTS_CERTIFICATE =
  /ALERT_(?:CERTIFICATE_REQUIRED|BAD_CERTIFICATE|UNKNOWN_CA|CERTIFICATE_UNKNOWN|ACCESS_DENIED)/;

const CA_HINT =
  'If its authority is your own, name its PEM file in NODE_EXTRA_CA_CERTS or SSL_CERT_FILE (S3: AWS_CA_BUNDLE); it is added to the usual ones.';

const HINTS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'Nothing listens there, or not yet: check host and port.',
  ENOTFOUND:
    'DNS does not know this name: check its spelling, the cluster DNS, and whether a proxy (HTTPS_PROXY) is needed.',
  EAI_AGAIN: 'DNS did not answer: check the cluster DNS and network policies.',
  ETIMEDOUT:
    'No answer: check firewalls, network policies, and whether a proxy (HTTPS_PROXY) is needed.',
  EHOSTUNREACH: 'There is no route to it: check the network and its policies.',
  ENETUNREACH: 'There is no route to it: check the network and its policies.',
};

/** The `code` of a system error, if it has one. */
export function systemCode(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | undefined)?.code;
  return typeof code === 'string' ? code : undefined;
}

/**
 * `error` from connecting to, or talking with, `url`. Certificate and protocol errors are `BAD_RESPONSE` (never retried);
 * all else is `UNAVAILABLE`. The system error stays reachable as `cause`.
 */
export function connectionFailure(
  error: unknown,
  url: URL,
  peer = `${url.hostname}:${portOf(url)}`,
): ModelFetchError {
  if (error instanceof ModelFetchError) return error;
  const code = systemCode(error);
  const text = messageOf(error).replace(/; if the root CA .*/, '');
  const details = { uri: url.href, cause: error };
  const about = `${peer}: ${text}`;
  if (code === undefined) return new ModelFetchError('UNAVAILABLE', about, details);
  if (CERTIFICATE_CODES.has(code))
    return new ModelFetchError('BAD_RESPONSE', `the certificate of ${about}`, {
      ...details,
      hint: CA_HINT,
    });
  if (NAME_CODES.has(code))
    return new ModelFetchError('BAD_RESPONSE', `the certificate of ${about}`, {
      ...details,
      hint: 'The certificate is for another name: use a name that it lists.',
    });
  if (TIME_CODES.has(code))
    return new ModelFetchError('BAD_RESPONSE', `the certificate of ${about}`, {
      ...details,
      hint: 'Check the clock of this machine; else the server needs a new certificate.',
    });
  if (NOT_TLS.test(code))
    return new ModelFetchError('BAD_RESPONSE', `${peer} does not speak TLS (${code})`, {
      ...details,
      hint: 'Is it http:// rather than https://, or another port?',
    });
  if (WANTS_CERTIFICATE.test(code))
    return new ModelFetchError(
      'UNAUTHENTICATED',
      `${peer} refused the client certificate, or wants one (${code})`,
      details,
    );
  return new ModelFetchError('UNAVAILABLE', about, {
    ...details,
    ...(HINTS[code] !== undefined && { hint: HINTS[code] }),
  });
}

/** Explicit or the scheme's own. */
export function portOf(url: URL): string {
  return url.port || (url.protocol === 'https:' ? '443' : '80');
}

/** The error of an interrupted call: the reason itself when it is one of ours (a deadline, say), else `ABORTED`. */
export function abortFailure(signal: AbortSignal): ModelFetchError {
  const reason: unknown = signal.reason;
  if (reason instanceof ModelFetchError) return reason;
  return new ModelFetchError('ABORTED', 'interrupted', { cause: reason });
}

/** A time-out that looks like the kernel's. */
export function timedOut(what: string): Error {
  return Object.assign(new Error(what), { code: 'ETIMEDOUT' });
}

/** Aggregates, of several addresses, have an empty message of their own. */
function messageOf(error: unknown): string {
  if (error instanceof Error && error.message !== '') return error.message;
  return systemCode(error) ?? String(error);
}
