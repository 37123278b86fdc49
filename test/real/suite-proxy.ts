/** Stores behind a real forward proxy: who goes through it is read from its own log. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeAuthority } from './authority.ts';
import { MODEL, MODEL_BYTES, type Bench, type Env, type Suite } from './bench.ts';
import { serverKind, type RealServer } from './servers.ts';
import { credentials } from './store.ts';
import { secureMinio } from './suite-tls.ts';
import { resolving, startTinyproxy, type Tinyproxy } from './tinyproxy.ts';

/** Nobody but the proxy knows where this is: what is read from there has passed it. */
const HOST = 'models.store.test';
const USER = 'reader';
/** As it stands, and with an escape; tinyproxy's own configuration takes no character that would need one. */
const PASSWORD = 'open-sesame.please';
const ENCODED = 'open-sesame%2Eplease';

/** What the cases share. */
interface Scene {
  readonly bench: Bench;
  readonly plain: RealServer;
  readonly secure: RealServer;
  readonly gcs: RealServer;
  readonly ca: string;
  readonly open: Tinyproxy;
  readonly guarded: Tinyproxy;
}

type Cases = Record<string, () => Promise<void>>;

export const PROXY_SUITE: Suite = {
  name: 'proxy',
  needs: ['minio', 'fake-gcs-server', 'openssl', 'tinyproxy', 'libnss_wrapper'],
  open: async (bench) => {
    bench.secrets.push(PASSWORD, ENCODED, Buffer.from(`${USER}:${PASSWORD}`).toString('base64'));
    const names = ['IP:127.0.0.1', `DNS:${HOST}`];
    const authority = await makeAuthority(bench.tool('openssl'), bench.newFolder(), names);
    const [{ server: secure }, plain, gcs] = await Promise.all([
      secureMinio(bench, authority),
      filled(bench, 'MinIO'),
      filled(bench, 'fake-gcs-server'),
    ]);
    const hosts = [HOST];
    const open = await startTinyproxy(bench, { hosts });
    const guarded = await startTinyproxy(bench, { hosts, user: USER, password: PASSWORD });
    const scene = { bench, plain, secure, gcs, ca: authority.ca, open, guarded };
    return { ...wayCases(scene), ...credentialCases(scene), ...exemptionCases(scene) };
  },
};

async function filled(bench: Bench, name: string): Promise<RealServer> {
  const { server, store } = await bench.serve(serverKind(name));
  await store.createBucket('models');
  await store.put('models', 'm/', MODEL);
  return server;
}

/** The right environment for `server`, under the name that only the proxy knows. */
function behind(server: RealServer, ca: string): Env {
  const env = Object.entries(credentials(server)).map(([name, value]) => [
    name,
    value.replace('//127.0.0.1', `//${HOST}`),
  ]);
  return { ...(Object.fromEntries(env) as Env), SSL_CERT_FILE: ca };
}

const portOf = (server: RealServer): string => new URL(server.url).port;

function wayCases({ bench, plain, secure, gcs, ca, open }: Scene): Cases {
  const dead = 'http://127.0.0.1:9';
  const overHttp: Record<string, Env> = {
    HTTP_PROXY: { HTTP_PROXY: open.url, HTTPS_PROXY: dead },
    http_proxy: { http_proxy: open.url, HTTP_PROXY: dead },
    ALL_PROXY: { ALL_PROXY: open.url },
    'a proxy without a scheme': { HTTP_PROXY: open.url.replace('http://', '') },
  };
  const overTls: Record<string, Env> = {
    HTTPS_PROXY: { HTTPS_PROXY: open.url, HTTP_PROXY: dead },
    https_proxy: { https_proxy: open.url, HTTPS_PROXY: dead },
    all_proxy: { all_proxy: open.url },
  };
  const forward = (server: RealServer, way: Env) => async () => {
    open.seen();
    server.wire.reset();
    await bench.fetched(`${server.kind.scheme}://models/m`, { ...behind(server, ca), ...way });
    const seen = open.seen();
    const prefix = new RegExp(`^(GET|HEAD) http://${HOST}:${portOf(server)}/`);
    assert.ok(seen.length >= 3, seen.join('\n'));
    assert.deepEqual(
      seen.filter((line) => !prefix.test(line)),
      [],
    );
    assert.ok(server.wire.received() > MODEL_BYTES);
  };
  const tunnelled = (way: Env) => async () => {
    open.seen();
    secure.wire.reset();
    await bench.fetched('s3://models/m', { ...behind(secure, ca), ...way });
    const seen = open.seen();
    // The control plane, and more than one connection for the ranges of the large file.
    assert.ok(seen.length >= 2, seen.join('\n'));
    assert.deepEqual([...new Set(seen)], [`CONNECT ${HOST}:${portOf(secure)}`]);
    assert.ok(secure.wire.received() > MODEL_BYTES);
  };
  return {
    ...Object.fromEntries(
      Object.entries(overHttp).map(([name, way]) => [
        `http:// is read through the forward proxy of ${name}`,
        forward(plain, way),
      ]),
    ),
    "Google's API is read through the forward proxy": forward(gcs, { HTTP_PROXY: open.url }),
    ...Object.fromEntries(
      Object.entries(overTls).map(([name, way]) => [
        `https:// is read through tunnels of ${name}`,
        tunnelled(way),
      ]),
    ),
    'a proxy that is not there is named': async () => {
      const env = { ...behind(secure, ca), HTTPS_PROXY: 'http://127.0.0.1:9' };
      await bench.refused(
        's3://models/m',
        env,
        { code: 'UNAVAILABLE', exit: 12, message: /proxy http:\/\/127\.0\.0\.1:9/ },
        ['--connect-grace', '1s', '--attempts', '1'],
      );
    },
  };
}

