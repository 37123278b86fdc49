/** What the fake GCS stores, and how a stored object is told as a JSON resource and as header fields. */
import { createHash } from 'node:crypto';

export interface PutOptions {
  readonly contentType?: string;
  /** Of the bytes given, which are stored as they are. */
  readonly contentEncoding?: string;
  readonly cacheControl?: string;
  /** False for what GCS calls a composite object: it has a crc32c and no MD5. Default true. */
  readonly md5?: boolean;
}

export interface Stored {
  readonly bucket: string;
  readonly name: string;
  readonly bytes: Buffer;
  /** Microseconds since the epoch, as GCS makes them: beyond what 32 bits hold, within what a double holds. */
  readonly generation: string;
  readonly crc32c: string;
  readonly md5: string | undefined;
  readonly updated: Date;
  readonly options: PutOptions;
}

let lastGeneration = 0;

/** A new generation of an object; digests are computed, never declared. */
export function store(bucket: string, name: string, bytes: Buffer, options: PutOptions): Stored {
  const updated = new Date();
  lastGeneration = Math.max(lastGeneration + 1, updated.getTime() * 1000);
  return {
    bucket,
    name,
    bytes,
    generation: String(lastGeneration),
    crc32c: crc32cBase64(bytes),
    md5: options.md5 === false ? undefined : createHash('md5').update(bytes).digest('base64'),
    updated,
    options,
  };
}

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  return crc >>> 0;
});

/** CRC-32C, big-endian, base64: as in `crc32c` of an object resource. */
export function crc32cBase64(bytes: Uint8Array): string {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = (crc >>> 8) ^ TABLE[(crc ^ byte) & 0xff]!;
  const four = Buffer.alloc(4);
  four.writeUInt32BE((crc ^ 0xffffffff) >>> 0);
  return four.toString('base64');
}

/** https://cloud.google.com/storage/docs/json_api/v1/objects#resource */
export function resource(object: Stored, base: string): Record<string, unknown> {
  const path = `b/${object.bucket}/o/${encodeURIComponent(object.name)}`;
  return {
    kind: 'storage#object',
    id: `${object.bucket}/${object.name}/${object.generation}`,
    selfLink: `${base}/storage/v1/${path}`,
    mediaLink: `${base}/download/storage/v1/${path}?generation=${object.generation}&alt=media`,
    name: object.name,
    bucket: object.bucket,
    generation: object.generation,
    metageneration: '1',
    contentType: object.options.contentType ?? 'application/octet-stream',
    ...(object.options.contentEncoding !== undefined && {
      contentEncoding: object.options.contentEncoding,
    }),
    ...(object.options.cacheControl !== undefined && { cacheControl: object.options.cacheControl }),
    storageClass: 'STANDARD',
    size: String(object.bytes.length),
    ...(object.md5 !== undefined && { md5Hash: object.md5 }),
    crc32c: object.crc32c,
    etag: etag(object),
    timeCreated: object.updated.toISOString(),
    updated: object.updated.toISOString(),
  };
}

/** What every answer with an object's bytes carries, whole or part. The hashes are those of the stored bytes. */
export function objectHeaders(object: Stored): Record<string, string> {
  const { options } = object;
  return {
    'content-type': options.contentType ?? 'application/octet-stream',
    ...(options.contentEncoding !== undefined && { 'content-encoding': options.contentEncoding }),
    ...(options.cacheControl !== undefined && { 'cache-control': options.cacheControl }),
    etag: etag(object),
    'last-modified': object.updated.toUTCString(),
    'x-goog-generation': object.generation,
    'x-goog-metageneration': '1',
    'x-goog-storage-class': 'STANDARD',
    'x-goog-hash':
      `crc32c=${object.crc32c}` + (object.md5 === undefined ? '' : `,md5=${object.md5}`),
    'x-goog-stored-content-encoding': options.contentEncoding ?? 'identity',
    'x-goog-stored-content-length': String(object.bytes.length),
  };
}

function etag(object: Stored): string {
  return Buffer.from(`${object.generation}/1`).toString('base64');
}
