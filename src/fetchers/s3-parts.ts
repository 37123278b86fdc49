/**
 * The parts that an object was uploaded in and their checksums: what S3 has where its checksum is a composite. One request
 * tells a thousand of them, but needs a permission of its own; without it, one HEAD tells of one part.
 */
import {
  GetObjectAttributesCommand,
  HeadObjectCommand,
  type HeadObjectCommandOutput,
} from '@aws-sdk/client-s3';
import { ModelFetchError } from '../errors.ts';
import type { Digest, DigestAlgorithm, PartDigest, Parts } from '../fetcher.ts';
import type { S3Address } from './s3-address.ts';
import type { S3Access } from './s3-client.ts';
import { digestOfPart, type Stating } from './s3-digests.ts';
import { attemptAt, inputFor, type ObjectFacts } from './s3-head.ts';
import { quoted } from './s3-list.ts';

/** HEADs at a time. */
const WIDTH = 16;
/** Of an upload. Source: Amazon S3 user guide, "Amazon S3 multipart upload limits". */
const MOST_PARTS = 10_000;
/** What a store says that does not have the request, or does not allow it. */
const REFUSED = new Set(['PERMISSION_DENIED', 'BAD_RESPONSE', 'UNSUPPORTED', 'NOT_FOUND']);

interface StatedPart {
  readonly size: number | undefined;
  readonly checksums: Stating;
}

/** Undefined where S3 does not tell all parts: then there is nothing to check against. */
export async function partsOf(
  access: S3Access,
  address: S3Address,
  facts: ObjectFacts,
  composite: Digest,
  signal: AbortSignal,
): Promise<Parts | undefined> {
  const algorithm = composite.slice(0, composite.indexOf(':')) as DigestAlgorithm;
  for (const ask of [byAttributes, byHeads]) {
    const stated = await ask(access, address, facts, signal, algorithm).catch(unlessRefused);
    const digests = stated && withEnds(stated, algorithm);
    if (digests?.at(-1)?.end === facts.size) return { digests, digest: composite };
  }
  return undefined;
}

function unlessRefused(error: unknown): undefined {
  if (!(error instanceof ModelFetchError) || !REFUSED.has(error.code)) throw error;
}

function withEnds(
  stated: readonly StatedPart[],
  algorithm: DigestAlgorithm,
): readonly PartDigest[] | undefined {
  const digests: PartDigest[] = [];
  let end = 0;
  for (const { size, checksums } of stated) {
    const digest = digestOfPart(checksums, algorithm);
    if (digest === undefined || size === undefined) return undefined;
    digests.push({ end: (end += size), digest });
  }
  return digests;
}

/** Source: Amazon S3 API reference, GetObjectAttributes. */
async function byAttributes(
  access: S3Access,
  address: S3Address,
  facts: ObjectFacts,
  signal: AbortSignal,
): Promise<StatedPart[] | undefined> {
  const stated: StatedPart[] = [];
  let marker: string | undefined;
  do {
    const command = new GetObjectAttributesCommand({
      ...inputFor(access, address),
      ObjectAttributes: ['ETag', 'ObjectParts'],
      MaxParts: 1000,
      ...(marker !== undefined && { PartNumberMarker: marker }),
    });
    const answer = await access.send(attemptAt(address), signal, (client) =>
      client.send(command, { abortSignal: signal }),
    );
    const { Parts = [], IsTruncated, NextPartNumberMarker } = answer.ObjectParts ?? {};
    if (quoted(answer.ETag ?? '') !== facts.etag) return undefined;
    for (const part of Parts) stated.push({ size: part.Size, checksums: part });
    marker = IsTruncated === true && Parts.length > 0 ? NextPartNumberMarker : undefined;
  } while (marker !== undefined && stated.length < MOST_PARTS);
  return stated;
}

/** Source: Amazon S3 API reference, HeadObject, `partNumber`. */
async function byHeads(
  access: S3Access,
  address: S3Address,
  facts: ObjectFacts,
  signal: AbortSignal,
  algorithm: DigestAlgorithm,
): Promise<StatedPart[] | undefined> {
  const head = async (number: number): Promise<HeadObjectCommandOutput> => {
    const command = new HeadObjectCommand({
      ...inputFor(access, address),
      PartNumber: number,
      ChecksumMode: 'ENABLED',
    });
    return access.send(attemptAt(address), signal, (client) =>
      client.send(command, { abortSignal: signal }),
    );
  };
  const first = await head(1);
  const count = first.PartsCount ?? 0;
  if (count < 1 || count > MOST_PARTS || !digestOfPart(first, algorithm)) return undefined;
  const heads = [first];
  let next = 2;
  const lane = async (): Promise<void> => {
    for (let number = next++; number <= count; number = next++)
      heads[number - 1] = await head(number);
  };
  await Promise.all(Array.from({ length: WIDTH }, lane));
  // Not by If-Match: a store may hold it against the part's own ETag.
  if (heads.some(({ ETag = '' }) => quoted(ETag) !== facts.etag)) return undefined;
  return heads.map((part) => ({ size: part.ContentLength, checksums: part }));
}
