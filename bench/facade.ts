/**
 * The S3 half that nginx lacks: answers ListObjectsV2 (and the few bucket questions that clients ask first) for folders
 * below a root, and for generated buckets of any number of keys. Objects themselves are nginx's business. Signatures are
 * accepted unread: this is a benchmark's origin on the loopback, not a store. `node facade.ts PORT ROOT`
 */
import { createHash } from 'node:crypto';
import { readdirSync, statSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { GENERATED, generatedBody, generatedKey } from './origin/generated.ts';

/** Keys in byte order, reachable by index, so that a million of them need not exist. */
interface Bucket {
  readonly count: number;
  key(index: number): string;
  entry(index: number): { readonly size: number; readonly etag: string; readonly modified: string };
}

const [port, root] = process.argv.slice(2);
if (!port || !root) throw new Error('usage: node facade.ts PORT ROOT');
const buckets = new Map<string, Bucket>();

createServer((request, response) => {
  const url = new URL(request.url ?? '/', 'http://facade');
  const name = decodeURIComponent(url.pathname.split('/')[1] ?? '');
  const bucket = name ? open(name) : undefined;
  if (!name) send(response, 200, listBuckets());
  else if (!bucket)
    send(
      response,
      404,
      '<Error><Code>NoSuchBucket</Code><Message>no such bucket</Message></Error>',
    );
  else if (request.method === 'HEAD') send(response, 200, '');
  else if (url.searchParams.has('location'))
    send(response, 200, '<LocationConstraint xmlns="http://s3.amazonaws.com/doc/2006-03-01/"/>');
  else if (url.searchParams.has('versioning'))
    send(
      response,
      200,
      '<VersioningConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"/>',
    );
  else send(response, 200, list(name, bucket, url.searchParams));
}).listen(Number(port), '127.0.0.1', () => process.stdout.write('ready\n'));

function send(response: ServerResponse, status: number, xml: string): void {
  const body = xml && `<?xml version="1.0" encoding="UTF-8"?>\n${xml}`;
  response.writeHead(status, {
    'content-type': 'application/xml',
    'content-length': Buffer.byteLength(body),
    'x-amz-bucket-region': 'us-east-1',
  });
  response.end(body);
}

function open(name: string): Bucket | undefined {
  const known = buckets.get(name) ?? generated(name) ?? folder(join(root!, name));
  if (known) buckets.set(name, known);
  return known;
}

function generated(name: string): Bucket | undefined {
  const count = GENERATED[name];
  if (count === undefined) return undefined;
  // nginx answers every one of these keys with one file, whose validator must be the listing's.
  const one = described(join(root!, generatedBody));
  return { count, key: generatedKey, entry: () => one };
}

function folder(path: string): Bucket | undefined {
  if (!statSync(path, { throwIfNoEntry: false })?.isDirectory()) return undefined;
  const keys = readdirSync(path, { recursive: true, encoding: 'utf8', withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(path.length + 1))
    .sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  const entries = keys.map((key) => described(join(path, key)));
  return { count: keys.length, key: (index) => keys[index]!, entry: (index) => entries[index]! };
}

/** A file as a listing shows it, with the validator that nginx makes for it: hex of the time and of the size. */
function described(path: string): { size: number; etag: string; modified: string } {
  const { size, mtimeMs, mtime } = statSync(path);
  const etag = `${Math.floor(mtimeMs / 1000).toString(16)}-${size.toString(16)}`;
  return { size, etag, modified: mtime.toISOString() };
}

function list(name: string, bucket: Bucket, query: URLSearchParams): string {
  const prefix = query.get('prefix') ?? '';
  const delimiter = query.get('delimiter') ?? '';
  const most = Math.min(1000, Number(query.get('max-keys') ?? 1000));
  const token = query.get('continuation-token');
  const after = query.get('start-after') ?? query.get('marker');
  let index = token
    ? Number(token)
    : after === null
      ? first(bucket, prefix, '')
      : first(bucket, after, after);
  index = Math.max(index, first(bucket, prefix, ''));
  const rows: string[] = [];
  const commons = new Set<string>();
  while (index < bucket.count && rows.length + commons.size < most) {
    const key = bucket.key(index);
    if (!key.startsWith(prefix)) break;
    const cut = delimiter ? key.indexOf(delimiter, prefix.length) : -1;
    if (cut === -1) {
      rows.push(row(key, bucket.entry(index)));
      index += 1;
    } else {
      commons.add(key.slice(0, cut + delimiter.length));
      index = first(bucket, `${key.slice(0, cut)}${delimiter}\u{10ffff}`, '');
    }
  }
  const more = index < bucket.count && bucket.key(index).startsWith(prefix);
  return [
    '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">',
    `<Name>${name}</Name><Prefix>${escape(prefix)}</Prefix><MaxKeys>${most}</MaxKeys>`,
    `<KeyCount>${rows.length + commons.size}</KeyCount><IsTruncated>${more}</IsTruncated>`,
    query.get('encoding-type') === 'url' ? '<EncodingType>url</EncodingType>' : '',
    more ? `<NextContinuationToken>${index}</NextContinuationToken>` : '',
    ...rows,
    ...[...commons].map(
      (one) => `<CommonPrefixes><Prefix>${escape(one)}</Prefix></CommonPrefixes>`,
    ),
    '</ListBucketResult>',
  ].join('');
}

/** The first index whose key is at or behind `from` (behind `past`, when that is given). */
function first(bucket: Bucket, from: string, past: string): number {
  const wanted = Buffer.from(from);
  let [low, high] = [0, bucket.count];
  while (low < high) {
    const middle = (low + high) >>> 1;
    const order = Buffer.compare(Buffer.from(bucket.key(middle)), wanted);
    if (order < 0 || (order === 0 && past !== '')) low = middle + 1;
    else high = middle;
  }
  return low;
}

function row(key: string, { size, etag, modified }: ReturnType<Bucket['entry']>): string {
  return (
    `<Contents><Key>${escape(key)}</Key><LastModified>${modified}</LastModified>` +
    `<ETag>&quot;${etag}&quot;</ETag><Size>${size}</Size><StorageClass>STANDARD</StorageClass></Contents>`
  );
}

/** Keys of benchmarks are plain, so that URL-encoded and plain listings are the same text. */
function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}

function listBuckets(): string {
  const names = [
    ...Object.keys(GENERATED),
    ...readdirSync(root!, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => name),
  ];
  const id = createHash('md5').update(root!).digest('hex');
  const rows = names.map(
    (name) =>
      `<Bucket><Name>${name}</Name><CreationDate>2024-01-01T00:00:00.000Z</CreationDate></Bucket>`,
  );
  return `<ListAllMyBucketsResult><Owner><ID>${id}</ID></Owner><Buckets>${rows.join('')}</Buckets></ListAllMyBucketsResult>`;
}
