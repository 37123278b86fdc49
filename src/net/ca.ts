/** Trust: the roots Node comes with, plus what the operator adds; and client certificates. */
import { readFileSync } from 'node:fs';
import {
  createSecureContext,
  getCACertificates,
  type SecureContext,
  type SecureContextOptions,
} from 'node:tls';
import { ModelFetchError } from '../errors.ts';
import type { Transport } from '../fetcher.ts';
import type { Env } from '../registry.ts';

/**
 * Files with certificate authorities that the environment names. `NODE_EXTRA_CA_CERTS` is missing because Node reads it
 * itself at start. KServe mounts its global bundle as `cabundle.crt`. Source: OpenSSL, requests and KServe documentation.
 */
export function caFiles(env: Env): readonly string[] {
  const mount = env['CA_BUNDLE_VOLUME_MOUNT_POINT'];
  const global =
    env['CA_BUNDLE_CONFIGMAP_NAME'] && mount
      ? `${mount.replace(/\/$/, '')}/cabundle.crt`
      : undefined;
  const files = [env['SSL_CERT_FILE'], env['REQUESTS_CA_BUNDLE'], global];
  return [...new Set(files.filter((file): file is string => file !== undefined && file !== ''))];
}

/** Secure contexts, made once per set of files: parsing the root certificates takes tens of milliseconds. */
export class SecureContexts {
  readonly #extra: readonly string[];
  readonly #made = new Map<string, SecureContext>();

  constructor(extra: readonly string[]) {
    this.#extra = extra;
  }

  /** Throws `INVALID_OPTION` for files that cannot be used. */
  for(transport: Transport | undefined): SecureContext {
    const key = JSON.stringify([transport?.ca, transport?.cert, transport?.key]);
    const known = this.#made.get(key);
    if (known) return known;
    const made = this.#make(transport);
    this.#made.set(key, made);
    return made;
  }

  #make(transport: Transport | undefined): SecureContext {
    const files = [...this.#extra, ...(transport?.ca ? [transport.ca] : [])];
    const cert = transport?.cert;
    const key = transport?.key ?? cert;
    const options: SecureContextOptions = {
      ...(files.length > 0 && { ca: [...getCACertificates('default'), ...files.map(readBundle)] }),
      ...(cert !== undefined && key !== undefined && { cert: read(cert), key: read(key) }),
    };
    try {
      return createSecureContext(options);
    } catch (error) {
      const used = [...files, cert, transport?.key].filter((file) => file !== undefined).join(', ');
      throw new ModelFetchError(
        'INVALID_OPTION',
        `these are not certificates and keys in PEM form: ${used}`,
        {
          cause: error,
        },
      );
    }
  }
}

function readBundle(file: string): string {
  const text = read(file);
  if (text.includes('-----BEGIN')) return text;
  throw new ModelFetchError('INVALID_OPTION', `${file} holds no PEM certificate`, {
    hint: 'A CA bundle is a text file with BEGIN CERTIFICATE blocks.',
  });
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new ModelFetchError('INVALID_OPTION', `cannot read the certificate file ${file}`, {
      cause: error,
      hint: 'It is named by the environment or by the source; check that it is mounted and readable.',
    });
  }
}
