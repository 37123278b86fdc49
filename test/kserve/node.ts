/**
 * A node that runs recorded init containers: folders for mounts, files for secrets, and the stores and token services that
 * the pods' environment leads to, all real and in this process.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import {
  chmod,
  copyFile,
  mkdir,
  mkdtemp,
  readFile,
  readdir,
  rm,
  writeFile,
} from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';
import { text } from 'node:stream/consumers';
import { MAIN, records, type Ended } from '../cli/child.ts';
import { startGcs, type GcsServer } from '../servers/gcs.ts';
import { startHttpServer, type HttpServer } from '../servers/http.ts';
import { startS3, type S3Server } from '../servers/s3.ts';
import { certificatePath, serverCertificate } from '../support/certs.ts';
import type { EnvVar, InitContainer, Pod } from './vectors.ts';

const KEYS = { accessKeyId: 'minio-user', secretAccessKey: 'minio-password' };
const ROLE = {
  accessKeyId: 'ASIAROLE',
  secretAccessKey: 'role-secret',
  sessionToken: 'role-token',
};
/** No log, error or termination message may hold one of these. */
const SECRETS = [KEYS.secretAccessKey, ROLE.secretAccessKey, ROLE.sessionToken, 'PRIVATE KEY'];

/** Whom the container runs as. Group 0, as on OpenShift; only a test that runs as root can be somebody else. */
export interface User {
  readonly uid: number;
}

export interface RunHow extends Partial<User> {
  /** Set beside what the recording says. */
  readonly env?: Readonly<Record<string, string>>;
  /** Replaces the values of secrets. */
  readonly secrets?: Readonly<Record<string, string>>;
}

export interface Ran extends Ended {
  /** What the kubelet would find in the container's termination message file. */
  readonly message: string;
  /** The records on standard error. */
  readonly told: readonly Record<string, unknown>[];
}

/** Runs a container elsewhere than in a child of this process: in the image, say. */
export interface Launch {
  (run: {
    readonly args: readonly string[];
    readonly env: Readonly<Record<string, string>>;
    readonly uid: number;
    /** Folders of this machine, by their places in the container. */
    readonly mounts: readonly { from: string; at: string; readOnly: boolean }[];
    /** A file of this machine for the termination message. */
    readonly log: string;
  }): Promise<Ended>;
}

/** What the pods' environment leads to; in this process or not. */
export interface Stores {
  readonly s3: { readonly url: string; put(bucket: string, key: string, bytes: Bytes): unknown };
  readonly gcs: {
    readonly url: string;
    put(bucket: string, name: string, bytes: Bytes): unknown;
    /** A key of the one account that may read. */
    serviceAccount(): unknown;
  };
  /** Over TLS, as `localhost`. */
  readonly web: {
    readonly port: number;
    put(
      path: string,
      bytes: Bytes,
      how: { readonly headers: Readonly<Record<string, string>> },
    ): unknown;
  };
  /** Where roles are assumed. */
  readonly sts: string;
}
type Bytes = string | Buffer;

interface OwnStores extends Stores {
  readonly s3: S3Server;
  readonly gcs: GcsServer;
  readonly web: HttpServer;
}

const TOKEN = '/var/run/aws/token';
const AUTHORITIES = '/etc/authorities';

export class PodNode<S extends Stores = Stores> {
  /** The token of the pod's service account. */
  webToken = 'a.web.token';
  /** What a model weighs. */
  weights = Buffer.alloc(300_000, 7);
  /** Absent: the command runs here, from its sources, and places of the container are below `root`. */
  launch: Launch | undefined;
  /** The command, where it runs here. */
  main = MAIN;
  readonly root: string;
  readonly s3: S['s3'];
  readonly gcs: S['gcs'];
  readonly web: S['web'];
  readonly #sts: string;

  constructor(root: string, { s3, gcs, web, sts }: S) {
    this.root = root;
    this.s3 = s3;
    this.gcs = gcs;
    this.web = web;
    this.#sts = sts;
  }

