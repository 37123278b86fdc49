/** What the header fields of an HTTP answer say about the content of the whole file. */
import type { Digest, DigestAlgorithm } from '../fetcher.ts';

type Headers = Readonly<Record<string, string>>;

const BYTES: Readonly<Record<DigestAlgorithm, number>> = {
  sha512: 64,
  sha256: 32,
  sha1: 20,
  md5: 16,
  crc64nvme: 8,
  crc32c: 4,
  crc32: 4,
};
const AMAZON = ['crc32', 'crc32c', 'crc64nvme', 'sha1', 'sha256'] as const;
/** Of RFC 9530, those that are not deprecated. */
const STRUCTURED: Readonly<Record<string, DigestAlgorithm>> = {
  'sha-256': 'sha256',
  'sha-512': 'sha512',
};
/** Of RFC 3230 and its registry. */
const LEGACY: Readonly<Record<string, DigestAlgorithm>> = {
  'sha-256': 'sha256',
  'sha-512': 'sha512',
  sha: 'sha1',
  md5: 'md5',
  crc32c: 'crc32c',
};
const GOOGLE: Readonly<Record<string, DigestAlgorithm>> = { crc32c: 'crc32c', md5: 'md5' };

/** All that are looked at for a digest. */
const FIELDS = [
  'x-goog-hash',
  'repr-digest',
  'content-digest',
  'content-md5',
  'digest',
  ...AMAZON.map((algorithm) => `x-amz-checksum-${algorithm}`),
];

/**
 * Every digest of the whole file that `headers` (names in lower case, repeated fields joined with `, `) vouch for.
 * `whole` says that the answer is a 200 with all of it: some fields describe the file whatever part was sent, others
 * only what was sent. A value that is malformed, or that a field contradicts itself about, says nothing. Never throws.
 */
export function digestsOf(headers: Headers, whole: boolean): Digest[] {
  // Most answers have none of them.
  if (!FIELDS.some((name) => headers[name] !== undefined)) return [];
  const found = new Set<Digest>([
    ...googleDigests(headers),
    ...structuredDigests(headers['repr-digest']),
    ...(whole
      ? [
          ...amazonDigests(headers),
          ...structuredDigests(headers['content-digest']),
          ...digestsIn({ md5: [headers['content-md5'] ?? ''] }),
          ...pairDigests(headers['digest'], LEGACY),
        ]
      : []),
  ]);
  return [...found];
}

/**
 * `x-amz-checksum-*` of a GET with checksum mode. A composite checksum is one of the parts' checksums, not of the bytes:
 * it is told by its type and by its `-N`. One server sends it without either; there the multipart ETag tells.
 * Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html
 */
function amazonDigests(headers: Headers): Digest[] {
  const type = headers['x-amz-checksum-type'];
  if (
    type === undefined ? isMultipart(headers['etag']) : type.trim().toUpperCase() !== 'FULL_OBJECT'
  )
    return [];
  return AMAZON.flatMap((algorithm) =>
    digestsIn({ [algorithm]: [headers[`x-amz-checksum-${algorithm}`] ?? ''] }),
  );
}

function isMultipart(etag: string | undefined): boolean {
  return /-\d+"?\s*$/.test(etag ?? '');
}

/**
 * `x-goog-hash` is of the object as stored, also on a part. What GCS inflated on the way has other bytes.
 * Source: https://cloud.google.com/storage/docs/xml-api/reference-headers#xgooghash
 */
function googleDigests(headers: Headers): Digest[] {
  const stored = headers['x-goog-stored-content-encoding']?.trim().toLowerCase() ?? '';
  const sent = headers['content-encoding']?.trim().toLowerCase() ?? '';
  if (stored === 'gzip' && sent !== 'gzip') return [];
  return pairDigests(headers['x-goog-hash'], GOOGLE);
}

/** A dictionary of byte sequences, `sha-256=:base64:`. Sources: RFC 9530 sections 2 and 3, RFC 9651 section 3.2. */
function structuredDigests(field: string | undefined): Digest[] {
  const values: Values = {};
  // Strings go first: a comma in one separates nothing. One that never ends takes the rest with it.
  const members = (field ?? '').replace(/"(?:[^"\\]|\\.|\\$)*(?:"|$)/gs, '""').split(',');
  for (const member of members) {
    const match = /^\s*([a-z*][a-z0-9_.*-]*)=:([A-Za-z0-9+/=]*):\s*(?:;.*)?$/.exec(member);
    const algorithm = match && own(STRUCTURED, match[1]!);
    if (algorithm) (values[algorithm] ??= []).push(match[2]!);
  }
  return digestsIn(values);
}

/** `name=base64,name=base64`, names in any case. Source: RFC 3230 section 4.3.2. */
function pairDigests(
  field: string | undefined,
  names: Readonly<Record<string, DigestAlgorithm>>,
): Digest[] {
  const values: Values = {};
  for (const pair of (field ?? '').split(',')) {
    const equals = pair.indexOf('=');
    const algorithm = own(names, pair.slice(0, Math.max(0, equals)).trim().toLowerCase());
    if (algorithm) (values[algorithm] ??= []).push(pair.slice(equals + 1).trim());
  }
  return digestsIn(values);
}

/** Base64 texts of one field, by algorithm. */
type Values = Partial<Record<DigestAlgorithm, string[]>>;

function digestsIn(values: Values): Digest[] {
  return (Object.entries(values) as [DigestAlgorithm, string[]][]).flatMap(([algorithm, texts]) => {
    const hexes = new Set(texts.map((text) => hex(text, BYTES[algorithm])));
    const [only] = hexes;
    return hexes.size === 1 && only !== undefined ? [`${algorithm}:${only}` as const] : [];
  });
}

/** Exactly so many bytes in exactly the base64 of RFC 4648 section 4, or undefined. */
function hex(base64: string, bytes: number): string | undefined {
  const text = base64.trim();
  if (text.length !== Math.ceil(bytes / 3) * 4) return undefined;
  const decoded = Buffer.from(text, 'base64');
  return decoded.length === bytes && decoded.toString('base64') === text
    ? decoded.toString('hex')
    : undefined;
}

/** Not what an object inherits: a server may call its algorithm `constructor`. */
function own<T>(table: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(table, name) ? table[name] : undefined;
}
