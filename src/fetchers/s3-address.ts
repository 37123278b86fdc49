/** `s3://bucket/key`, taken as it is written: no percent-decoding, `?` and `#` belong to the key. */
import { ModelFetchError } from '../errors.ts';
import type { Ref } from '../ref.ts';

export interface S3Address {
  readonly bucket: string;
  /** Empty: the whole bucket. Ends in `/`: a folder. Else an object, or a folder written without its slash. */
  readonly key: string;
  /** Pins one object. */
  readonly versionId?: string;
}

/** Takes `ref` apart. Throws `INVALID_URI` or `UNSUPPORTED`. */
export function parseS3(ref: Ref): S3Address {
  const bucket = ref.authority;
  if (bucket.startsWith('arn:'))
    throw new ModelFetchError('UNSUPPORTED', 'S3 access points are not addressed by ARN', {
      uri: ref.raw,
      hint: "Use the access point's alias, which ends in -s3alias, in the place of the bucket.",
    });
  if (bucket.endsWith('--x-s3'))
    throw new ModelFetchError('UNSUPPORTED', `${bucket} is a directory bucket (S3 Express)`, {
      uri: ref.raw,
      hint: 'Keep the model in a general purpose bucket.',
    });
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(bucket))
    throw new ModelFetchError('INVALID_URI', `"${bucket}" is not a bucket name`, {
      uri: ref.raw,
      hint: 'Write s3://bucket/prefix.',
    });
  const whole = ref.path.replace(/^\//, '');
  const match = /^(.*)\?versionId=([^?&#/]+)$/s.exec(whole);
  if (!match) return { bucket, key: whole };
  const [, key = '', versionId = ''] = match;
  if (key === '' || key.endsWith('/'))
    throw new ModelFetchError('INVALID_URI', 'versionId pins one object, not a folder', {
      uri: ref.raw,
      hint: 'Write s3://bucket/key?versionId=…',
    });
  return { bucket, key, versionId };
}

/** As KServe, which takes what follows `?` or `#` for a query or a fragment. */
export function kserveAddress(address: S3Address): S3Address {
  return { ...address, key: address.key.replace(/[?#].*$/s, '') };
}

/** The URI of `address`, in its one form. */
export function formatS3(address: S3Address): string {
  const version = address.versionId === undefined ? '' : `?versionId=${address.versionId}`;
  return `s3://${address.bucket}/${address.key}${version}`;
}

/** Percent-encoding of all but the unreserved characters, as SigV4 signs it. Source: RFC 3986 section 2.3. */
export function encodePart(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

const UNRESERVED = /^[\w.~/-]*$/;

/** `key` as a path, its slashes kept. */
export function encodeKey(key: string): string {
  if (UNRESERVED.test(key)) return key;
  return key.split('/').map(encodePart).join('/');
}

/** A name from a listing made with `encoding-type=url`: `+` is a space. Throws `BAD_RESPONSE`. */
export function decodeName(name: string): string {
  if (!/[%+]/.test(name)) return name;
  try {
    return decodeURIComponent(name.replaceAll('+', ' '));
  } catch (cause) {
    throw new ModelFetchError('BAD_RESPONSE', `a listing names ${name}, which is not UTF-8`, {
      cause,
    });
  }
}
