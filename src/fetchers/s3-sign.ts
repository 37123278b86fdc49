/** An authorised GET for one object: where it is, and SigV4 headers that stay good for every range of it. */
import { createHash } from 'node:crypto';
import type { S3Client } from '@aws-sdk/client-s3';
import { ModelFetchError } from '../errors.ts';
import type { Digest, HttpLocation, Parts, Transport } from '../fetcher.ts';
import { isPlainPath } from '../plain-url.ts';
import { encodeKey, encodePart, type S3Address } from './s3-address.ts';
import type { S3Access, Used } from './s3-client.ts';
import type { S3Options } from './s3-options.ts';
import { signer, type SignGet, type SigningIdentity } from './s3-sigv4.ts';

/** S3 accepts a signature for 15 minutes; one minute is left for clocks and for the way. */
const LIFETIME = 14 * 60_000;

/** The object, and what proves that it is still the one that was listed. */
export interface Wanted {
  readonly address: S3Address;
  /** In header form, with quotes. */
  readonly etag?: string;
  readonly digests?: readonly Digest[];
  readonly parts?: Parts;
}

/**
 * Signs a GET. `Range` and `If-Match` stay outside the signature, so one is enough for all parts; every `x-amz-*` header
 * is inside, as S3 demands. Source: Amazon S3 API reference, "Signature calculations for the Authorization header".
 */
export async function locationOf(access: S3Access, wanted: Wanted): Promise<HttpLocation> {
  const { address, etag, digests, parts } = wanted;
  const { place, sign, expiresAt } =
    signingNow(access, address.bucket) ?? (await freshSigning(access, address.bucket));
  const path = `${place.root}/${encodeKey(address.key)}`;
  const query = address.versionId === undefined ? '' : `versionId=${encodePart(address.versionId)}`;
  const url = urlOf(place.base, path, query, address);
  return {
    kind: 'http',
    url,
    headers: sign(path, query),
    // S3 keeps what an upload called its encoding (`gzip`, a leftover `aws-chunked`), and never encodes by itself.
    stored: true,
    ...(expiresAt !== undefined && { expiresAt }),
    ...(etag !== undefined && { pin: { request: { 'if-match': etag }, response: { etag } } }),
    ...(digests && digests.length > 0 && { digests }),
    ...(parts && { parts }),
    ...(place.transport && { transport: place.transport }),
  };
}

/** A location was refused: the next one is signed with what is known by then. */
export function forgetSigning(access: S3Access, bucket: string): void {
  signings.get(access)?.delete(bucket);
}

/** What a location was signed with, read back from its headers. */
export function usedBy(location: HttpLocation): Used | undefined {
  const {
    authorization,
    'x-amz-date': date,
    'x-amz-security-token': sessionToken,
  } = location.headers;
  const scope = /Credential=(.+?)\/\d{8}\/([^/]+)\//.exec(authorization ?? '');
  if (!scope || date === undefined) return undefined;
  const signedAt = Date.parse(
    date.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z'),
  );
  return {
    region: scope[2]!,
    identity: { accessKeyId: scope[1]!, ...(sessionToken !== undefined && { sessionToken }) },
    signedAt,
  };
}

/** Where the requests of a client for a bucket go. */
interface BucketPlace {
  readonly base: URL;
  /** What comes before the key in a path. */
  readonly root: string;
  readonly region: string;
  /** Of every request; without a signature all there are. */
  readonly headers: Readonly<Record<string, string>>;
  readonly transport: Transport | undefined;
  /** The last signer. */
  signer?: { readonly second: number; readonly identity: SigningIdentity; readonly sign: SignGet };
}

/** How requests for a bucket are signed in one second: who signs, and as whom, is asked only once in it. */
interface Signing {
  readonly place: BucketPlace;
  readonly sign: SignGet;
  readonly expiresAt?: number;
  /** Milliseconds since the epoch by this machine's clock, from and up to which it holds. */
  readonly from: number;
  readonly until: number;
}

const signings = new WeakMap<S3Access, Map<string, Signing>>();

function signingNow(access: S3Access, bucket: string): Signing | undefined {
  const signing = signings.get(access)?.get(bucket);
  const now = Date.now();
  return signing && now >= signing.from && now < signing.until ? signing : undefined;
}

