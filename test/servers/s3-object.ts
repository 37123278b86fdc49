/** Answers about one object: HEAD, GET and GetObjectAttributes. Decides; `s3.ts` sends. */
import { CHECKSUMS } from './s3-checksums.ts';
import { document, element, S3Error } from './s3-error.ts';
import type { Bucket, StoredObject } from './s3-store.ts';

/** A head, and which bytes of the object follow it. */
export interface ObjectAnswer {
  readonly status: number;
  readonly headers: Record<string, string>;
  readonly object: StoredObject;
  readonly start: number;
  readonly end: number;
}

type Headers = Readonly<Record<string, string>>;

/** What is bent on purpose, as some servers and proxies do. */
export interface Bends {
  readonly etag?: string;
  readonly ignoreIfMatch?: boolean;
  /** `whole`: 200 and everything. `part`: the right part and Content-Range, but status 200. */
  readonly range?: 'whole' | 'part';
}

/** GET or HEAD of an object that is there and may be read. */
export function readObject(
  object: StoredObject,
  query: ReadonlyMap<string, string>,
  headers: Headers,
  bends: Bends,
): ObjectAnswer {
  checkCustomerKey(object, headers);
  if (object.storageClass === 'GLACIER')
    throw new S3Error(
      403,
      'InvalidObjectState',
      "The operation is not valid for the object's storage class",
    );
  const etag = bends.etag ?? object.etag;
  const notModified = checkConditions(object, etag, headers, bends.ignoreIfMatch === true);
  const size = object.content.size;
  const base = baseHeaders(object, etag);
  if (notModified) return { status: 304, headers: base, object, start: 0, end: 0 };
  if (query.has('partNumber'))
    return partAnswer(object, Number(query.get('partNumber')), headers, base);
  const range = bends.range === 'whole' ? undefined : rangeOf(headers['range'], size);
  if (range) {
    const [start, end] = range;
    return {
      status: bends.range === 'part' ? 200 : 206,
      headers: {
        ...base,
        'content-range': `bytes ${start}-${end - 1}/${size}`,
        'content-length': String(end - start),
      },
      object,
      start,
      end,
    };
  }
  return {
    status: 200,
    headers: { ...base, ...checksumHeaders(object, headers), 'content-length': String(size) },
    object,
    start: 0,
    end: size,
  };
}

function baseHeaders(object: StoredObject, etag: string): Record<string, string> {
  return {
    etag,
    'accept-ranges': 'bytes',
    'last-modified': object.lastModified.toUTCString(),
    'content-type': object.contentType,
    ...(object.contentEncoding !== undefined && { 'content-encoding': object.contentEncoding }),
    ...(object.versionId !== undefined && { 'x-amz-version-id': object.versionId }),
    ...(object.storageClass !== 'STANDARD' && { 'x-amz-storage-class': object.storageClass }),
    ...(object.customerKeyMd5 !== undefined && {
      'x-amz-server-side-encryption-customer-algorithm': 'AES256',
      'x-amz-server-side-encryption-customer-key-md5': object.customerKeyMd5,
    }),
  };
}

/** Only for wholes, and only when asked: S3 never states a checksum beside a range. */
function checksumHeaders(object: StoredObject, headers: Headers): Record<string, string> {
  if (headers['x-amz-checksum-mode']?.toUpperCase() !== 'ENABLED') return {};
  const stated = CHECKSUMS.filter((name) => object.checksums[name] !== undefined);
  return {
    ...Object.fromEntries(
      stated.map((name) => [`x-amz-checksum-${name}`, object.checksums[name]!]),
    ),
    ...(object.checksumType !== undefined && { 'x-amz-checksum-type': object.checksumType }),
  };
}

function partAnswer(
  object: StoredObject,
  number: number,
  headers: Headers,
  base: Record<string, string>,
): ObjectAnswer {
  const parts = object.parts ?? [
    { start: 0, end: object.content.size, checksums: object.checksums },
  ];
  const part = parts[number - 1];
  if (!part)
    throw new S3Error(416, 'InvalidPartNumber', 'The requested partnumber is not satisfiable');
  const ask = headers['x-amz-checksum-mode']?.toUpperCase() === 'ENABLED';
  return {
    status: 206,
    headers: {
      ...base,
      ...(object.parts && { 'x-amz-mp-parts-count': String(parts.length) }),
      ...(ask &&
        Object.fromEntries(
          Object.entries(part.checksums).map(([name, value]) => [`x-amz-checksum-${name}`, value]),
        )),
      'content-range': `bytes ${part.start}-${part.end - 1}/${object.content.size}`,
      'content-length': String(part.end - part.start),
    },
    object,
    start: part.start,
    end: part.end,
  };
}

/** Half-open. Undefined where the header is absent or not one range of bytes: it is then ignored (RFC 9110 14.2). */
function rangeOf(header: string | undefined, size: number): [number, number] | undefined {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header ?? '');
  if (!match || (match[1] === '' && match[2] === '')) return undefined;
  const suffix = match[1] === '';
  const start = suffix ? Math.max(0, size - Number(match[2])) : Number(match[1]);
  const end = suffix || match[2] === '' ? size : Math.min(Number(match[2]) + 1, size);
  if (start >= size || end <= start)
    throw new S3Error(416, 'InvalidRange', 'The requested range is not satisfiable', {
      details: { RangeRequested: header!, ActualObjectSize: String(size) },
      headers: { 'content-range': `bytes */${size}` },
    });
  return [start, end];
}

