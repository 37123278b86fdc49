/** What the in-process S3 holds: buckets, objects and their versions, in memory. */
import { randomBytes } from 'node:crypto';
import { createHash } from 'node:crypto';
import {
  checksum,
  etagOf,
  statedChecksum,
  type ChecksumName,
  type ChecksumType,
} from './s3-checksums.ts';

/** Bytes made when they are read, for objects larger than memory. */
export interface VirtualContent {
  readonly size: number;
  /** Bytes `start` up to, not including, `end`. */
  slice(start: number, end: number): Uint8Array;
}

export interface BucketOptions {
  readonly name: string;
  /** Default: the server's. */
  readonly region?: string;
  readonly versioned?: boolean;
  readonly requesterPays?: boolean;
  /** Anyone may list and read. */
  readonly public?: boolean;
}

export interface PutOptions {
  /** Uploaded in parts: their sizes, or one size for all but the last. Not for virtual content. */
  readonly parts?: number | readonly number[];
  /** Algorithms stated with `x-amz-checksum-mode: ENABLED`. Not for virtual content. */
  readonly checksums?: readonly ChecksumName[];
  /** Default `COMPOSITE` with parts, `FULL_OBJECT` without. */
  readonly checksumType?: ChecksumType;
  /** Stated checksums, base64, instead of computed ones: for virtual content, and for servers that lie. */
  readonly stated?: Readonly<Partial<Record<ChecksumName, string>>>;
  /** False: checksums are stated without `x-amz-checksum-type`, as some servers do. */
  readonly stateType?: boolean;
  /** With quotes. Default: computed as S3 does. */
  readonly etag?: string;
  readonly contentType?: string;
  readonly contentEncoding?: string;
  readonly lastModified?: Date;
  readonly storageClass?: string;
  /** 32 bytes: stored with a customer's key (SSE-C), refused without it. */
  readonly customerKey?: Uint8Array;
}

export interface StoredPart {
  readonly start: number;
  readonly end: number;
  readonly checksums: Readonly<Partial<Record<ChecksumName, string>>>;
}

export interface StoredObject {
  readonly key: string;
  readonly content: VirtualContent;
  readonly etag: string;
  readonly versionId: string | undefined;
  readonly parts: readonly StoredPart[] | undefined;
  readonly checksums: Readonly<Partial<Record<ChecksumName, string>>>;
  readonly checksumType: ChecksumType | undefined;
  readonly contentType: string;
  readonly contentEncoding: string | undefined;
  readonly lastModified: Date;
  readonly storageClass: string;
  /** Base64 MD5 of the customer's key. */
  readonly customerKeyMd5: string | undefined;
  /** A delete marker: the key looks gone, older versions remain. */
  readonly deleted: boolean;
}

/** One bucket. `current` is sorted by UTF-8 bytes when listed, as S3 sorts. */
export class Bucket {
  readonly options: BucketOptions;
  /** Newest first. */
  readonly versions = new Map<string, StoredObject[]>();
  #sorted: StoredObject[] | undefined;

  constructor(options: BucketOptions) {
    this.options = options;
  }

  add(object: StoredObject): void {
    const older = this.options.versioned ? (this.versions.get(object.key) ?? []) : [];
    this.versions.set(object.key, [object, ...older]);
    this.#sorted = undefined;
  }

  remove(key: string): void {
    if (this.options.versioned)
      this.add({ ...emptyObject(key), versionId: newId(), deleted: true });
    else this.versions.delete(key);
    this.#sorted = undefined;
  }

  find(key: string, versionId?: string): StoredObject | undefined {
    const versions = this.versions.get(key);
    if (versionId === undefined) return versions?.[0];
    return versions?.find((object) => (object.versionId ?? 'null') === versionId);
  }

  /** Every object that is not deleted, in S3's order. */
  sorted(): readonly StoredObject[] {
    this.#sorted ??= [...this.versions.values()]
      .map((versions) => versions[0]!)
      .filter((object) => !object.deleted)
      .sort((a, b) => Buffer.compare(Buffer.from(a.key), Buffer.from(b.key)));
    return this.#sorted;
  }
}

/** The object as it would be stored after an upload with these options. */
export function makeObject(
  key: string,
  bytes: Uint8Array | string | VirtualContent,
  options: PutOptions,
  versioned: boolean,
): StoredObject {
  const base = {
    ...emptyObject(key),
    versionId: versioned ? newId() : undefined,
    contentType: options.contentType ?? 'binary/octet-stream',
    contentEncoding: options.contentEncoding,
    lastModified: options.lastModified ?? new Date(),
    storageClass: options.storageClass ?? 'STANDARD',
    customerKeyMd5:
      options.customerKey && createHash('md5').update(options.customerKey).digest('base64'),
  };
  if (typeof bytes !== 'string' && !(bytes instanceof Uint8Array)) {
    const checksums = options.stated ?? {};
    return {
      ...base,
      content: bytes,
      etag: options.etag ?? `"${createHash('md5').update(`${key} ${bytes.size}`).digest('hex')}"`,
      checksums,
      checksumType: statedType(options, checksums, options.checksumType ?? 'FULL_OBJECT'),
    };
  }
  const whole = typeof bytes === 'string' ? Buffer.from(bytes) : bytes;
  const bounds = options.parts === undefined ? undefined : partBounds(whole.length, options.parts);
  const pieces = bounds?.map(([start, end]) => whole.subarray(start, end));
  const names = options.checksums ?? [];
  const type = options.checksumType ?? (pieces ? 'COMPOSITE' : 'FULL_OBJECT');
  const checksums = {
    ...Object.fromEntries(
      names.map((name) => [name, statedChecksum(name, type, whole, pieces ?? [whole])]),
    ),
    ...options.stated,
  };
  return {
    ...base,
    content: { size: whole.length, slice: (start, end) => whole.subarray(start, end) },
    etag: options.etag ?? etagOf(whole, pieces),
    parts: bounds?.map(([start, end]) => ({
      start,
      end,
      checksums: Object.fromEntries(
        names.map((name) => [name, checksum(name, whole.subarray(start, end)).toString('base64')]),
      ),
    })),
    checksums,
    checksumType: statedType(options, checksums, type),
  };
}

function statedType(
  options: PutOptions,
  checksums: object,
  type: ChecksumType,
): ChecksumType | undefined {
  return Object.keys(checksums).length > 0 && options.stateType !== false ? type : undefined;
}

function partBounds(size: number, parts: number | readonly number[]): [number, number][] {
  const bounds: [number, number][] = [];
  let start = 0;
  for (let index = 0; start < size || bounds.length === 0; index++) {
    const length = typeof parts === 'number' ? parts : (parts[index] ?? size - start);
    bounds.push([start, Math.min(start + length, size)]);
    start += length;
  }
  return bounds;
}

function emptyObject(key: string): StoredObject {
  return {
    key,
    content: { size: 0, slice: () => new Uint8Array() },
    etag: '""',
    versionId: undefined,
    parts: undefined,
    checksums: {},
    checksumType: undefined,
    contentType: 'binary/octet-stream',
    contentEncoding: undefined,
    lastModified: new Date(),
    storageClass: 'STANDARD',
    customerKeyMd5: undefined,
    deleted: false,
  };
}

function newId(): string {
  return randomBytes(24).toString('base64url');
}
