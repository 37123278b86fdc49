/** Answering requests: who asks, what for, may they, and what goes wrong on purpose. */
import { randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { authenticate, type S3Credentials } from './s3-auth.ts';
import { S3Error } from './s3-error.ts';
import { bucketLocation, listBuckets, listObjects } from './s3-listing.ts';
import { findObject, objectAttributes, readObject } from './s3-object.ts';
import { hashOf, parseRequest, splitOnce, type S3Request } from './s3-request.ts';
import { answerXml, badHead, sendObject, sendRaw, type Fault } from './s3-send.ts';
import {
  Bucket,
  makeObject,
  type BucketOptions,
  type PutOptions,
  type VirtualContent,
} from './s3-store.ts';
import type { S3Action, S3Options } from './s3.ts';

/** The service behind the sockets: what is stored, who may read it, and what is answered. */
export class Service {
  readonly requests: S3Request[] = [];
  readonly #options: S3Options;
  readonly #buckets = new Map<string, Bucket>();
  readonly #credentials: readonly S3Credentials[];
  readonly #region: string;

  constructor(options: S3Options) {
    this.#options = options;
    this.#credentials = options.credentials ?? [{ accessKeyId: 'test', secretAccessKey: 'secret' }];
    this.#region = options.region ?? 'us-east-1';
    for (const bucket of options.buckets ?? [])
      this.#addBucket(typeof bucket === 'string' ? { name: bucket } : bucket);
    for (const name of options.publicBuckets ?? [])
      this.#addBucket({ ...this.#buckets.get(name)?.options, name, public: true });
  }

  put(
    name: string,
    key: string,
    bytes: Uint8Array | string | VirtualContent,
    options: PutOptions,
  ): { etag: string; versionId?: string } {
    const bucket = this.#buckets.get(name) ?? this.#addBucket({ name });
    const object = makeObject(key, bytes, options, bucket.options.versioned === true);
    bucket.add(object);
    return {
      etag: object.etag,
      ...(object.versionId !== undefined && { versionId: object.versionId }),
    };
  }

  bucket(name: string): Bucket {
    const bucket = this.#buckets.get(name);
    if (!bucket)
      throw new S3Error(404, 'NoSuchBucket', 'The specified bucket does not exist', {
        details: { BucketName: name },
      });
    return bucket;
  }

  /** Answers one request, and never rejects. */
  async answer(message: IncomingMessage, response: ServerResponse): Promise<void> {
    const requestId = randomBytes(8).toString('hex').toUpperCase();
    const now = this.#options.clock?.() ?? Date.now();
    response.sendDate = false;
    response.setHeader('date', new Date(now).toUTCString());
    response.setHeader('x-amz-request-id', requestId);
    response.setHeader('server', 'AmazonS3');
    const request = parseRequest(message, this.requests.length);
    this.requests.push(request);
    const fault = this.#options.faults?.(request) ?? {};
    try {
      const bodySha256 = await hashOf(message);
      if (await sendRaw(response, request, fault)) return;
      await this.#serve(message, response, request, fault, { bodySha256, now });
    } catch (error) {
      const told =
        error instanceof S3Error ? error : new S3Error(500, 'InternalError', String(error));
      request.code = told.code;
      badHead(response, request, told, requestId);
    }
  }

  async #serve(
    message: IncomingMessage,
    response: ServerResponse,
    request: S3Request,
    fault: Fault,
    facts: { bodySha256: string; now: number },
  ): Promise<void> {
    const [rawPath, rawQuery = ''] = splitOnce(message.url ?? '/', '?');
    const region = this.#buckets.get(request.bucket)?.options.region ?? this.#region;
    const signed = {
      method: request.method,
      rawPath,
      rawQuery,
      headers: request.headers,
      bodySha256: facts.bodySha256,
    };
    const who = this.#whoAsks(signed, region, facts.now, request);
    if (who !== undefined) request.accessKeyId = who;
    if (request.method !== 'GET' && request.method !== 'HEAD')
      throw new S3Error(
        405,
        'MethodNotAllowed',
        'The specified method is not allowed against this resource.',
      );
    if (request.bucket === '') {
      this.#authorize('s3:ListAllMyBuckets', request, who);
      return answerXml(response, request, listBuckets([...this.#buckets.keys()].sort()));
    }
    const bucket = this.bucket(request.bucket);
    response.setHeader('x-amz-bucket-region', region);
    if (request.key === '') return this.#serveBucket(response, request, bucket, region, who);
    this.#authorize('s3:GetObject', request, who);
    const mayList = this.#allows('s3:ListBucket', request, who);
    const object = findObject(bucket, request.key, request.query.get('versionId'), mayList);
    if (request.query.has('attributes')) {
      this.#authorize('s3:GetObjectAttributes', request, who);
      response.setHeader('last-modified', object.lastModified.toUTCString());
      return answerXml(response, request, objectAttributes(object, request.headers));
    }
    await sendObject(
      response,
      request,
      readObject(object, request.query, request.headers, fault),
      fault,
    );
  }

  #serveBucket(
    response: ServerResponse,
    request: S3Request,
    bucket: Bucket,
    region: string,
    who: string | undefined,
  ): void {
    const { query } = request;
    this.#authorize(query.has('location') ? 's3:GetBucketLocation' : 's3:ListBucket', request, who);
    if (query.has('location')) return answerXml(response, request, bucketLocation(region));
    const unknown = ['versions', 'uploads', 'policy', 'acl', 'versioning'].find((name) =>
      query.has(name),
    );
    if (unknown !== undefined)
      throw new S3Error(501, 'NotImplemented', `?${unknown} is not implemented`);
    const rules = {
      pageSize: this.#options.pageSize ?? 1000,
      emptyLastPage: this.#options.emptyLastPage ?? false,
    };
    answerXml(
      response,
      request,
      request.method === 'HEAD'
        ? ''
        : listObjects(bucket, query, query.get('list-type') === '2' ? 2 : 1, rules),
    );
  }

  #whoAsks(
    signed: Parameters<typeof authenticate>[0],
    region: string,
    now: number,
    request: S3Request,
  ): string | undefined {
    try {
      return authenticate(signed, { credentials: this.#credentials, region, now });
    } catch (error) {
      if (
        !(error instanceof S3Error) ||
        error.details['Region'] === undefined ||
        this.#options.regionError !== 'redirect'
      )
        throw error;
      throw new S3Error(
        301,
        'PermanentRedirect',
        'The bucket you are attempting to access must be addressed using the specified endpoint.',
        {
          details: { Endpoint: request.headers['host'] ?? '', Bucket: request.bucket },
          headers: { 'x-amz-bucket-region': region },
        },
      );
    }
  }

  #allows(action: S3Action, request: S3Request, who: string | undefined): boolean {
    const { public: open, requesterPays } = this.#buckets.get(request.bucket)?.options ?? {};
    if (who === undefined && !open) return false;
    if (
      requesterPays &&
      request.headers['x-amz-request-payer'] !== 'requester' &&
      request.query.get('x-amz-request-payer') !== 'requester'
    )
      return false;
    return this.#options.allow?.(action, request.bucket, request.key, who) ?? true;
  }

  #authorize(action: S3Action, request: S3Request, who: string | undefined): void {
    if (!this.#allows(action, request, who))
      throw new S3Error(403, 'AccessDenied', 'Access Denied');
  }

  #addBucket(options: BucketOptions): Bucket {
    const bucket = new Bucket(options);
    this.#buckets.set(options.name, bucket);
    return bucket;
  }
}
