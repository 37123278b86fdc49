/** `gs://`: Google Cloud Storage. Lists with Google's client; its locations are bearer URLs pinned to a generation. */
import { ModelFetchError } from '../errors.ts';
import type { Fetcher, HttpClient, ResolveContext, Resolver } from '../fetcher.ts';
import type { Env } from '../registry.ts';
import { GcsApi, type Call, type GcsConnection } from './gcs-api.ts';
import { findCredentials, orAborted } from './gcs-credentials.ts';
import { isPlaceholder, type GcsObject } from './gcs-entry.ts';
import { GcsFetcher, objectsUnder } from './gcs-fetcher.ts';
import { optionsFrom, type GcsOptions } from './gcs-options.ts';
import { formatGcsRef, parseGcsRef, type GcsRef } from './gcs-ref.ts';

export type { GcsOptions } from './gcs-options.ts';

/** Reads `gs://` with what `env` says: ADC, `STORAGE_EMULATOR_HOST`, `GCE_METADATA_HOST`, `MODEL_FETCH_GCS_*`. */
export function fromEnv(env: Env): Resolver {
  return gcs(optionsFrom(env));
}

/** The resolver for `gs://`. Credentials are looked for once per HTTP client, when first needed. */
export function gcs(options: GcsOptions = {}): Resolver {
  const connections = new WeakMap<HttpClient, Promise<GcsConnection>>();
  const connect = ({ http, signal }: ResolveContext): Promise<GcsConnection> => {
    let connection = connections.get(http);
    if (!connection) {
      connection = open(options, http);
      connections.set(http, connection);
      connection.catch(() => connections.delete(http));
    }
    return orAborted(connection, signal);
  };
  return {
    async resolve(ref, context) {
      const wanted = parseGcsRef(ref);
      const call = { uri: formatGcsRef(wanted), signal: context.signal };
      return resolveGcs(wanted, await connect(context), call, options.compat);
    },
    async explain(ref, context) {
      const { bucket, name, generation } = parseGcsRef(ref);
      const { endpoint, credentials } = await connect(context);
      return {
        parts: {
          bucket,
          ...(name !== '' && { name }),
          ...(generation !== undefined && { generation }),
        },
        credentials: credentials.source,
        endpoint,
      };
    },
  };
}

async function open(options: GcsOptions, http: HttpClient): Promise<GcsConnection> {
  const own = options.emulator ?? options.endpoint;
  const looking = options.emulator === undefined ? options : { anonymous: 'as emulators are read' };
  const credentials = await findCredentials(looking, http);
  return {
    isEmulator: options.emulator !== undefined,
    endpoint: own ?? `https://storage.${credentials.universe ?? 'googleapis.com'}`,
    credentials,
    http,
    ...(own !== undefined && { transport: { reach: 'any' } }),
    ...(options.userProject !== undefined && { userProject: options.userProject }),
  };
}

/**
 * A directory, or one object. `m` is the object `m` or everything under `m/`, never `m-v2`; where both exist the
 * directory wins, as in KServe's `_download_gcs` (its S3 does the opposite). Costs one request for a directory, two for
 * an object, none where the URI ends in `/`.
 */
async function resolveGcs(
  ref: GcsRef,
  connection: GcsConnection,
  call: Call,
  compat: GcsOptions['compat'],
): Promise<Fetcher> {
  const api = new GcsApi(connection);
  const fetcher = (found: GcsRef, object?: GcsObject): Fetcher =>
    new GcsFetcher({ api, connection, ref: found, object, signal: call.signal, compat });
  const { bucket, name } = ref;
  if (name === '' && compat) throw wholeBucket(call.uri);
  if (name === '' || name.endsWith('/')) return fetcher(ref);
  let refused: ModelFetchError | undefined;
  if (ref.generation === undefined) {
    try {
      if (await holdsFiles(api, bucket, `${name}/`, call, compat))
        return fetcher({ bucket, name: `${name}/` });
    } catch (error) {
      // Whoever may not list may still read the one object.
      if (!isDenial(error)) throw error;
      refused = error;
    }
  }
  try {
    const object = { ...(await api.object(bucket, name, call, ref.generation)), name };
    const { generation } = object;
    return fetcher({ bucket, name, ...(generation !== undefined && { generation }) }, object);
  } catch (error) {
    throw refused ?? error;
  }
}

function wholeBucket(uri: string): ModelFetchError {
  return new ModelFetchError(
    'NOT_FOUND',
    'KServe fetches no whole bucket of Google Cloud Storage',
    {
      uri,
      hint: 'Name a directory, or leave --compat kserve out.',
    },
  );
}

function isDenial(error: unknown): error is ModelFetchError {
  return (
    error instanceof ModelFetchError &&
    (error.code === 'PERMISSION_DENIED' || error.code === 'UNAUTHENTICATED')
  );
}

async function holdsFiles(
  api: GcsApi,
  bucket: string,
  prefix: string,
  call: Call,
  compat: GcsOptions['compat'],
): Promise<boolean> {
  for await (const object of objectsUnder(api, bucket, prefix, call, 10))
    if (compat || !isPlaceholder(object)) return true;
  return false;
}
