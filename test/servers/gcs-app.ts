/** What the fake GCS answers to each request: routes, access, faults and refusals. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { listPage, sendBytes } from './gcs-read.ts';
import { resource, store, type PutOptions, type Stored } from './gcs-objects.ts';
import { TokenAuthority, type TokenAnswer } from './gcs-tokens.ts';

/** Applied to the next `times` requests whose method and URL match. */
export interface GcsFault {
  readonly match: RegExp;
  times: number;
  readonly status?: number;
  readonly reason?: string;
  readonly message?: string;
  readonly headers?: Record<string, string>;
  /** Milliseconds before anything is answered. */
  readonly delayMs?: number;
  /** Done first: the place to change an object between two requests. */
  readonly before?: () => void;
}

export interface GcsOptions {
  /** Bucket to name to content. */
  readonly buckets?: Readonly<Record<string, Readonly<Record<string, Uint8Array | string>>>>;
  readonly requireAuth?: boolean;
  /** Most items of a page. Default 1000, as GCS has it. */
  readonly pageSize?: number;
  /** Checked in order; may be added to while the server runs. */
  readonly faults?: GcsFault[];
  readonly requesterPays?: boolean;
  /** Older generations stay readable. Default false. */
  readonly versioning?: boolean;
  readonly tokenLifetimeS?: number;
}

export interface LoggedRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage['headers'];
}

/** A refusal in the form of the JSON API. */
class ApiFault extends Error {
  readonly status: number;
  readonly reason: string;
  constructor(status: number, reason: string, message: string) {
    super(message);
    this.status = status;
    this.reason = reason;
  }
}

/** The server without its socket. */
export class FakeGcs {
  base = '';
  hangs = false;
  readonly options: GcsOptions;
  /** Bucket to name to generations, the newest last. */
  readonly buckets = new Map<string, Map<string, Stored[]>>();
  readonly requests: LoggedRequest[] = [];
  readonly faults: GcsFault[];
  readonly tokens: TokenAuthority;

  constructor(options: GcsOptions) {
    this.options = options;
    this.faults = options.faults ?? [];
    this.tokens = new TokenAuthority(options.tokenLifetimeS ?? 3600);
    for (const [bucket, objects] of Object.entries(options.buckets ?? {})) {
      this.buckets.set(bucket, new Map());
      for (const [name, bytes] of Object.entries(objects)) this.put(bucket, name, bytes);
    }
  }

  put(bucket: string, name: string, bytes: Uint8Array | string, options: PutOptions = {}): string {
    const objects = this.buckets.get(bucket) ?? new Map<string, Stored[]>();
    this.buckets.set(bucket, objects);
    const stored = store(bucket, name, Buffer.from(bytes as Uint8Array), options);
    objects.set(name, [...(this.options.versioning ? (objects.get(name) ?? []) : []), stored]);
    return stored.generation;
  }

  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', this.base);
    const method = request.method ?? 'GET';
    this.requests.push({
      method,
      path: url.pathname,
      query: url.searchParams,
      headers: request.headers,
    });
    if (this.hangs) return;
    try {
      if (await this.#fault(method, request.url ?? '/', response)) return;
      await this.#route(request, response, url);
    } catch (error) {
      const fault =
        error instanceof ApiFault ? error : new ApiFault(500, 'backendError', String(error));
      refuse(response, fault, url);
    }
  }

