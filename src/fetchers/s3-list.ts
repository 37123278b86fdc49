/** Reading a folder: pages of ListObjectsV2, the next one on its way while one is taken in. */
import { ListObjectsV2Command, type ListObjectsV2CommandOutput } from '@aws-sdk/client-s3';
import { ModelFetchError } from '../errors.ts';
import type { Entry } from '../fetcher.ts';
import { linked } from '../linked.ts';
import { decodeName } from './s3-address.ts';
import type { S3Access } from './s3-client.ts';
import { takingObjects, type ListedObject } from './s3-page.ts';

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
  const stop = new AbortController();
  const own = linked(signal, stop);
  const read = (token?: string): Promise<Page> => {
    const page = readPage(access, folder, own, token);
    // Asked for ahead: whether it failed matters only to who comes to it.
    page.catch(() => undefined);
    return page;
  };
  let found = false;
  let token: string | undefined;
  try {
    for (let coming: Promise<Page> | undefined = read(); coming;) {
      const page: Page = await coming;
      const decode = page.EncodingType === 'url' ? decodeName : (name: string) => name;
      const last = token;
      token = nextToken(page, last, folder);
      coming = token === undefined ? undefined : read(token);
      for (const object of page.objects) {
        const entry = entryOf(folder, decode(object.Key ?? ''), object.Size ?? 0, object.ETag);
        if (!entry) continue;
        found = true;
        yield entry;
      }
    }
  } finally {
    stop.abort();
  }
  if (!found) throw nothingThere(folder);
}

/** What the SDK says of a page, and all of its objects. */
type Page = Omit<ListObjectsV2CommandOutput, 'Contents'> & {
  readonly objects: readonly ListedObject[];
};

/** Whether anything lies in `folder`. */
export async function isThere(
  access: S3Access,
  folder: Folder,
  signal: AbortSignal,
): Promise<boolean> {
  const page = await readPage(access, folder, signal, undefined, 1);
  return page.objects.length > 0;
}

async function readPage(
  access: S3Access,
  { bucket, prefix, uri }: Folder,
  signal: AbortSignal,
  token: string | undefined,
  most?: number,
): Promise<Page> {
  const command = new ListObjectsV2Command({
    Bucket: bucket,
    Prefix: prefix,
    EncodingType: 'url',
    ...(most !== undefined && { MaxKeys: most }),
    ...(token !== undefined && { ContinuationToken: token }),
    ...(access.options.requesterPays && { RequestPayer: 'requester' as const }),
  });
  const taken = takingObjects(command);
  const { Contents: others = [], ...page } = await access.send(
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
  return { ...page, objects: others.length === 0 ? taken() : [...taken(), ...others] };
}

function nextToken(page: Page, last: string | undefined, folder: Folder): string | undefined {
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
