/**
 * The seam. A scheme says *what* a model consists of and *where* its bytes are; the engine alone moves bytes.
 * Types only. A fourth method on `Fetcher` needs an ADR; new needs become facts on `Entry` or `Location`.
 */
import type { Agent as HttpAgent } from 'node:http';
import type { Agent as HttpsAgent } from 'node:https';
import type { Ref } from './ref.ts';

/** Bytes `start` up to, not including, `end`, as in `slice`. Only `transfer/http-range.ts` speaks inclusive. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/** Algorithms whose digests a source may declare. CRCs detect accidents, SHA-2 also detects attackers. */
export type DigestAlgorithm =
  'sha512' | 'sha256' | 'sha1' | 'md5' | 'crc64nvme' | 'crc32c' | 'crc32';

/** `algorithm:hex`, big-endian, lower case, e.g. `sha256:9f86d0…`. Of the whole file, unless it is said of what. */
export type Digest = `${DigestAlgorithm}:${string}`;

/** The digest of the bytes from the end of the part before, or the start of the file, up to, not including, `end`. */
export interface PartDigest {
  readonly end: number;
  readonly digest: Digest;
}

/** The parts that a file was uploaded in: what some sources vouch for instead of the whole. */
export interface Parts {
  /** Of one algorithm, in order, of all parts. */
  readonly digests: readonly PartDigest[];
  /** Of their raw digests, one after the other, where the source states it. Parts that do not fit it are not believed. */
  readonly digest?: Digest;
}

export type ArchiveFormat = 'tar' | 'tar.gz' | 'tar.zst' | 'tar.bz2' | 'tar.xz' | 'zip';

/** The entry is an archive whose contents, not itself, are the model. */
export interface ArchiveFact {
  /** Absent: the content decides. */
  readonly format?: ArchiveFormat;
  /** Leading path segments dropped from every member, e.g. `models` of a modelcar. */
  readonly strip?: string;
  /** One layer of several, applied in listing order, whiteouts and all. */
  readonly layer?: boolean;
}

/** One file of a model, as its source describes it. Plain data: logged, planned, compared and stored. */
export interface Entry {
  /** Where the file lands, relative to the target, `/`-separated. Untrusted until `plan/path.ts` has seen it. */
  readonly path: string;
  /** Bytes. Absent when the source cannot say; the entry is then read once, in order. */
  readonly size?: number;
  /** Opaque token that changes when the content does: ETag, generation, digest, or size and time. */
  readonly version?: string;
  /** Digests of the whole file that the source vouches for. More may be learnt when it is located or read. */
  readonly digests?: readonly Digest[];
  /** False when the bytes can only be read once, from the start. */
  readonly ranges?: boolean;
  /** Decoded after verification. */
  readonly encoding?: 'gzip' | 'jwe';
  readonly archive?: ArchiveFact;
  /** The name that tells whether it is an archive, where that is not its own; empty: it is none. For older contracts only. */
  readonly named?: string;
  /** What the fetcher needs to find the entry again (an object key, say). Plain data, never a secret. */
  readonly source?: string;
}

/** How a source is reached, beyond what the run's network says. Certificates by reference to files. */
export interface Transport {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  /** Certificates are not checked. Said loudly by whoever sets it. */
  readonly insecure?: boolean;
  readonly proxy?: string;
  /**
   * The least public address this source may lead to. `any`: set by the operator, trusted. Absent: `loopback`, that is
   * all but link-local, metadata, multicast and unspecified addresses. After a redirect: the class it came from.
   */
  readonly reach?: Reach;
}
export type Reach = 'any' | 'loopback' | 'private' | 'public';

/** Bytes behind one authorised GET. Plain data: it crosses to workers, is logged (redacted) and refreshed. */
export interface HttpLocation {
  readonly kind: 'http';
  /** Final: redirects have been followed. */
  readonly url: string;
  /** Sent with every read, names in lower case. Never `range` or `accept-encoding`: those are the engine's. */
  readonly headers: Readonly<Record<string, string>>;
  /** Milliseconds since the epoch; the engine asks `locate` again a little before. */
  readonly expiresAt?: number;
  /** How a part is asked for: the `Range` header (default), WebHDFS's `?offset=&length=`, or not at all. */
  readonly range?: 'header' | 'offset-length' | 'none';
  /** What proves that it is still the same version: sent (`if-match`), and compared in every answer (`etag`). */
  readonly pin?: {
    readonly request?: Readonly<Record<string, string>>;
    readonly response?: Readonly<Record<string, string>>;
  };
  /** The bytes are wanted as they are stored, whatever `Content-Encoding` answers name. Absent: an encoded answer is refused. */
  readonly stored?: boolean;
  /** Digests learnt while locating. */
  readonly digests?: readonly Digest[];
  /** Instead of digests of the whole. */
  readonly parts?: Parts;
  readonly transport?: Transport;
}