function credentialCases({ bench, plain, secure, ca, guarded }: Scene): Cases {
  const withUser = (password: string): string =>
    guarded.url.replace('//', `//${USER}:${password}@`);
  const refusal = {
    code: 'UNAUTHENTICATED',
    exit: 11,
    message: new RegExp(`proxy http://127\\.0\\.0\\.1:${String(guarded.port)}\\b.* 40[17] to `),
    hint: /user:password@/,
  };
  const servers: [string, RealServer, string][] = [
    ['http://', plain, 'HTTP_PROXY'],
    ['https://', secure, 'HTTPS_PROXY'],
  ];
  return Object.fromEntries(
    servers.flatMap(([name, server, variable]): [string, () => Promise<void>][] => [
      [
        `${name} passes a proxy that wants credentials, with the right ones`,
        async () => {
          guarded.seen();
          await bench.fetched('s3://models/m', {
            ...behind(server, ca),
            [variable]: withUser(ENCODED),
          });
          assert.ok(guarded.seen().length >= 2);
        },
      ],
      [
        `${name} passes it with a proxy URL from a file`,
        async () => {
          const file = join(bench.newFolder(), 'proxy');
          writeFileSync(file, `${withUser(ENCODED)}\n`);
          await bench.fetched('s3://models/m', {
            ...behind(server, ca),
            [`${variable}_FILE`]: file,
          });
        },
      ],
      [
        `${name} is refused by it with the wrong ones, which are not told`,
        async () => {
          server.wire.reset();
          bench.secrets.push('wrongpassword');
          const env = { ...behind(server, ca), [variable]: withUser('wrongpassword') };
          await bench.refused('s3://models/m', env, refusal);
          assert.equal(server.wire.received(), 0);
        },
      ],
      [
        `${name} is refused by it without any`,
        async () => {
          const env = { ...behind(server, ca), [variable]: guarded.url };
          await bench.refused('s3://models/m', env, refusal);
        },
      ],
    ]),
  );
}

function exemptionCases({ bench, plain, secure, ca, open }: Scene): Cases {
  const proxies = { HTTP_PROXY: open.url, HTTPS_PROXY: open.url };
  const resolves = resolving(bench, [HOST]);
  const cases: Cases = {};
  for (const [name, server] of [
    ['http://', plain],
    ['https://', secure],
  ] as const) {
    const port = portOf(server);
    const named = { ...behind(server, ca), ...resolves };
    const byAddress = { ...credentials(server), SSL_CERT_FILE: ca };
    const direct: [string, Env][] = [
      [HOST, named],
      ['.store.test', named],
      ['store.test', named],
      [`${HOST}:${port}`, named],
      ['other.test, 127.0.0.1', byAddress],
      ['127.0.0.0/8', byAddress],
      ['*', named],
    ];
    const proxied: [string, Env][] = [
      ['tore.test', named],
      [`${HOST}:1`, named],
      ['10.0.0.0/8', byAddress],
    ];
    const passes = (list: string, env: Env) => async (): Promise<number> => {
      open.seen();
      await bench.fetched('s3://models/m', { ...env, ...proxies, NO_PROXY: list });
      return open.seen().length;
    };
    for (const [list, env] of direct)
      cases[`${name} goes past the proxy by NO_PROXY=${list.replace(port, 'PORT')}`] = async () => {
        assert.equal(await passes(list, env)(), 0);
      };
    for (const [list, env] of proxied)
      cases[`${name} does not by NO_PROXY=${list}`] = async () => {
        assert.ok((await passes(list, env)()) >= 2);
      };
  }
  return cases;
}
