/**
 * Like WebHDFS: a name node lists folder by folder and redirects a read to a data node, which takes the part wanted as
 * `offset` and `length` in the query and proves nothing about versions.
 */
import { ModelFetchError, type ErrorCode } from '../../src/errors.ts';
import type {
  CallOptions,
  Entry,
  Fetcher,
  HttpAnswer,
  HttpClient,
  HttpLocation,
  HttpRequest,
  Resolver,
} from '../../src/fetcher.ts';
import { encodePath } from './serve.ts';

export interface HdfsOptions {
  /** A delegation token: part of every query, so never part of anything that is shown. */
  readonly delegation?: string;
}

interface FileStatus {
  readonly pathSuffix: string;
  readonly type: 'FILE' | 'DIRECTORY';
  readonly length: number;
  /** Milliseconds since the epoch. */
  readonly modificationTime: number;
}

/** `fakehdfs://namenode:port/path` */
export function hdfs({ delegation }: HdfsOptions = {}): Resolver {
  return {
    async resolve(ref, { http, signal }): Promise<Fetcher> {
      const node = new NameNode(http, ref.raw, `http://${ref.authority}/webhdfs/v1`, delegation);
      const root = ref.path.replace(/\/+$/, '');
      await node.status(root, { signal });
      return {
        uri: ref.raw,
        list: (options = {}) => node.list(root, options),
        locate: (entry, options = {}) => node.locate(entry, options),
      };
    },
  };
}

class NameNode {
  readonly #http: HttpClient;
  readonly #uri: string;
  readonly #base: string;
  readonly #delegation: string | undefined;

  constructor(http: HttpClient, uri: string, base: string, delegation: string | undefined) {
    this.#http = http;
    this.#uri = uri;
    this.#base = base;
    this.#delegation = delegation;
  }

  async status(path: string, options: CallOptions): Promise<FileStatus> {
    const answer = await this.#ask(path, 'GETFILESTATUS', options);
    return (JSON.parse(answer.body.toString()) as { FileStatus: FileStatus }).FileStatus;
  }

  async *list(root: string, options: CallOptions): AsyncGenerator<Entry> {
    const status = await this.status(root, options);
    if (status.type === 'FILE') {
      yield entryOf(root.slice(root.lastIndexOf('/') + 1), root, status);
      return;
    }
    let count = 0;
    for await (const entry of this.#folder(root, '', options)) {
      count++;
      yield entry;
    }
    if (count === 0) throw failed('NOT_FOUND', 'the folder holds no file', this.#uri);
  }

  async *#folder(folder: string, prefix: string, options: CallOptions): AsyncGenerator<Entry> {
    const answer = await this.#ask(folder, 'LISTSTATUS', options);
    const { FileStatuses } = JSON.parse(answer.body.toString()) as {
      FileStatuses: { FileStatus: FileStatus[] };
    };
    for (const status of FileStatuses.FileStatus) {
      const path = `${folder}/${status.pathSuffix}`;
      if (status.type === 'FILE') yield entryOf(prefix + status.pathSuffix, path, status);
      else yield* this.#folder(path, `${prefix}${status.pathSuffix}/`, options);
    }
  }

  async locate(entry: Entry, { signal }: CallOptions): Promise<HttpLocation> {
    const path = entry.source!;
    const call = signal ? { signal } : {};
    // The data node has no validators: size and time are all that tells versions apart.
    if (versionOf(await this.status(path, call)) !== entry.version)
      throw failed('SOURCE_CHANGED', `${entry.path} has changed since it was listed`, this.#uri);
    const answer = await this.#ask(path, 'OPEN', {
      ...call,
      redirect: 'manual',
      answer: 'discard',
    });
    return {
      kind: 'http',
      url: new URL(answer.headers['location'] ?? '', answer.url).href,
      headers: {},
      range: 'offset-length',
      transport: answer.transport,
    };
  }

  async #ask(path: string, op: string, options: HttpRequest): Promise<HttpAnswer> {
    const url = new URL(this.#base + encodePath(path));
    url.searchParams.set('op', op);
    if (this.#delegation !== undefined) url.searchParams.set('delegation', this.#delegation);
    const answer = await this.#http.request(url.href, options);
    if (answer.status < 400) return answer;
    if (answer.status === 404) throw failed('NOT_FOUND', `${path} does not exist`, this.#uri);
    if (answer.status === 401)
      throw failed('UNAUTHENTICATED', 'the name node refuses the token', this.#uri);
    if (answer.status === 403)
      throw failed('PERMISSION_DENIED', `${path} may not be read`, this.#uri);
    throw failed('BAD_RESPONSE', `the name node answers ${String(answer.status)}`, this.#uri);
  }
}

function entryOf(path: string, source: string, status: FileStatus): Entry {
  return { path, size: status.length, version: versionOf(status), source };
}

function versionOf({ length, modificationTime }: FileStatus): string {
  return `${String(length)}-${String(modificationTime)}`;
}

function failed(code: ErrorCode, message: string, uri: string): ModelFetchError {
  return new ModelFetchError(code, message, {
    uri,
    hint: 'Check the path, and the delegation token.',
  });
}