  /** Runs the pod's init container to its end, exactly as it was recorded but for places and secrets. */
  async run(pod: Pod, how: RunHow = {}): Promise<Ran> {
    const [container] = pod.initContainers;
    assert.equal(pod.initContainers.length, 1);
    await this.#mount(container!);
    const log = this.path(container!.terminationMessagePath);
    await mkdir(join(log, '..'), { recursive: true });
    await writeFile(log, '');
    await chmod(log, 0o666);
    const args = container!.args.map((word) => this.#place(word));
    const env = { ...this.#environment(container!, how), ...how.env };
    const ended = this.launch
      ? await this.launch({
          args,
          env: { KUBERNETES_SERVICE_HOST: '10.0.0.1', ...env },
          uid: how.uid ?? 0,
          mounts: this.#mounts(container!),
          log,
        })
      : await this.#spawn(args, { ...env, MODEL_FETCH_TERMINATION_LOG: log }, how);
    const message = await readFile(log, 'utf8');
    for (const secret of SECRETS)
      for (const [where, output] of Object.entries({ ...ended, message }))
        assert.ok(!String(output).includes(secret), `${where} tells a secret`);
    return { ...ended, message, told: records(ended.stderr) };
  }

  /** A path in the container, on this machine. */
  path(mounted: string): string {
    return join(this.root, mounted);
  }

  /** The files below a path in the container, sorted, but for our own. */
  async files(mounted: string): Promise<string[]> {
    const found = await readdir(this.path(mounted), { recursive: true, withFileTypes: true });
    return found
      .filter((one) => one.isFile())
      .map((one) => join(one.parentPath, one.name).slice(this.path(mounted).length + 1))
      .filter((name) => !name.split('/').includes('.model-fetch'))
      .sort();
  }

  /** What the cloud's own webhook adds for a service account with a role (IRSA), and where its services are here. */
  async role(): Promise<Record<string, string>> {
    const token = this.path(TOKEN);
    await mkdir(join(token, '..'), { recursive: true });
    await writeFile(token, this.webToken);
    return {
      AWS_ROLE_ARN: 'arn:aws:iam::123456789012:role/reader',
      AWS_WEB_IDENTITY_TOKEN_FILE: this.launch ? TOKEN : token,
      AWS_ENDPOINT_URL_STS: this.#sts,
      AWS_ENDPOINT_URL_S3: this.s3.url,
    };
  }

  async #mount({ volumeMounts }: InitContainer): Promise<void> {
    for (const { mountPath, readOnly } of volumeMounts) {
      const folder = this.path(mountPath);
      await mkdir(folder, { recursive: true });
      // An emptyDir is for everybody; what is mounted read-only belongs to root.
      await chmod(folder, readOnly === true ? 0o755 : 0o777);
    }
    await writeFile(
      this.path('/var/secrets/gcloud-application-credentials.json'),
      JSON.stringify(this.gcs.serviceAccount()),
    ).catch(() => undefined);
    await mkdir(this.path(AUTHORITIES), { recursive: true });
    await copyFile(certificatePath('ca'), this.path(`${AUTHORITIES}/ca.crt`));
    const bundle = this.path('/etc/ssl/custom-certs/cabundle.crt');
    await writeFile(bundle, await readFile(certificatePath('ca'))).catch(() => undefined);
  }

  /** The recorded mounts, and those of this test's own files: authorities, the cloud's token, a folder that `file` reads. */
  #mounts({ volumeMounts }: InitContainer): { from: string; at: string; readOnly: boolean }[] {
    const own = [AUTHORITIES, dirname(TOKEN), '/mnt/x'];
    return [
      ...volumeMounts.map(({ mountPath, readOnly }) => ({
        at: mountPath,
        readOnly: readOnly === true,
      })),
      ...own.filter((at) => existsSync(this.path(at))).map((at) => ({ at, readOnly: true })),
    ].map((mount) => ({ ...mount, from: this.path(mount.at) }));
  }