/** Bytes in a local file, which may be cloned or linked instead of read. */
export interface FileLocation {
  readonly kind: 'file';
  /** Absolute. */
  readonly path: string;
}

/** For the odd ones: bytes only the fetcher can produce. Read on the main thread. */
export interface StreamLocation {
  readonly kind: 'stream';
  open(range?: ByteRange): Promise<AsyncIterable<Uint8Array>>;
}

export type Location = HttpLocation | FileLocation | StreamLocation;

/** What the engine saw when a location stopped working. */
export interface FailedLocation {
  readonly location: Location;
  /** HTTP status, when there was an answer. */
  readonly status?: number;
  /** Names in lower case. */
  readonly headers?: Readonly<Record<string, string>>;
  /** The first 64 KiB of the answer, as text. */
  readonly body?: string;
}

export interface CallOptions {
  readonly signal?: AbortSignal;
}

/** One model at one revision. Lists it, and says where its bytes are. Never moves them. */
export interface Fetcher extends Partial<AsyncDisposable> {
  /** What was resolved, pinned as far as the scheme allows, free of credentials. */
  readonly uri: string;
  /** Immutable id of what `uri` named at resolve time, when the scheme has one. */
  readonly revision?: string;
  /** The URI names one file, not a folder: patterns that choose among the files of a folder do not apply. */
  readonly single?: boolean;
  /** A platform's patterns are held against the first segment of a path alone. For older contracts only. */
  readonly patternsBy?: 'top';
  /** Every file, in a stable order. Nothing to list is `NOT_FOUND`, thrown here or by `resolve`. */
  list(options?: CallOptions): AsyncIterable<Entry>;
  /**
   * Where the bytes of `entry` are, authorised. Called again with `failed` when a location stopped working (wrong
   * region, expired signature or token, a late redirect): answers a fresh one, or throws the typed error.
   */
  locate(
    entry: Entry,
    options?: CallOptions & { readonly failed?: FailedLocation },
  ): Promise<Location>;
}

/** One control-plane answer. */
export interface HttpAnswer {
  readonly status: number;
  /** Names in lower case; repeated fields joined with `, `. */
  readonly headers: Readonly<Record<string, string>>;
  /** The whole body, at most `maxBytes`; empty with `body: 'discard'`. */
  readonly body: Buffer;
  /** Where the answer came from, after redirects. */
  readonly url: string;
  /** How that place may be reached by the data plane: pass it on as `Location.transport`. */
  readonly transport: Transport;
}

export interface HttpRequest extends CallOptions {
  readonly method?: 'GET' | 'HEAD' | 'POST' | 'PUT';
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  /** `follow` (default): up to 10, under one policy: no downgrade to http, secrets never cross origins. */
  readonly redirect?: 'follow' | 'manual';
  /** `read` (default) or `discard`: resolve on the head and let go of the connection. */
  readonly answer?: 'read' | 'discard';
  /** Bytes of the answer's body. Default 8 MiB; more is an error. */
  readonly maxBytes?: number;
  readonly transport?: Transport;
}

/**
 * The control plane: proxies, CAs, address policy, redirects, and retries of what is safe to retry (connection errors,
 * 408, 429, 5xx with Retry-After). Any other status is an answer, not an error.
 */
export interface HttpClient {
  request(url: string, options?: HttpRequest): Promise<HttpAnswer>;
  /** Node agents under the same rules, for SDKs that bring their own client. */
  agents(transport?: Transport): Promise<{ http: HttpAgent; https: HttpsAgent }>;
}

/** What a resolver may use. It never looks for these elsewhere. */
export interface ResolveContext {
  readonly signal: AbortSignal;
  /** For schemes that point at others (`models:/` to `s3://`): policy-checked, loop-guarded. */
  resolve(uri: string): Promise<Fetcher>;
  /** A private folder inside the mount, removed afterwards. */
  scratch(): Promise<string>;
  readonly http: HttpClient;
}

/** For `model-fetch explain`: the parsed parts, and which credential source would be used. Never a secret. */
export interface Explanation {
  readonly parts: Readonly<Record<string, string>>;
  readonly credentials: string;
  readonly endpoint?: string;
}

/** What a scheme registers. */
export interface Resolver {
  /** Pins what `ref` names now. Cheap: the sidecar polls with it. */
  resolve(ref: Ref, context: ResolveContext): Promise<Fetcher>;
  explain?(ref: Ref, context: ResolveContext): Promise<Explanation>;
}
