/** A certificate authority of one test run, and a certificate that it gave to a server. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../image/process.ts';

export interface Authority {
  /** The authority's own certificate, as a PEM file. */
  readonly ca: string;
  /** The server's certificate and key, named as MinIO wants them: `public.crt` and `private.key` in this folder. */
  readonly folder: string;
}

const CONFIG = `
[req]
distinguished_name = name
[name]
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign
subjectKeyIdentifier = hash
[server]
basicConstraints = CA:FALSE
extendedKeyUsage = serverAuth
subjectAltName = `;
const KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];

/** Makes both in `folder`; the server's is for `names` (`IP:127.0.0.1`, `DNS:store.test`) and for two days. */
export async function makeAuthority(
  openssl: string,
  folder: string,
  names: readonly string[],
): Promise<Authority> {
  const at = (name: string): string => join(folder, name);
  const call = (...args: string[]): Promise<string> => run(openssl, args, { cwd: folder });
  writeFileSync(at('openssl.cnf'), `${CONFIG}${names.join(', ')}\n`);
  const config = ['-config', 'openssl.cnf'];
  await call(
    ...['req', '-x509', ...KEY, ...config, '-extensions', 'authority', '-days', '2'],
    ...['-subj', '/CN=An authority of its own', '-keyout', 'ca.key', '-out', 'ca.pem'],
  );
  await call(
    ...['req', ...KEY, ...config, '-subj', '/CN=store', '-keyout', 'private.key'],
    ...['-out', 'server.csr'],
  );
  await call(
    ...['x509', '-req', '-in', 'server.csr', '-CA', 'ca.pem', '-CAkey', 'ca.key'],
    ...['-CAcreateserial', '-days', '2', '-extfile', 'openssl.cnf', '-extensions', 'server'],
    ...['-out', 'public.crt'],
  );
  return { ca: at('ca.pem'), folder };
}