  /** The recorded environment, with secrets filled in. Nothing else: no PATH, no HOME. */
  #environment({ env }: InitContainer, { secrets = {} }: RunHow): Record<string, string> {
    const values = { ...this.#secrets(), ...secrets };
    const valueOf = ({ name, value, valueFrom }: EnvVar): string => {
      if (!valueFrom) return this.#place(value ?? '');
      const { name: secret, key } = valueFrom.secretKeyRef;
      const found = values[`${secret}/${key}`];
      assert.ok(found !== undefined, `${name}: no secret ${secret}/${key}`);
      return found;
    };
    const recorded = env.map((one) => [
      one.name.replace('models.example.com', 'localhost'),
      valueOf(one),
    ]);
    return {
      ...(Object.fromEntries(recorded) as Record<string, string>),
      // The world's own authorities and Google's own address, here.
      NODE_EXTRA_CA_CERTS: this.launch ? `${AUTHORITIES}/ca.crt` : certificatePath('ca'),
      MODEL_FETCH_GCS_ENDPOINT: this.gcs.url,
    };
  }

  #secrets(): Record<string, string> {
    return {
      's3creds/AWS_ACCESS_KEY_ID': KEYS.accessKeyId,
      's3creds/AWS_SECRET_ACCESS_KEY': KEYS.secretAccessKey,
      'storage-config/minio': JSON.stringify({
        type: 's3',
        access_key_id: KEYS.accessKeyId,
        secret_access_key: KEYS.secretAccessKey,
        endpoint_url: this.s3.url,
        region: 'us-south',
        bucket: 'elsewhere',
        anonymous: false,
      }),
    };
  }

  /** Hosts and mounted paths, as they are here. */
  #place(value: string): string {
    return value
      .replaceAll('minio.t:9000', this.s3.url.replace('http://', ''))
      .replace('https://models.example.com/', `https://localhost:${this.web.port}/`)
      .replace(/^(file:\/\/)?(?=\/(mnt|var|etc)\/)/, `$1${this.launch ? '' : this.root}`);
  }

  async #spawn(
    words: readonly string[],
    env: Record<string, string>,
    { uid }: RunHow,
  ): Promise<Ended> {
    const someoneElse = uid !== undefined && process.getuid?.() === 0;
    const child = spawn(process.execPath, [this.main, ...words], {
      env,
      cwd: '/',
      ...(someoneElse && { uid, gid: 0 }),
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: 30_000,
      killSignal: 'SIGKILL',
    });
    const ended = new Promise<[number | null, NodeJS.Signals | null]>((resolve, reject) => {
      child.on('error', reject);
      child.on('close', (...how) => resolve(how));
    });
    const [stdout, stderr, [status, signal]] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      ended,
    ]);
    return { status, signal, stdout, stderr };
  }
}

/** A node with its stores up and filled by the caller. S3 is in `region`. Everything is gone after the test. */
export async function startNode(
  t: Pick<TestContext, 'after'>,
  region = 'us-west-2',
): Promise<PodNode<OwnStores>> {
  const root = await mkdtemp(join(tmpdir(), 'model-fetch-pod-'));
  await chmod(root, 0o755);
  t.after(() => rm(root, { recursive: true, force: true }));
  const s3 = await startS3({ region, credentials: [KEYS, ROLE] });
  t.after(() => s3.close());
  const gcs = await startGcs({ requireAuth: true });
  t.after(() => gcs.close());
  const web = await startHttpServer({ tls: serverCertificate() });
  t.after(() => web.close());
  return new PodNode(root, { s3, gcs, web, sts: await startSts(t) });
}

/** Answers `AssumeRoleWithWebIdentity` for the one token there is. */
async function startSts(t: Pick<TestContext, 'after'>): Promise<string> {
  const server = createServer((request, response) => {
    void text(request).then((body) => {
      const known = /Action=AssumeRoleWithWebIdentity.*WebIdentityToken=a\.web\.token/.test(body);
      response
        .writeHead(known ? 200 : 403, { 'content-type': 'text/xml' })
        .end(
          known
            ? assumed()
            : '<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>',
        );
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function assumed(): string {
  const expiration = new Date(Date.now() + 3_600_000).toISOString();
  return `<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult>
    <Credentials><AccessKeyId>${ROLE.accessKeyId}</AccessKeyId><SecretAccessKey>${ROLE.secretAccessKey}</SecretAccessKey>
    <SessionToken>${ROLE.sessionToken}</SessionToken><Expiration>${expiration}</Expiration></Credentials>
    </AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`;
}
