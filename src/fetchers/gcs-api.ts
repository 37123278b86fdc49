/** The two questions a fetcher asks the JSON API, put by Google's own client and sent over our control plane. */
import { Storage, type Bucket } from '@google-cloud/storage';
import { PassThroughClient } from 'google-auth-library';
import { asModelFetchError, ModelFetchError } from '../errors.ts';
import type { HttpClient, Transport } from '../fetcher.ts';
import { orAborted, type Credentials } from './gcs-credentials.ts';
import { OBJECT_FIELDS, type GcsObject } from './gcs-entry.ts';
import { gcsError, type RefusalContext } from './gcs-errors.ts';

export interface GcsConnection {
  /** Without `/storage/v1`. */
  readonly endpoint: string;
  /** Not Google's: what it leaves out proves nothing. */
  readonly isEmulator: boolean;
  readonly credentials: Credentials;
  readonly http: HttpClient;
  readonly transport?: Transport;
  /** Who pays, and whose quota is used. */
  readonly userProject?: string;
}

export interface Page {
  readonly objects: readonly GcsObject[];
  readonly next?: string;
}

/** What a call is about, for its errors. */
export interface Call {
  readonly uri: string;
  readonly signal: AbortSignal;
}

/** What the client hands to its transport, as far as we use it. */
interface ClientRequest {
  readonly uri: string;
  readonly qs?: Readonly<Record<string, unknown>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly call: Call & Pick<RefusalContext, 'permission'>;
}
type Done = (error: Error | null, body?: unknown) => void;

export class GcsApi {
  readonly #connection: GcsConnection;
  readonly #storage: Storage;

  constructor(connection: GcsConnection) {
    this.#connection = connection;
    this.#storage = new Storage({
      apiEndpoint: connection.endpoint,
      // Tokens come from our credentials: the client looks for none.
      authClient: new PassThroughClient(),
      retryOptions: { autoRetry: false },
    });
    // The client takes STORAGE_EMULATOR_HOST of the process, if set, for its whole base URL, whatever it is told.
    this.#storage.baseUrl = `${connection.endpoint}/storage/v1`;
    // Its transport cannot be given agents, and finds proxies its own way: so requests are sent by the control plane,
    // under the same rules as everything else.
    const send = (request: unknown, done: unknown): void => {
      this.#send(request as ClientRequest).then((body) => {
        (done as Done)(null, body);
      }, done as Done);
    };
    this.#storage.makeAuthenticatedRequest = send as Storage['makeAuthenticatedRequest'];
  }

  /** One page of what is under `prefix`; nothing is buffered beyond it. `most` bounds it. */
  async page(
    bucket: string,
    prefix: string,
    call: Call,
    page: { token?: string | undefined; most?: number } = {},
  ): Promise<Page> {
    const query = {
      autoPaginate: false,
      prefix,
      fields: `items(${OBJECT_FIELDS}),nextPageToken`,
      ...(page.token !== undefined && { pageToken: page.token }),
      ...(page.most !== undefined && { maxResults: page.most }),
    };
    const [objects, next] = await this.#bucket(bucket, {
      ...call,
      permission: 'storage.objects.list',
    }).getFiles(query);
    const token = (next as { pageToken?: string } | null)?.pageToken;
    return {
      // With `fields`, the client answers the items as they came.
      objects: objects as unknown as GcsObject[],
      ...(token !== undefined && { next: token }),
    };
  }

  /** The live object, or one generation of it. Throws `NOT_FOUND`. */
  async object(bucket: string, name: string, call: Call, generation?: string): Promise<GcsObject> {
    const query = { fields: OBJECT_FIELDS, ...(generation !== undefined && { generation }) };
    const file = this.#bucket(bucket, { ...call, permission: 'storage.objects.get' }).file(name);
    const [metadata] = await file.getMetadata(query as object);
    return metadata as unknown as GcsObject;
  }

  /** A bucket of the client whose requests remember what they are for. */
  #bucket(name: string, call: ClientRequest['call']): Bucket {
    const { userProject } = this.#connection;
    const bucket = this.#storage.bucket(name, userProject === undefined ? {} : { userProject });
    bucket.interceptors.push({ request: (request: object) => ({ ...request, call }) as never });
    return bucket;
  }

  async #send(request: ClientRequest): Promise<unknown> {
    const { credentials } = this.#connection;
    const { uri, permission, signal } = request.call;
    const about = { uri, ...(permission !== undefined && { permission }) };
    try {
      let token = await orAborted(credentials.token(), signal);
      let answer = await this.#ask(request, token.headers);
      if (answer.status === 401) {
        const fresh = await orAborted(credentials.replace(token), signal);
        if (fresh) answer = await this.#ask(request, (token = fresh).headers);
      }
      const body = answer.body.toString();
      if (answer.status !== 200)
        throw gcsError({ ...answer, body }, { ...about, anonymous: credentials.anonymous });
      return parse(body, uri);
    } catch (error) {
      if (signal.aborted) throw asModelFetchError(signal.reason, 'ABORTED', { uri });
      throw asModelFetchError(error, 'UNAVAILABLE', { uri });
    }
  }

  #ask(
    request: ClientRequest,
    authorization: Readonly<Record<string, string>>,
  ): ReturnType<HttpClient['request']> {
    const { http, transport } = this.#connection;
    const url = new URL(request.uri);
    for (const [name, value] of Object.entries(request.qs ?? {}))
      if (name !== 'autoPaginate' && value !== undefined)
        url.searchParams.set(name, `${value as string | number}`);
    return http.request(url.href, {
      headers: { ...request.headers, ...authorization },
      signal: request.call.signal,
      ...(transport && { transport }),
    });
  }
}

/** What the client goes on to handle without looking: an error thrown there would be heard by nobody. */
function parse(body: string, uri: string): object {
  try {
    const said: unknown = JSON.parse(body);
    if (isObject(said)) {
      const { items = [], nextPageToken = '' } = said;
      if (Array.isArray(items) && items.every(isObject) && typeof nextPageToken === 'string')
        return said;
    }
  } catch {
    // Told below.
  }
  throw new ModelFetchError(
    'BAD_RESPONSE',
    'the answer is not one of the JSON API of Google Cloud Storage',
    {
      uri,
      hint: 'Is the endpoint right, and nothing between that answers in its place?',
    },
  );
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
