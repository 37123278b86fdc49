/** Reading a folder: pages of ListObjectsV2, one in memory at a time. */
import { ListObjectsV2Command, type ListObjectsV2CommandOutput } from '@aws-sdk/client-s3';
import { ModelFetchError } from '../errors.ts';
import type { Entry } from '../fetcher.ts';
import { decodeName } from './s3-address.ts';
import type { S3Access } from './s3-client.ts';

/** A folder: `prefix` is empty, or ends in `/`, but for `compat`. */
export interface Folder {
  readonly bucket: string;
  readonly prefix: string;
  /** As it was asked for, for messages. */
  readonly uri: string;
  /** Every key that begins with the letters of `prefix`, but for empty objects. */
  readonly compat?: 'kserve';
}

/** Every object under `folder`, as entries relative to it. Nothing there is `NOT_FOUND`. */
export async function* listFolder(
  access: S3Access,
  folder: Folder,
  signal: AbortSignal,
): AsyncGenerator<Entry> {
  let token: string | undefined;
  let found = false;
  do {
    const page = await readPage(access, folder, signal, token);
    const decode = page.EncodingType === 'url' ? decodeName : (name: string) => name;
    for (const object of page.Contents ?? []) {
      const entry = entryOf(folder, decode(object.Key ?? ''), object.Size ?? 0, object.ETag);
      if (!entry) continue;
      found = true;
      yield entry;
    }
    token = nextToken(page, token, folder);
  } while (token !== undefined);
  if (!found) throw nothingThere(folder);
}

/** Whether anything lies in `folder`. */
export async function isThere(
  access: S3Access,
  folder: Folder,
  signal: AbortSignal,
): Promise<boolean> {
  const page = await readPage(access, folder, signal, undefined, 1);
  return (page.Contents?.length ?? 0) > 0;
}

async function readPage(
  access: S3Access,
  { bucket, prefix, uri }: Folder,
  signal: AbortSignal,
  token: string | undefined,
  most?: number,
): Promise<ListObjectsV2CommandOutput> {
  const command = new ListObjectsV2Command({
    Bucket: bucket,
    Prefix: prefix,
    EncodingType: 'url',
    ...(most !== undefined && { MaxKeys: most }),
    ...(token !== undefined && { ContinuationToken: token }),
    ...(access.options.requesterPays && { RequestPayer: 'requester' as const }),
  });
  const page = await access.send(
    { uri, action: 's3:ListBucket', bucket, key: prefix },
    signal,
    (client) => client.send(command, { abortSignal: signal }),
  );
  // A portal's page, or any other XML, parses to nothing: it is no empty listing.
  if (page.Name === undefined && page.IsTruncated === undefined && page.KeyCount === undefined)
    throw new ModelFetchError('BAD_RESPONSE', `the answer to listing ${uri} is not S3's`, {
      uri,
      hint: 'Check the endpoint: a proxy, a captive portal or a web console may have answered.',
    });
  return page;
}

function nextToken(
  page: ListObjectsV2CommandOutput,
  last: string | undefined,
  folder: Folder,
): string | undefined {
  if (page.IsTruncated !== true) return undefined;
  const next = page.NextContinuationToken;
  if (next !== undefined && next !== '' && next !== last) return next;
  throw new ModelFetchError('BAD_RESPONSE', 'a listing says that there is more, but not where', {
    uri: folder.uri,
    hint: 'The endpoint does not page as ListObjectsV2 does.',
  });
}

/** Undefined for the empty objects that consoles put in the place of folders. */
function entryOf(
  folder: Folder,
  key: string,
  size: number,
  etag: string | undefined,
): Entry | undefined {
  const { bucket, prefix } = folder;
  if (!key.startsWith(prefix))
    throw new ModelFetchError(
      'BAD_RESPONSE',
      `listing s3://${bucket}/${prefix} answered key ${JSON.stringify(key)}`,
      { uri: folder.uri, hint: 'The endpoint does not match prefixes as S3 does.' },
    );
  if (folder.compat && (size === 0 || key.endsWith('/'))) return undefined;
  const path = folder.compat
    ? key.slice(prefix.length).replace(/^\/+/, '')
    : key.slice(prefix.length);
  if (path === '' || path.endsWith('/')) {
    if (size === 0) return undefined;
    throw new ModelFetchError(
      'UNSAFE_PATH',
      `s3://${bucket}/${key} ends in a slash but holds ${size} bytes`,
      {
        uri: folder.uri,
        path,
        hint: 'No file can have that name: rename or remove the object.',
      },
    );
  }
  const version = etag === undefined ? undefined : quoted(etag);
  return { path, size, ...(version !== undefined && { version }), source: key };
}

/** The header's form of an ETag: some servers list it without its quotes. */
export function quoted(etag: string): string {
  return /^(W\/)?".*"$/.test(etag) ? etag : `"${etag}"`;
}

/** There is no model at this address. */
export function nothingThere({ uri }: Folder): ModelFetchError {
  return new ModelFetchError('NOT_FOUND', `there is nothing at ${uri}`, {
    uri,
    hint: 'Check the key: names are case-sensitive, and a folder is matched whole (m is not m-v2).',
  });
}
