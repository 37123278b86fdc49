/** One object's facts, and the reason when they are withheld. */
import {
  GetObjectCommand,
  HeadObjectCommand,
  type HeadObjectCommandInput,
  type HeadObjectCommandOutput,
} from '@aws-sdk/client-s3';
import { ModelFetchError } from '../errors.ts';
import type { Digest, Entry } from '../fetcher.ts';
import { formatS3, type S3Address } from './s3-address.ts';
import type { S3Access } from './s3-client.ts';
import { compositeOf, digestsOf } from './s3-digests.ts';
import type { S3Attempt } from './s3-errors.ts';
import { quoted } from './s3-list.ts';

export interface ObjectFacts {
  readonly size: number;
  /** In header form, with quotes. */
  readonly etag: string;
  readonly versionId?: string;
  /** Of the whole object. */
  readonly digests: readonly Digest[];
  /** Of the digests of its parts: there is nothing of the whole then. */
  readonly composite?: Digest;
}

/** HEAD of `address`, checksums included. Throws typed errors, `NOT_FOUND` among them. */
export async function headObject(
  access: S3Access,
  address: S3Address,
  signal: AbortSignal,
): Promise<ObjectFacts> {
  const attempt = attemptAt(address);
  const head = (): Promise<HeadObjectCommandOutput> =>
    access.send(attempt, signal, (client) =>
      client.send(
        new HeadObjectCommand({ ...inputFor(access, address), ChecksumMode: 'ENABLED' }),
        {
          abortSignal: signal,
        },
      ),
    );
  let answer: HeadObjectCommandOutput;
  try {
    answer = await head();
  } catch (error) {
    if (!isMute(error)) throw error;
    // An answer to HEAD has no body to say why. A GET of one byte has, and what it teaches holds for HEAD too.
    await probe(access, attempt, address, signal);
    answer = await head();
  }
  return factsOf(answer, attempt);
}

function isMute(error: unknown): boolean {
  return (
    error instanceof ModelFetchError &&
    (error.code === 'PERMISSION_DENIED' || error.code === 'BAD_RESPONSE')
  );
}

async function probe(
  access: S3Access,
  attempt: S3Attempt,
  address: S3Address,
  signal: AbortSignal,
): Promise<void> {
  try {
    const command = new GetObjectCommand({ ...inputFor(access, address), Range: 'bytes=0-0' });
    const answer = await access.send(attempt, signal, (client) =>
      client.send(command, { abortSignal: signal }),
    );
    (answer.Body as { destroy?: () => void } | undefined)?.destroy?.();
  } catch (error) {
    // 416: there is an object, and it is empty.
    if (!(error instanceof ModelFetchError && error.code === 'SOURCE_CHANGED')) throw error;
  }
}

/** What names an object in requests about it. */
export function inputFor(access: S3Access, address: S3Address): HeadObjectCommandInput {
  const { requesterPays, customerKey } = access.options;
  return {
    Bucket: address.bucket,
    Key: address.key,
    ...(address.versionId !== undefined && { VersionId: address.versionId }),
    ...(requesterPays && { RequestPayer: 'requester' as const }),
    ...(customerKey !== undefined && {
      SSECustomerAlgorithm: 'AES256',
      SSECustomerKey: customerKey,
    }),
  };
}

/** A portal answers HEAD with a 200 as well, but hardly ever with a size and an ETag, which every S3 has. */
function factsOf(head: HeadObjectCommandOutput, attempt: S3Attempt): ObjectFacts {
  const composite = compositeOf(head);
  const { ContentLength: size, ETag: etag, VersionId: versionId } = head;
  if (size === undefined || etag === undefined)
    throw new ModelFetchError(
      'BAD_RESPONSE',
      `the answer about ${attempt.uri} is not S3's: it has no ${size === undefined ? 'Content-Length' : 'ETag'}`,
      {
        uri: attempt.uri,
        hint: 'Check the endpoint: a proxy, a captive portal or a web console may have answered.',
      },
    );
  return {
    size,
    etag: quoted(etag),
    ...(versionId !== undefined && versionId !== 'null' && { versionId }),
    digests: digestsOf(head),
    ...(composite && { composite }),
  };
}

/** The one entry of a single object. */
export function entryFor(address: S3Address, facts: ObjectFacts): Entry {
  return {
    path: address.key.slice(address.key.lastIndexOf('/') + 1),
    size: facts.size,
    version: facts.etag,
    ...(facts.digests.length > 0 && { digests: facts.digests }),
    source: address.key,
  };
}

/** What is being tried when `address` is read. */
export function attemptAt(address: S3Address): S3Attempt {
  return {
    uri: formatS3(address),
    action: address.versionId === undefined ? 's3:GetObject' : 's3:GetObjectVersion',
    bucket: address.bucket,
    key: address.key,
  };
}
