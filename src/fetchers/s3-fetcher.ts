/** One model in S3: a single object, or a folder of them. */
import { ModelFetchError } from '../errors.ts';
import type {
  CallOptions,
  Digest,
  Entry,
  FailedLocation,
  Fetcher,
  HttpLocation,
  Parts,
} from '../fetcher.ts';
import { formatS3, type S3Address } from './s3-address.ts';
import { throwIfAborted, type S3Access } from './s3-client.ts';
import { parseErrorBody, toModelFetchError, type S3Failure } from './s3-errors.ts';
import { attemptAt, entryFor, headObject, type ObjectFacts } from './s3-head.ts';
import { isThere, listFolder, nothingThere, type Folder } from './s3-list.ts';
import { serverSaid } from './server-said.ts';
import { forgetSigning, locationOf, usedBy } from './s3-sign.ts';

/** Bytes from which a HEAD for the checksums is worth its round trip. */
const WORTH_A_HEAD = 8 * 1024 * 1024;

type Locate = CallOptions & { readonly failed?: FailedLocation };

/** Finds out what `address` names: HEAD for an object, else the folder. Readers without s3:ListBucket get single objects. */
export async function openS3(
  access: S3Access,
  address: S3Address,
  signal: AbortSignal,
): Promise<Fetcher> {
  if (address.key === '' || address.key.endsWith('/'))
    return folderFetcher(access, address, signal);
  const folder = folderAt(access, address);
  const pinned = address.versionId !== undefined;
  let facts: ObjectFacts;
  try {
    facts = await headObject(access, address, signal);
  } catch (error) {
    if (!(error instanceof ModelFetchError) || pinned) throw error;
    // A HEAD of a missing bucket is told no more than one of a missing key: the listing knows.
    if (error.code === 'NOT_FOUND') return folderFetcher(access, address, signal);
    if (error.code !== 'PERMISSION_DENIED') throw error;
    // Whoever may read `m/*` may not read `m`. Where nothing is listed either, the object's own refusal says more.
    if (await isThere(access, folder, signal).catch(() => false))
      return folderFetcher(access, address, signal);
    throw error;
  }
  // An empty object in the place of a folder is how some tools make folders.
  const isEmpty = facts.size === 0 && !pinned;
  if (isEmpty && access.options.compat) return folderFetcher(access, address, signal);
  if (isEmpty && (await isThere(access, folder, signal).catch(() => false)))
    return folderFetcher(access, address, signal);
  return objectFetcher(access, address, facts, signal);
}

function folderAt({ options }: S3Access, address: S3Address): Folder {
  const { bucket, key } = address;
  const isWhole = key === '' || key.endsWith('/') || options.compat !== undefined;
  return {
    bucket,
    prefix: isWhole ? key : `${key}/`,
    uri: formatS3(address),
    ...(options.compat && { compat: options.compat }),
  };
}

function folderFetcher(access: S3Access, address: S3Address, signal: AbortSignal): Fetcher {
  const { bucket } = address;
  const folder = folderAt(access, address);
  return {
    uri: formatS3(address),
    list: (options = {}) => listFolder(access, folder, options.signal ?? signal),
    locate: (entry, options = {}) =>
      entry.source === undefined
        ? Promise.reject(nothingThere(folder))
        : locate(access, { bucket, key: entry.source }, entry, { signal, ...options }),
  };
}

function objectFetcher(
  access: S3Access,
  address: S3Address,
  first: ObjectFacts,
  signal: AbortSignal,
): Fetcher {
  const revision = first.versionId ?? first.etag;
  const version = address.versionId ?? first.versionId;
  let fresh: ObjectFacts | undefined = first;
  return {
    uri: formatS3({ ...address, ...(version !== undefined && { versionId: version }) }),
    revision,
    single: true,
    async *list(options = {}) {
      throwIfAborted(options.signal ?? signal);
      // What resolve saw serves the first listing; later ones are there to notice changes.
      const facts = fresh ?? (await headObject(access, address, options.signal ?? signal));
      fresh = undefined;
      yield entryFor(address, facts);
    },
    // Read by key, as reading by version is another permission: the ETag pins it as well.
    locate: (entry, options = {}) => locate(access, address, entry, { signal, ...options }),
  };
}

async function locate(
  access: S3Access,
  address: S3Address,
  entry: Entry,
  options: Locate & { readonly signal: AbortSignal },
): Promise<HttpLocation> {
  throwIfAborted(options.signal);
  if (options.failed) return relocate(access, address, entry, options.failed);
  const learnt = entry.digests
    ? { digests: entry.digests }
    : (entry.size ?? 0) <= WORTH_A_HEAD
      ? {}
      : await learntDigests(access, address, entry, options.signal);
  return locationOf(access, wantedAs(address, entry, learnt));
}

/** Of the whole object, or of its parts. */
interface Learnt {
  readonly digests?: readonly Digest[];
  readonly parts?: Parts;
}

/**
 * A HEAD costs a round trip and a listing has no checksums: large objects are worth it. Where HEAD is not allowed there
 * are none to be had, and the GET will say for itself whether it is.
 */
async function learntDigests(
  access: S3Access,
  address: S3Address,
  entry: Entry,
  signal: AbortSignal,
): Promise<Learnt> {
  let facts: ObjectFacts;
  try {
    facts = await headObject(access, address, signal);
  } catch (error) {
    const code = error instanceof ModelFetchError ? error.code : undefined;
    if (code === 'PERMISSION_DENIED' || code === 'BAD_RESPONSE' || code === 'UNSUPPORTED')
      return {};
    throw error;
  }
  if (entry.version === undefined || facts.etag === entry.version) {
    if (!facts.composite) return { digests: facts.digests };
    const { partsOf } = await import('./s3-parts.ts');
    const parts = await partsOf(access, address, facts, facts.composite, signal);
    return parts ? { parts } : {};
  }
  throw new ModelFetchError(
    'SOURCE_CHANGED',
    `${formatS3(address)} has ETag ${facts.etag} now, not ${entry.version}`,
    {
      uri: formatS3(address),
      path: entry.path,
      hint: 'Run again once the upload has finished, or pin an object with ?versionId=.',
    },
  );
}

/** After a refusal on the data plane: a location made with what it taught, or what it means. */
async function relocate(
  access: S3Access,
  address: S3Address,
  entry: Entry,
  failed: FailedLocation,
): Promise<HttpLocation> {
  const { location } = failed;
  forgetSigning(access, address.bucket);
  const digests = location.kind === 'http' ? location.digests : undefined;
  const wanted = wantedAs(address, entry, { ...(digests && { digests }) });
  if (failed.status === undefined) return locationOf(access, wanted);
  const cause = serverSaid(failed.status, failed.body);
  const failure: S3Failure = {
    status: failed.status,
    headers: failed.headers ?? {},
    ...parseErrorBody(failed.body),
    ...(cause && { cause }),
  };
  const used = (location.kind === 'http' ? usedBy(location) : undefined) ?? {
    region: await access.region(address.bucket),
  };
  if (await access.correct(address.bucket, failure, used)) {
    // What others have signed with meanwhile was not corrected.
    forgetSigning(access, address.bucket);
    return locationOf(access, wanted);
  }
  throw toModelFetchError(failure, attemptAt(address));
}

function wantedAs(
  address: S3Address,
  entry: Entry,
  learnt: Learnt,
): Parameters<typeof locationOf>[1] {
  return { address, ...learnt, ...(entry.version !== undefined && { etag: entry.version }) };
}
