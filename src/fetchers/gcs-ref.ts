/** What a `gs://` URI names: a bucket, everything under a prefix, or one object, perhaps at one generation. */
import { ModelFetchError } from '../errors.ts';
import type { Ref } from '../ref.ts';

export interface GcsRef {
  readonly bucket: string;
  /** Raw, without leading `/`; empty for the whole bucket; ends in `/` where only a directory is meant. */
  readonly name: string;
  /** Pins one object. */
  readonly generation?: string;
}

/**
 * Takes `gs://bucket[/name][#generation]` apart. Names are raw: `%20` is three characters and `?` belongs to the name, as
 * in gsutil. A final `#digits` is a generation (gsutil's own notation); any other `#` belongs to the name. Throws `INVALID_URI`.
 */
export function parseGcsRef(ref: Ref): GcsRef {
  const bucket = ref.authority;
  if (bucket === '') throw invalid(ref, 'it names no bucket');
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,221}$/.test(bucket))
    throw invalid(ref, `${JSON.stringify(bucket)} is not a bucket name`);
  const path = ref.path.replace(/^\//, '');
  if (!path.isWellFormed()) throw invalid(ref, 'it is not well-formed Unicode');
  // GCS has no such objects, and every URL parser would walk up from them, to the bucket.
  if (/^\.\.?(?:#\d+)?$/.test(path)) throw invalid(ref, `${path} is not an object name`);
  const pinned = /^(.+)#(\d{1,19})$/s.exec(path);
  if (!pinned) return { bucket, name: path };
  const name = pinned[1]!;
  if (name.endsWith('/'))
    throw invalid(ref, 'a generation belongs to one object, not to a directory');
  return { bucket, name, generation: pinned[2]! };
}

/** The URI again, as it is shown, stored and compared. */
export function formatGcsRef({ bucket, name, generation }: GcsRef): string {
  return `gs://${bucket}/${name}${generation === undefined ? '' : `#${generation}`}`;
}

function invalid(ref: Ref, why: string): ModelFetchError {
  return new ModelFetchError('INVALID_URI', `the URI cannot be used: ${why}`, {
    uri: ref.raw,
    hint: 'Write gs://bucket, gs://bucket/directory/, gs://bucket/object or gs://bucket/object#generation.',
  });
}
