/**
 * nginx as a cheap origin, plain and TLS: static files, and the object half of an S3 whose listings the façade answers.
 * One more port writes a log of the bytes it sent, for the workloads that count them.
 */
import { spawn, execFileSync, type ChildProcess } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ROOT } from '../tools.ts';
import { answering, end, firstLine, freePort, type Origin } from './origin.ts';
import { generatedBody } from './generated.ts';

export interface Nginx extends Origin {
  readonly http: string;
  readonly https: string;
  /** As `http`, but every response's bytes are logged. */
  readonly logged: string;
  /** As `http`, but objects beyond `BUSY_RATE` a second are answered 503. */
  readonly busy: string;
  /** The authority that signed the server's certificate (PEM). */
  readonly ca: string;
  readonly port: number;
  /** Body bytes sent through `logged` since the last call. */
  sentBytes(): number;
}

/** Objects a second that `busy` serves. */
export const BUSY_RATE = 500;

const FACADE = fileURLToPath(new URL('../facade.ts', import.meta.url));

/** Checksums that S3 would send with whole objects, by path below the root: `one/model.bin` to base64. */
export type Checksums = Readonly<Record<string, string>>;

/** Starts it over the files below `root`; its own files go into `work`. */
export async function startNginx(
  program: string,
  { root, work, checksums }: { root: string; work: string; checksums: Checksums },
): Promise<Nginx> {
  mkdirSync(work, { recursive: true });
  const ca = makeCertificates(work);
  const ports = await Promise.all([1, 2, 3, 4, 5].map(() => freePort()));
  const [http, https, logged, busy, listing] = ports;
  const log = join(work, 'bytes.log');
  const config = join(work, 'nginx.conf');
  writeFileSync(
    config,
    configuration({
      root,
      work,
      checksums,
      http: http!,
      https: https!,
      logged: logged!,
      busy: busy!,
      listing: listing!,
    }),
  );
  const facade = spawn(process.execPath, [FACADE, String(listing), root], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const server = spawn(program, ['-c', config, '-p', work, '-e', join(work, 'error.log')], {
    cwd: ROOT,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const stop = async (): Promise<void> => {
    await Promise.all([end(server), end(facade)]);
  };
  try {
    await Promise.all([
      firstLine(facade),
      answering(`http://127.0.0.1:${http}/${generatedBody}`, server),
    ]);
  } catch (error) {
    await stop();
    throw error;
  }
  let read = 0;
  return {
    name: 'nginx',
    http: `http://127.0.0.1:${http}`,
    https: `https://127.0.0.1:${https}`,
    logged: `http://127.0.0.1:${logged}`,
    busy: `http://127.0.0.1:${busy}`,
    port: http!,
    ca,
    pids: () => [...withWorkers(server), facade.pid!],
    sentBytes: () => {
      const text = readFileSync(log, 'utf8');
      const fresh = text.slice(read).split('\n').filter(Boolean);
      read = text.length;
      return fresh.reduce((total, line) => total + Number(line), 0);
    },
    stop,
  };
}

/** The master and its workers. */
function withWorkers(server: ChildProcess): number[] {
  const pid = server.pid!;
  const workers = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ');
  return [pid, ...workers.filter(Boolean).map(Number)];
}

interface Layout {
  readonly root: string;
  readonly work: string;
  readonly checksums: Checksums;
  readonly http: number;
  readonly https: number;
  readonly logged: number;
  readonly busy: number;
  readonly listing: number;
}

function configuration(layout: Layout): string {
  const { work, listing, http, https, logged, busy } = layout;
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  // Workers run as whoever runs this: as root they would otherwise become a user who may not read the files.
  const user = process.getuid?.() === 0 ? 'user root;' : '';
  return `daemon off; ${user} worker_processes 2; pid ${work}/nginx.pid; error_log ${work}/error.log warn;
worker_rlimit_nofile 65536;
events { worker_connections 8192; }
http {
  types { application/json json; application/x-tar tar; application/gzip gz; application/zip zip; }
  default_type application/octet-stream;
  sendfile on; tcp_nopush on; tcp_nodelay on;
  keepalive_timeout 75s; keepalive_requests 10000000; reset_timedout_connection on;
  open_file_cache max=20000 inactive=1h; open_file_cache_valid 1h;
  access_log off; server_tokens off;
  ${temporary.map((name) => `${name}_temp_path ${work}/${name};`).join(' ')}
  ssl_certificate ${work}/server.crt; ssl_certificate_key ${work}/server.key; ssl_session_cache shared:tls:1m;
  log_format bytes '$body_bytes_sent';
  map "$http_x_amz_checksum_mode:$http_range" $whole { default ''; 'ENABLED:' 1; }
  ${checksumMap(layout)}
  limit_req_zone $server_port zone=busy:1m rate=${BUSY_RATE}r/s;
  upstream facade { server 127.0.0.1:${listing}; keepalive 8; }
  server { listen 127.0.0.1:${http} backlog=4096; listen 127.0.0.1:${https} ssl backlog=4096; ${locations(layout)} }
  server { listen 127.0.0.1:${logged} backlog=4096; access_log ${work}/bytes.log bytes; ${locations(layout)} }
  server { listen 127.0.0.1:${busy} backlog=4096; ${locations(layout, 'limit_req zone=busy burst=50 nodelay;')} }
}
`;
}

/** A checksum comes with whole objects only, and only when it was asked for: as Amazon's S3 does it. */
function checksumMap({ checksums }: Layout): string {
  const rows = Object.entries(checksums).map(([path, sum]) => `'1/${path}' '${sum}';`);
  return `map "$whole$uri" $crc64 { default ''; ${rows.join(' ')} }
  map $crc64 $checksum_type { default 'FULL_OBJECT'; '' ''; }`;
}

function locations({ root }: Layout, more = ''): string {
  return `root ${root};
    location ~ "^/[^/]*/?$" { proxy_pass http://facade; proxy_http_version 1.1; proxy_set_header Connection ""; }
    location /gen- { rewrite ^ /${generatedBody} break; }
    location / { ${more} add_header x-amz-checksum-crc64nvme $crc64; add_header x-amz-checksum-type $checksum_type; }`;
}

/** An authority and a certificate for 127.0.0.1, made once. */
function makeCertificates(work: string): string {
  const ca = join(work, 'ca.crt');
  if (readdirSync(work).includes('server.crt')) return ca;
  const openssl = (...args: string[]): void => {
    execFileSync('openssl', args, { cwd: work, stdio: 'pipe' });
  };
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  openssl(
    ...['req', '-x509', ...key, '-keyout', 'ca.key', '-out', 'ca.crt', '-days', '3650'],
    ...['-subj', '/CN=model-fetch benchmarks'],
  );
  openssl('req', ...key, '-keyout', 'server.key', '-out', 'server.csr', '-subj', '/CN=127.0.0.1');
  writeFileSync(join(work, 'san.txt'), 'subjectAltName=IP:127.0.0.1,DNS:localhost\n');
  openssl(
    ...[
      'x509',
      '-req',
      '-in',
      'server.csr',
      '-CA',
      'ca.crt',
      '-CAkey',
      'ca.key',
      '-CAcreateserial',
    ],
    ...['-days', '3650', '-extfile', 'san.txt', '-out', 'server.crt'],
  );
  return ca;
}
