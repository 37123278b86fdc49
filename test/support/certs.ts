/** The test certificates of `certs/`, as paths and as text. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export type CertificateName = 'ca' | 'server' | 'expired' | 'client';

/** Absolute path of a certificate or key. */
export function certificatePath(name: CertificateName, kind: 'pem' | 'key' = 'pem'): string {
  return fileURLToPath(new URL(`certs/${name}.${kind}`, import.meta.url));
}

/** Options for a TLS server with the certificate `name`. */
export function serverCertificate(name: 'server' | 'expired' = 'server'): {
  cert: string;
  key: string;
} {
  return {
    cert: readFileSync(certificatePath(name), 'utf8'),
    key: readFileSync(certificatePath(name, 'key'), 'utf8'),
  };
}
