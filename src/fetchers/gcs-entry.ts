/** An object of a listing as an `Entry`, and the URL of its bytes. Pure. */
import type { Digest, Entry } from '../fetcher.ts';

/** The fields that are asked for. https://cloud.google.com/storage/docs/json_api/v1/objects#resource */
export interface GcsObject {
  readonly name: string;
  /** Decimal. */
  readonly size?: string;
  readonly generation?: string;
  /** Base64 of four bytes, big-endian. */
  readonly crc32c?: string;
  /** Base64. Absent on composite objects. */
  readonly md5Hash?: string;
  readonly contentEncoding?: string;
  readonly cacheControl?: string;
}

export const OBJECT_FIELDS = 'name,size,generation,crc32c,md5Hash,contentEncoding,cacheControl';

/** What consoles create to show an empty folder: it holds nothing, and its name is no file's. */
export function isPlaceholder(object: GcsObject): boolean {
  return object.name.endsWith('/') && (object.size === undefined || object.size === '0');
}

/**
 * The object as an entry that lands at `path`.
 *
 * An object stored with `Content-Encoding: gzip` is inflated by GCS for whoever does not accept gzip, and the engine
 * always asks for the identity encoding; that is also what gsutil and KServe put on disk. But then ranges are ignored,
 * and size and digests describe the stored bytes, not those that arrive: so none of the three is declared, and the
 * object is read once, in order. With `Cache-Control: no-transform` GCS sends what is stored, and the engine inflates
 * it. Source: https://cloud.google.com/storage/docs/transcoding
 */
export function toEntry(object: GcsObject, path: string): Entry {
  const identity = {
    path,
    source: object.name,
    ...(/^\d{1,19}$/.test(object.generation ?? '') && { version: object.generation! }),
  };
  const isGzip = object.contentEncoding?.toLowerCase() === 'gzip';
  const isSentAsStored = /\bno-transform\b/i.test(object.cacheControl ?? '');
  if (isGzip && !isSentAsStored) return { ...identity, ranges: false };
  const size =
    object.size !== undefined && /^\d{1,15}$/.test(object.size) ? Number(object.size) : undefined;
  const digests = digestsOf(object);
  return {
    ...identity,
    ...(size !== undefined && { size }),
    ...(digests.length > 0 && { digests }),
    ...(isGzip && { encoding: 'gzip' }),
  };
}

/** The CRC alone where there is one: it is combined over parallel ranges, an MD5 would be computed in one pass. */
function digestsOf(object: GcsObject): Digest[] {
  const crc = hex(object.crc32c, 4);
  if (crc !== undefined) return [`crc32c:${crc}`];
  const md5 = hex(object.md5Hash, 16);
  return md5 === undefined ? [] : [`md5:${md5}`];
}

function hex(base64: string | undefined, bytes: number): string | undefined {
  if (base64 === undefined) return undefined;
  const decoded = Buffer.from(base64, 'base64');
  return decoded.length === bytes ? decoded.toString('hex') : undefined;
}

/** Where the object's bytes are. https://cloud.google.com/storage/docs/json_api/v1/objects/get */
export function mediaUrl(
  endpoint: string,
  bucket: string,
  name: string,
  generation: string | undefined,
): string {
  const query = generation === undefined ? 'alt=media' : `alt=media&generation=${generation}`;
  return `${endpoint}/storage/v1/b/${encodeURIComponent(bucket)}/o/${encodeURIComponent(name)}?${query}`;
}
