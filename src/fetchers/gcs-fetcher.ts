/** One bucket, directory or object: lists it page by page, and says where its bytes are. */
import { posix } from 'node:path';
import { asModelFetchError, ModelFetchError } from '../errors.ts';
import type { CallOptions, Entry, FailedLocation, Fetcher, HttpLocation } from '../fetcher.ts';
import type { Call, GcsApi, GcsConnection } from './gcs-api.ts';
import { orAborted, type Token } from './gcs-credentials.ts';
import { isPlaceholder, mediaUrl, toEntry, type GcsObject } from './gcs-entry.ts';
import { gcsError } from './gcs-errors.ts';
import { kserveEntries } from './gcs-kserve.ts';
import { formatGcsRef, type GcsRef } from './gcs-ref.ts';

/** Page by page, in the order of the listing. A server that gives a page twice would go on for ever: refused. */
export async function* objectsUnder(
  api: GcsApi,
  bucket: string,
  prefix: string,
  call: Call,
  most?: number,
): AsyncGenerator<GcsObject> {
  for (let token: string | undefined; ;) {
    const page = await api.page(bucket, prefix, call, {
      token,
      ...(most !== undefined && { most }),
    });
    for (const object of page.objects) {
      if (typeof object.name !== 'string' || !object.name.startsWith(prefix))
        throw new ModelFetchError(
          'BAD_RESPONSE',
          'the listing holds objects that were not asked for',
          { uri: call.uri },
        );
      yield object;
    }
    if (page.next === undefined) return;
    if (page.next === token)
      throw new ModelFetchError('BAD_RESPONSE', 'the listing does not advance', { uri: call.uri });
    token = page.next;
  }
}

export interface GcsFetcherParts {
  readonly api: GcsApi;
  readonly connection: GcsConnection;
  /** A directory, with its final `/`; or an object, at its generation. */
  readonly ref: GcsRef;
  /** The one object, when it is one. */
  readonly object: GcsObject | undefined;
  /** As KServe lists. */
  readonly compat: 'kserve' | undefined;
  /** Of the run; a call may bring its own. */
  readonly signal: AbortSignal;
}

export class GcsFetcher implements Fetcher {
  readonly uri: string;
  readonly revision?: string;
  readonly single: boolean;
  readonly #parts: GcsFetcherParts;

  constructor(parts: GcsFetcherParts) {
    this.#parts = parts;
    this.uri = formatGcsRef(parts.ref);
    this.single = parts.object !== undefined;
    if (parts.ref.generation !== undefined) this.revision = parts.ref.generation;
  }

  async *list(options: CallOptions = {}): AsyncGenerator<Entry> {
    const { api, object: only, ref, compat } = this.#parts;
    if (only) {
      yield toEntry(only, posix.basename(only.name));
      return;
    }
    const { bucket, name: prefix } = ref;
    let files = 0;
    const listing = () => objectsUnder(api, bucket, prefix, this.#call(options));
    for await (const entry of (compat ? kserveEntries : entries)(listing, prefix)) {
      files++;
      yield entry;
    }
    if (files === 0)
      throw new ModelFetchError('NOT_FOUND', `there is nothing in ${this.uri}`, {
        uri: this.uri,
        hint: 'Check the bucket and the path; names are case-sensitive and not percent-decoded.',
      });
  }

  async locate(
    entry: Entry,
    options: CallOptions & { readonly failed?: FailedLocation } = {},
  ): Promise<HttpLocation> {
    const { endpoint, isEmulator, transport, userProject } = this.#parts.connection;
    const { failed } = options;
    const call = this.#call(options);
    const token = failed ? await this.#recover(entry, failed, call) : await this.#token(call);
    return {
      kind: 'http',
      url: mediaUrl(endpoint, this.#parts.ref.bucket, this.#name(entry), entry.version),
      headers: {
        ...token.headers,
        ...(userProject !== undefined && { 'x-goog-user-project': userProject }),
      },
      ...(token.expiresAt !== undefined && { expiresAt: token.expiresAt }),
      ...(entry.ranges === false ? { range: 'none' as const } : { stored: true }),
      // `generation=` is what pins: GCS answers 404 once that generation is gone. The header proves that no cache on the
      // way ignored it; GCS sends it with every whole and every part. Not every emulator does, so there it is not required.
      ...(entry.version !== undefined &&
        !isEmulator && { pin: { response: { 'x-goog-generation': entry.version } } }),
      ...(transport && { transport }),
    };
  }

  async #token({ uri, signal }: Call): Promise<Token> {
    try {
      return await orAborted(this.#parts.connection.credentials.token(), signal);
    } catch (error) {
      throw asModelFetchError(error, 'UNAVAILABLE', { uri });
    }
  }

  /** A token to try again with, or the error that the failure means. */
  async #recover(entry: Entry, failed: FailedLocation, call: Call): Promise<Token> {
    const { credentials } = this.#parts.connection;
    const { location, status } = failed;
    if (status === undefined) return this.#token(call);
    if (status === 401 && location.kind === 'http') {
      const fresh = await orAborted(
        credentials.replace({ headers: location.headers }),
        call.signal,
      );
      if (fresh) return fresh;
    }
    if (status === 404 && entry.version !== undefined)
      await this.#explainMissing(entry, entry.version, call);
    throw gcsError(
      { ...failed, status },
      { uri: this.uri, path: entry.path, anonymous: credentials.anonymous },
    );
  }

  /** Throws the better error when the object is there, only not at that generation. */
  async #explainMissing(entry: Entry, version: string, call: Call): Promise<void> {
    const { api, ref } = this.#parts;
    const now = await api.object(ref.bucket, this.#name(entry), call);
    if (now.generation === version)
      throw new ModelFetchError(
        'BAD_RESPONSE',
        `the server lists ${entry.path} and does not serve it`,
        { uri: this.uri, path: entry.path },
      );
    throw new ModelFetchError(
      'SOURCE_CHANGED',
      `${entry.path} was replaced while it was read: generation ${now.generation ?? 'unknown'} now, not ${version}`,
      {
        uri: this.uri,
        path: entry.path,
        hint: 'Run again once the upload has finished, or pin a generation with #.',
      },
    );
  }

  #name(entry: Entry): string {
    return entry.source ?? this.#parts.ref.name + entry.path;
  }

  #call(options: CallOptions): Call {
    return { uri: this.uri, signal: options.signal ?? this.#parts.signal };
  }
}

async function* entries(
  listing: () => AsyncIterable<GcsObject>,
  prefix: string,
): AsyncGenerator<Entry> {
  for await (const object of listing())
    if (!isPlaceholder(object)) yield toEntry(object, object.name.slice(prefix.length));
}
