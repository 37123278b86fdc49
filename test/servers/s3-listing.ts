/** Listings: ListObjectsV2, its older sister, and the two answers about buckets. */
import { encode } from './s3-canonical.ts';
import { document, element, S3Error } from './s3-error.ts';
import type { Bucket, StoredObject } from './s3-store.ts';

export interface ListingRules {
  /** The most a page holds, whatever `max-keys` says. */
  readonly pageSize: number;
  /** The last page of a listing of several pages is empty, without `Contents`. */
  readonly emptyLastPage: boolean;
}

type Item = { readonly name: string } & (
  { readonly object: StoredObject } | { readonly prefix: true }
);

/** The XML of one page. `version` 2 is `list-type=2`. */
export function listObjects(
  bucket: Bucket,
  query: ReadonlyMap<string, string>,
  version: 1 | 2,
  rules: ListingRules,
): string {
  const prefix = query.get('prefix') ?? '';
  const delimiter = query.get('delimiter') ?? '';
  const asked = Number(query.get('max-keys') ?? '1000');
  if (!Number.isSafeInteger(asked) || asked < 0)
    throw new S3Error(
      400,
      'InvalidArgument',
      'Argument maxKeys must be an integer between 0 and 2147483647',
    );
  const token = query.get('continuation-token');
  const after =
    token === undefined ? query.get(version === 2 ? 'start-after' : 'marker') : fromToken(token);
  const all = items(bucket, prefix, delimiter, after ?? '');
  const page = all.slice(0, Math.min(asked, rules.pageSize));
  const truncated = page.length < all.length || endsEmpty(page, token, rules);
  const last = page.at(-1)?.name;
  const name = query.get('encoding-type') === 'url' ? urlEncode : (text: string) => text;
  const more = truncated && asked > 0;

  const head = element('Name', bucket.options.name) + element('Prefix', name(prefix));
  const paging =
    version === 2
      ? element('KeyCount', page.length) +
        element('ContinuationToken', token) +
        element(
          'StartAfter',
          query.has('start-after') ? name(query.get('start-after')!) : undefined,
        ) +
        element('NextContinuationToken', more && last !== undefined ? toToken(last) : undefined)
      : element('Marker', name(after ?? '')) +
        element('NextMarker', more && delimiter && last !== undefined ? name(last) : undefined);
  return document(
    'ListBucketResult',
    head +
      paging +
      element('MaxKeys', asked) +
      element('Delimiter', delimiter === '' ? undefined : name(delimiter)) +
      element('EncodingType', query.get('encoding-type')) +
      element('IsTruncated', more) +
      page.map((item) => itemXml(item, name, version)).join(''),
  );
}

function items(bucket: Bucket, prefix: string, delimiter: string, after: string): Item[] {
  const found: Item[] = [];
  const start = Buffer.from(after);
  let group: string | undefined;
  for (const object of bucket.sorted()) {
    if (!object.key.startsWith(prefix)) continue;
    const cut = delimiter ? object.key.indexOf(delimiter, prefix.length) : -1;
    const name = cut === -1 ? object.key : object.key.slice(0, cut + delimiter.length);
    if (name === group || (after !== '' && Buffer.compare(Buffer.from(name), start) <= 0)) continue;
    if (cut === -1) found.push({ name, object });
    else {
      group = name;
      found.push({ name, prefix: true });
    }
  }
  return found;
}

/** True where a full page claims that more follows although nothing does. */
function endsEmpty(page: readonly Item[], token: string | undefined, rules: ListingRules): boolean {
  return (
    rules.emptyLastPage &&
    page.length > 0 &&
    (token !== undefined || page.length === rules.pageSize)
  );
}

function itemXml(item: Item, name: (text: string) => string, version: 1 | 2): string {
  if ('prefix' in item)
    return `<CommonPrefixes>${element('Prefix', name(item.name))}</CommonPrefixes>`;
  const { object } = item;
  const owner = '<Owner><ID>0</ID><DisplayName>owner</DisplayName></Owner>';
  return `<Contents>${
    element('Key', name(object.key)) +
    element('LastModified', object.lastModified.toISOString()) +
    element('ETag', object.etag) +
    Object.keys(object.checksums)
      .map((one) => element('ChecksumAlgorithm', one.toUpperCase()))
      .join('') +
    element('ChecksumType', object.checksumType) +
    element('Size', object.content.size) +
    (version === 1 ? owner : '') +
    element('StorageClass', object.storageClass)
  }</Contents>`;
}

/** As S3 encodes names: `+` for a space, slashes left alone. */
function urlEncode(text: string): string {
  return encode(text).replaceAll('%20', '+').replaceAll('%2F', '/');
}

function toToken(last: string): string {
  return `1/${Buffer.from(last).toString('base64')}`;
}

function fromToken(token: string): string {
  if (!token.startsWith('1/'))
    throw new S3Error(400, 'InvalidArgument', 'The continuation token provided is incorrect');
  return Buffer.from(token.slice(2), 'base64').toString();
}

/** The XML of GetBucketLocation: `us-east-1` is the empty text. */
export function bucketLocation(region: string): string {
  return document('LocationConstraint', region === 'us-east-1' ? '' : region);
}

/** The XML of ListBuckets. */
export function listBuckets(names: readonly string[]): string {
  const buckets = names.map(
    (name) =>
      `<Bucket>${element('Name', name)}${element('CreationDate', '2024-01-01T00:00:00.000Z')}</Bucket>`,
  );
  return document(
    'ListAllMyBucketsResult',
    `<Owner><ID>0</ID><DisplayName>owner</DisplayName></Owner><Buckets>${buckets.join('')}</Buckets>`,
  );
}