/** True: answer 304. Source: RFC 9110 section 13.2.2. */
function checkConditions(
  object: StoredObject,
  etag: string,
  headers: Headers,
  ignoreIfMatch: boolean,
): boolean {
  const names = (header: string): boolean =>
    header.trim() === '*' ||
    header.split(',').some((one) => one.trim().replaceAll('"', '') === etag.replaceAll('"', ''));
  const ifMatch = headers['if-match'];
  if (ifMatch !== undefined && !ignoreIfMatch && !names(ifMatch))
    throw preconditionFailed('If-Match');
  const unmodifiedSince = headers['if-unmodified-since'];
  const modified = Math.floor(object.lastModified.getTime() / 1000) * 1000;
  if (
    ifMatch === undefined &&
    unmodifiedSince !== undefined &&
    modified > Date.parse(unmodifiedSince)
  )
    throw preconditionFailed('If-Unmodified-Since');
  const ifNoneMatch = headers['if-none-match'];
  if (ifNoneMatch !== undefined) return names(ifNoneMatch);
  const modifiedSince = headers['if-modified-since'];
  return modifiedSince !== undefined && modified <= Date.parse(modifiedSince);
}

function preconditionFailed(condition: string): S3Error {
  return new S3Error(
    412,
    'PreconditionFailed',
    'At least one of the pre-conditions you specified did not hold',
    {
      details: { Condition: condition },
    },
  );
}

function checkCustomerKey(object: StoredObject, headers: Headers): void {
  const algorithm = headers['x-amz-server-side-encryption-customer-algorithm'];
  const md5 = headers['x-amz-server-side-encryption-customer-key-md5'];
  if (object.customerKeyMd5 === undefined) {
    if (algorithm === undefined) return;
    throw new S3Error(
      400,
      'InvalidRequest',
      'The encryption parameters are not applicable to this object.',
    );
  }
  if (algorithm === undefined)
    throw new S3Error(
      400,
      'InvalidRequest',
      'The object was stored using a form of Server Side Encryption. The correct parameters must be provided to retrieve the object.',
    );
  if (md5 !== object.customerKeyMd5) throw new S3Error(403, 'AccessDenied', 'Access Denied');
}

/** The object at this key, or S3's way of saying that there is none. */
export function findObject(
  bucket: Bucket,
  key: string,
  versionId: string | undefined,
  mayList: boolean,
): StoredObject {
  const object = bucket.find(key, versionId);
  if (object && !object.deleted) return object;
  const marker = object?.deleted ? { headers: { 'x-amz-delete-marker': 'true' } } : {};
  // Who may not list is not told whether the key exists.
  if (!mayList) throw new S3Error(403, 'AccessDenied', 'Access Denied');
  if (versionId !== undefined && object)
    throw new S3Error(
      405,
      'MethodNotAllowed',
      'The specified method is not allowed against this resource.',
      marker,
    );
  if (versionId !== undefined)
    throw new S3Error(404, 'NoSuchVersion', 'The specified version does not exist.', {
      details: { Key: key, VersionId: versionId },
    });
  throw new S3Error(404, 'NoSuchKey', 'The specified key does not exist.', {
    ...marker,
    details: { Key: key },
  });
}

/** The XML of GetObjectAttributes for the attributes asked for. */
export function objectAttributes(object: StoredObject, headers: Headers): string {
  const wanted = new Set(
    (headers['x-amz-object-attributes'] ?? '').split(',').map((name) => name.trim()),
  );
  if (wanted.has(''))
    throw new S3Error(
      400,
      'InvalidRequest',
      'The x-amz-object-attributes header is missing or empty',
    );
  const sums = (checksums: StoredObject['checksums']): string =>
    Object.entries(checksums)
      .map(([name, value]) => element(`Checksum${name.toUpperCase()}`, value.replace(/-\d+$/, '')))
      .join('');
  const parts = object.parts ?? [];
  const after = Number(headers['x-amz-part-number-marker'] ?? 0);
  const most = Number(headers['x-amz-max-parts'] ?? 1000);
  const page = parts.slice(after, after + most);
  const more = after + page.length < parts.length;
  const partXml = page.map(
    (part, index) =>
      `<Part>${element('PartNumber', after + index + 1)}${element('Size', part.end - part.start)}${sums(part.checksums)}</Part>`,
  );
  return document(
    'GetObjectAttributesResponse',
    (wanted.has('ETag') ? element('ETag', object.etag.replaceAll('"', '')) : '') +
      (wanted.has('Checksum') && Object.keys(object.checksums).length > 0
        ? `<Checksum>${sums(object.checksums)}${element('ChecksumType', object.checksumType)}</Checksum>`
        : '') +
      (wanted.has('ObjectParts') && parts.length > 0
        ? `<ObjectParts>${element('PartsCount', parts.length)}${element('IsTruncated', more)}${more ? element('NextPartNumberMarker', after + page.length) : ''}${partXml.join('')}</ObjectParts>`
        : '') +
      (wanted.has('StorageClass') ? element('StorageClass', object.storageClass) : '') +
      (wanted.has('ObjectSize') ? element('ObjectSize', object.content.size) : ''),
  );
}