async function freshSigning(access: S3Access, bucket: string): Promise<Signing> {
  const client = await access.client(bucket);
  const place = await placeOf(client, access, bucket);
  const identity = await access.identity(client);
  const { systemClockOffset } = client.config;
  const now = Date.now();
  const second = Math.floor((now + systemClockOffset) / 1000);
  const span = { from: now, until: (second + 1) * 1000 - systemClockOffset };
  const signing: Signing = identity
    ? {
        place,
        sign: signerOf(place, identity, second),
        expiresAt: Math.min(
          now + LIFETIME,
          (identity.expiration?.getTime() ?? Infinity) - systemClockOffset,
        ),
        ...span,
      }
    : { place, sign: () => place.headers, ...span };
  let known = signings.get(access);
  if (!known) signings.set(access, (known = new Map<string, Signing>()));
  known.set(bucket, signing);
  return signing;
}

const places = new WeakMap<S3Client, Map<string, Promise<BucketPlace>>>();

/** Worked out once: a client's settings do not change. */
function placeOf(client: S3Client, access: S3Access, bucket: string): Promise<BucketPlace> {
  let known = places.get(client);
  if (!known) places.set(client, (known = new Map<string, Promise<BucketPlace>>()));
  let place = known.get(bucket);
  if (!place) {
    place = Promise.all([bucketUrl(client, access, bucket), client.config.region()]).then(
      ([base, region]) => ({
        base,
        root: base.pathname.replace(/\/$/, ''),
        region,
        headers: headersFor(access.options),
        transport: Object.keys(access.transport).length > 0 ? access.transport : undefined,
      }),
    );
    known.set(bucket, place);
    place.catch(() => known.delete(bucket));
  }
  return place;
}

/** Where a bucket is, by the SDK's own rules: path or virtual host, regional, accelerated, dual-stack, FIPS. */
async function bucketUrl(client: S3Client, access: S3Access, bucket: string): Promise<URL> {
  const { config } = client;
  const custom = access.options.endpoint;
  const endpoint = config.endpointProvider(
    {
      Bucket: bucket,
      Region: await config.region(),
      ForcePathStyle: Boolean(config.forcePathStyle),
      Accelerate: Boolean(config.useAccelerateEndpoint),
      UseFIPS: await config.useFipsEndpoint(),
      UseDualStack: await config.useDualstackEndpoint(),
      ...(custom !== undefined && { Endpoint: custom }),
    },
    {},
  );
  const schemes = endpoint.properties?.['authSchemes'] as { name?: string }[] | undefined;
  if (schemes && !schemes.some((scheme) => scheme.name === 'sigv4'))
    throw new ModelFetchError(
      'UNSUPPORTED',
      `bucket ${bucket} wants a signature other than SigV4`,
      {
        hint: 'Directory buckets (S3 Express) and multi-region access points are not supported.',
      },
    );
  return endpoint.url;
}

/** The URL, which must survive being parsed: segments of dots do not. */
function urlOf(base: URL, path: string, query: string, address: S3Address): string {
  if (query === '' && isPlainPath(path)) return base.origin + path;
  const url = new URL(base);
  url.pathname = path;
  url.search = query;
  if (url.pathname === path) return url.href;
  throw new ModelFetchError(
    'UNSAFE_PATH',
    `key ${JSON.stringify(address.key)} holds a segment of dots`,
    {
      path: address.key,
      hint: 'Such a key cannot be named in a URL: copy the object to another key.',
    },
  );
}

/** Headers beside the signature that S3 needs for every read of this source. */
function headersFor(options: S3Options): Record<string, string> {
  return {
    'x-amz-checksum-mode': 'ENABLED',
    ...(options.requesterPays && { 'x-amz-request-payer': 'requester' }),
    ...(options.customerKey !== undefined && {
      'x-amz-server-side-encryption-customer-algorithm': 'AES256',
      'x-amz-server-side-encryption-customer-key': options.customerKey,
      'x-amz-server-side-encryption-customer-key-md5': createHash('md5')
        .update(Buffer.from(options.customerKey, 'base64'))
        .digest('base64'),
    }),
  };
}

function signerOf(place: BucketPlace, identity: SigningIdentity, second: number): SignGet {
  const { signer: last, base, region, headers } = place;
  if (last?.second === second && sameIdentity(last.identity, identity)) return last.sign;
  const date = new Date(second * 1000);
  const sign = signer({ host: base.host, region, headers, identity, date });
  place.signer = { second, identity, sign };
  return sign;
}

function sameIdentity(a: SigningIdentity, b: SigningIdentity): boolean {
  return (
    a.accessKeyId === b.accessKeyId &&
    a.secretAccessKey === b.secretAccessKey &&
    a.sessionToken === b.sessionToken
  );
}
