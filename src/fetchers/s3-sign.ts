/** An authorised GET for one object: where it is, and SigV4 headers that stay good for every range of it. */
import { createHash } from 'node:crypto';
import type { S3Client } from '@aws-sdk/client-s3';
import { SignatureV4 } from '@smithy/signature-v4';
import { ModelFetchError } from '../errors.ts';
import type { Digest, HttpLocation } from '../fetcher.ts';
import { encodeKey, encodePart, type S3Address } from './s3-address.ts';
import type { S3Access, Used } from './s3-client.ts';
import type { S3Options } from './s3-options.ts';

/** S3 accepts a signature for 15 minutes; one minute is left for clocks and for the way. */
const LIFETIME = 14 * 60_000;

/** The object, and what proves that it is still the one that was listed. */
export interface Wanted {
  readonly address: S3Address;
  /** In header form, with quotes. */
  readonly etag?: string;
  readonly digests?: readonly Digest[];
}

/**
 * Signs a GET. `Range` and `If-Match` stay outside the signature, so one is enough for all parts; every `x-amz-*` header
 * is inside, as S3 demands. Source: Amazon S3 API reference, "Signature calculations for the Authorization header".
 */
export async function locationOf(access: S3Access, wanted: Wanted): Promise<HttpLocation> {
  const { address, etag, digests } = wanted;
  const client = await access.client(address.bucket);
  const base = await bucketUrl(client, access, address.bucket);
  const path = `${base.pathname.replace(/\/$/, '')}/${encodeKey(address.key)}`;
  const query: Record<string, string> =
    address.versionId === undefined ? {} : { versionId: address.versionId };
  const url = checkedUrl(base, path, query, address);
  const headers = { 'x-amz-checksum-mode': 'ENABLED', ...extraHeaders(access.options) };
  const signed = await sign(access, client, { url, path, query, headers });
  return {
    kind: 'http',
    url: url.href,
    headers: signed.headers,
    ...(signed.expiresAt !== undefined && { expiresAt: signed.expiresAt }),
    ...(etag !== undefined && { pin: { request: { 'if-match': etag }, response: { etag } } }),
    ...(digests && digests.length > 0 && { digests }),
    ...(Object.keys(access.transport).length > 0 && { transport: access.transport }),
  };
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
function checkedUrl(
  base: URL,
  path: string,
  query: Record<string, string>,
  address: S3Address,
): URL {
  const url = new URL(base);
  url.pathname = path;
  url.search = Object.entries(query)
    .map(([name, value]) => `${name}=${encodePart(value)}`)
    .join('&');
  if (url.pathname === path) return url;
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
function extraHeaders(options: S3Options): Record<string, string> {
  return {
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

interface Unsigned {
  readonly url: URL;
  readonly path: string;
  readonly query: Record<string, string>;
  readonly headers: Record<string, string>;
}

async function sign(
  access: S3Access,
  client: S3Client,
  request: Unsigned,
): Promise<{ headers: Record<string, string>; expiresAt?: number }> {
  const identity = await access.identity(client);
  if (!identity) return { headers: request.headers };
  const { url, path, query, headers } = request;
  const signer = new SignatureV4({
    service: 's3',
    region: await client.config.region(),
    credentials: identity,
    sha256: client.config.sha256,
    uriEscapePath: false,
  });
  const now = Date.now();
  const { systemClockOffset } = client.config;
  const signed = await signer.sign(
    {
      method: 'GET',
      protocol: url.protocol,
      hostname: url.hostname,
      path,
      query,
      headers: { ...headers, host: url.host, 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD' },
    },
    { signingDate: new Date(now + systemClockOffset) },
  );
  // The reader sends `host` itself, from the URL.
  const sent = { ...signed.headers };
  delete sent['host'];
  const end = (identity.expiration?.getTime() ?? Infinity) - systemClockOffset;
  return { headers: sent, expiresAt: Math.min(now + LIFETIME, end) };
}