  /** True when the fault was the answer. */
  async #fault(method: string, target: string, response: ServerResponse): Promise<boolean> {
    const fault = this.faults.find((one) => one.times > 0 && one.match.test(`${method} ${target}`));
    if (!fault) return false;
    fault.times--;
    fault.before?.();
    if (fault.delayMs !== undefined)
      await new Promise((resolve) => setTimeout(resolve, fault.delayMs));
    if (fault.status === undefined) return false;
    for (const [name, value] of Object.entries(fault.headers ?? {}))
      response.setHeader(name, value);
    throw new ApiFault(
      fault.status,
      fault.reason ?? 'backendError',
      fault.message ?? 'Backend Error',
    );
  }

  async #route(request: IncomingMessage, response: ServerResponse, url: URL): Promise<void> {
    const { pathname } = url;
    if (request.method === 'POST') {
      sendToken(response, this.#token(pathname, request, new URLSearchParams(await text(request))));
      return;
    }
    if (pathname.startsWith('/computeMetadata/v1/')) {
      const flavor = request.headers['metadata-flavor'];
      sendToken(
        response,
        this.tokens.metadata(pathname, typeof flavor === 'string' ? flavor : undefined),
      );
      return;
    }
    const json = /^(?:\/download)?\/storage\/v1\/b\/([^/]+)(\/o(?:\/([^/]+))?)?\/?$/.exec(pathname);
    if (json) {
      const name = json[3] === undefined ? undefined : decode(json[3]);
      this.#json(request, response, url, decode(json[1]!), name, json[2] !== undefined);
      return;
    }
    const xml = /^\/([^/]+)\/(.+)$/.exec(pathname);
    if (!xml || pathname.startsWith('/storage/')) throw new ApiFault(404, 'notFound', 'Not Found');
    this.#authorise(request, url, 'storage.objects.get');
    sendBytes(request, response, this.#object(decode(xml[1]!), decode(xml[2]!), url));
  }

  #token(path: string, request: IncomingMessage, form: URLSearchParams): TokenAnswer {
    if (path === '/token') return this.tokens.token(form, `${this.base}/token`);
    if (path === '/v1/token') return this.tokens.exchange(form);
    if (path.endsWith(':generateAccessToken')) return this.tokens.impersonate(bearer(request));
    throw new ApiFault(404, 'notFound', 'Not Found');
  }

  #json(
    request: IncomingMessage,
    response: ServerResponse,
    url: URL,
    bucket: string,
    name: string | undefined,
    isObjects: boolean,
  ): void {
    this.#authorise(
      request,
      url,
      name !== undefined
        ? 'storage.objects.get'
        : isObjects
          ? 'storage.objects.list'
          : 'storage.buckets.get',
    );
    const objects = this.#bucket(bucket);
    if (name !== undefined) {
      const object = this.#object(bucket, name, url);
      if (url.searchParams.get('alt') === 'media') sendBytes(request, response, object);
      else sendJson(response, 200, resource(object, this.base));
    } else if (isObjects) {
      const every = [...objects.values()];
      const wanted =
        url.searchParams.get('versions') === 'true'
          ? every.flat()
          : every.map((all) => all.at(-1)!);
      sendJson(
        response,
        200,
        listPage(wanted, url.searchParams, this.options.pageSize ?? 1000, this.base),
      );
    } else {
      sendJson(response, 200, {
        kind: 'storage#bucket',
        id: bucket,
        name: bucket,
        location: 'US',
        storageClass: 'STANDARD',
      });
    }
  }

  #bucket(name: string): Map<string, Stored[]> {
    const bucket = this.buckets.get(name);
    if (!bucket) throw new ApiFault(404, 'notFound', 'The specified bucket does not exist.');
    return bucket;
  }

  #object(bucket: string, name: string, url: URL): Stored {
    const generations = this.#bucket(bucket).get(name) ?? [];
    const wanted = url.searchParams.get('generation');
    if (wanted !== null && !/^\d+$/.test(wanted))
      throw new ApiFault(400, 'invalid', `Invalid value for generation: ${wanted}`);
    const object =
      wanted === null ? generations.at(-1) : generations.find((one) => one.generation === wanted);
    if (!object) throw new ApiFault(404, 'notFound', `No such object: ${bucket}/${name}`);
    const match = url.searchParams.get('ifGenerationMatch');
    if (match !== null && match !== object.generation)
      throw new ApiFault(
        412,
        'conditionNotMet',
        'At least one of the pre-conditions you specified did not hold.',
      );
    return object;
  }

  #authorise(request: IncomingMessage, url: URL, permission: string): void {
    const token = bearer(request);
    if (token !== undefined && !this.tokens.isValid(token))
      throw new ApiFault(401, 'authError', 'Invalid Credentials');
    if (token === undefined && this.options.requireAuth)
      throw new ApiFault(
        401,
        'required',
        `Anonymous caller does not have ${permission} access to the Google Cloud Storage bucket. Permission '${permission}' denied on resource (or it may not exist).`,
      );
    const project = url.searchParams.get('userProject') ?? request.headers['x-goog-user-project'];
    if (this.options.requesterPays && project === undefined)
      throw new ApiFault(
        400,
        'required',
        'Bucket is a requester pays bucket but no user project provided.',
      );
  }
}

function bearer(request: IncomingMessage): string | undefined {
  return /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1];
}

function decode(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    throw new ApiFault(400, 'invalid', 'The path is not percent-encoded UTF-8.');
  }
}

async function text(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

function sendToken(response: ServerResponse, answer: TokenAnswer): void {
  for (const [name, value] of Object.entries(answer.headers ?? {})) response.setHeader(name, value);
  if (typeof answer.body !== 'string') {
    sendJson(response, answer.status, answer.body);
    return;
  }
  response.writeHead(answer.status, { 'content-type': 'application/text' });
  response.end(answer.body);
}

function sendJson(response: ServerResponse, status: number, body: unknown): void {
  const bytes = Buffer.from(JSON.stringify(body));
  response.writeHead(status, {
    'content-type': 'application/json; charset=UTF-8',
    'content-length': bytes.length,
  });
  response.end(bytes);
}

/** Media and XML reads are refused in their own forms, everything else in JSON. */
function refuse(response: ServerResponse, fault: ApiFault, url: URL): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  if (fault.status === 401)
    response.setHeader('www-authenticate', 'Bearer realm="https://accounts.google.com/"');
  const { status, reason, message } = fault;
  if (url.searchParams.get('alt') === 'media') {
    response.writeHead(status, { 'content-type': 'text/html; charset=UTF-8' });
    response.end(message);
  } else if (!/^\/(?:download\/)?(?:storage|computeMetadata|token|v1)\b/.test(url.pathname)) {
    response.writeHead(status, { 'content-type': 'application/xml; charset=UTF-8' });
    response.end(
      `<?xml version='1.0' encoding='UTF-8'?><Error><Code>${reason}</Code><Message>${message}</Message></Error>`,
    );
  } else {
    sendJson(response, status, {
      error: { code: status, message, errors: [{ message, domain: 'global', reason }] },
    });
  }
}
