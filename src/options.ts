/** What callers may say (`FetchOptions`, all optional), and what the engine works with (`Settings`, complete). */
import { bootId } from './boot.ts';
import { ModelFetchError } from './errors.ts';
import type { Reporter } from './events.ts';
import type { Digest } from './fetcher.ts';
import type { Env, ResolverRegistry } from './registry.ts';

export type LinkMode = 'auto' | 'copy' | 'hard' | 'symlink';
export type Unpack = 'auto' | 'never' | 'kserve';
export type Fsync = 'auto' | 'always' | 'never';
export type NetPolicy = 'default' | 'public';

export interface FetchOptions {
  /** Who answers for which scheme. Default: the built-in schemes. */
  readonly registry?: ResolverRegistry;
  /** Credentials, endpoints, proxies, certificates. Default: none is read; servers usually pass `process.env`. */
  readonly env?: Env;
  /** Globs (`picomatch`) over paths relative to the model. Default: everything. */
  readonly include?: readonly string[];
  readonly exclude?: readonly string[];
  /**
   * A platform's patterns, with the meaning of Python's `fnmatch` (`*` crosses `/`), for the files of a folder. `allow` counts
   * where there is no `include`, `ignore` where there is no `exclude`.
   */
  readonly patterns?: { readonly allow: readonly string[]; readonly ignore: readonly string[] };
  /** The one file of the model must have this digest. */
  readonly checksum?: Digest;
  /** `REFUSED` unless the source is at this revision. */
  readonly expectRevision?: string;
  /** `auto`: a model that is one archive is unpacked. `kserve`: if KServe would, by its name alone. Default `auto`. */
  readonly unpack?: Unpack;
  /** Requests at a time. Default: from 16 up to 64 while more helps, fewer when the server asks for less. */
  readonly concurrency?: number;
  /** Bytes per second, all connections together. Default: no limit. */
  readonly limitRate?: number;
  /** Milliseconds for the whole run. Default: none. */
  readonly timeoutMs?: number;
  /** Milliseconds without a byte before a connection is replaced. Default 30,000. */
  readonly stallTimeoutMs?: number;
  /** Attempts without a new byte before giving up. Default 8. */
  readonly attempts?: number;
  /** Milliseconds during which refused connections are simply tried again: a mesh sidecar may be starting. Default 30,000. */
  readonly connectGraceMs?: number;
  /** How local sources are placed. `auto`: reflink, else copy; KServe's `/mnt/pvc/…` is linked. Default `auto`. */
  readonly link?: LinkMode;
  /** Which addresses model URIs and redirects may lead to. Default `default`. */
  readonly netPolicy?: NetPolicy;
  /** Where the manifest goes; `false`: nowhere. Default `.model-fetch/manifest.jsonl` in the target. */
  readonly manifest?: string | false;
  /**
   * Whether bytes are synced to disk before they are published. `auto`: unless the target's file system is a known local one;
   * what is not synced is read again by the first run after a restart of the kernel. Default `auto`.
   */
  readonly fsync?: Fsync;
  /** For tests: the present boot of the kernel; `false`: it cannot be told. @internal */
  readonly boot?: string | false;
  /** Files in the target that are not ours may be replaced. Default false: they are a `CONFLICT`. */
  readonly overwrite?: boolean;
  /** Files that an earlier run of ours published and the source no longer has. `keep`: they stay, and are ours no more. Default `remove`. */
  readonly stale?: 'remove' | 'keep';
  /** Milliseconds to wait for another run that holds the target. Default 600,000. */
  readonly lockTimeoutMs?: number;
  readonly onEvent?: Reporter;
  readonly signal?: AbortSignal;
}

export interface Settings {
  readonly registry: ResolverRegistry;
  readonly env: Env;
  readonly include: readonly string[];
  readonly exclude: readonly string[];
  readonly patterns: FetchOptions['patterns'];
  readonly checksum: Digest | undefined;
  readonly expectRevision: string | undefined;
  readonly unpack: Unpack;
  /** Fixed, when it was asked for. */
  readonly concurrency: number | undefined;
  readonly limitRate: number | undefined;
  readonly timeoutMs: number | undefined;
  readonly stallTimeoutMs: number;
  readonly attempts: number;
  readonly connectGraceMs: number;
  readonly link: LinkMode;
  readonly netPolicy: NetPolicy;
  readonly manifest: string | false | undefined;
  readonly fsync: Fsync;
  /** The present boot of the kernel, where it can be read. */
  readonly boot: string | undefined;
  readonly overwrite: boolean;
  readonly stale: 'remove' | 'keep';
  readonly lockTimeoutMs: number;
  readonly report: Reporter;
  readonly signal: AbortSignal;
}

/** Fills in the defaults and refuses what makes no sense. `registry` is made by the caller when it is not given. */
export function normalize(options: FetchOptions, registry: ResolverRegistry): Settings {
  return {
    registry,
    env: options.env ?? {},
    include: options.include ?? [],
    exclude: options.exclude ?? [],
    patterns: options.patterns,
    checksum: options.checksum && digest(options.checksum),
    expectRevision: options.expectRevision,
    unpack: options.unpack ?? 'auto',
    concurrency:
      options.concurrency === undefined
        ? undefined
        : whole('concurrency', options.concurrency, 1, 1024),
    limitRate:
      options.limitRate === undefined ? undefined : whole('limitRate', options.limitRate, 1),
    timeoutMs:
      options.timeoutMs === undefined ? undefined : whole('timeoutMs', options.timeoutMs, 1),
    stallTimeoutMs: whole('stallTimeoutMs', options.stallTimeoutMs ?? 30_000, 1),
    attempts: whole('attempts', options.attempts ?? 8, 1),
    connectGraceMs: whole('connectGraceMs', options.connectGraceMs ?? 30_000, 0),
    link: options.link ?? 'auto',
    netPolicy: options.netPolicy ?? 'default',
    manifest: options.manifest,
    fsync: options.fsync ?? 'auto',
    boot: options.boot === false ? undefined : (options.boot ?? bootId()),
    overwrite: options.overwrite ?? false,
    stale: options.stale ?? 'remove',
    lockTimeoutMs: whole('lockTimeoutMs', options.lockTimeoutMs ?? 600_000, 0),
    report: options.onEvent ?? (() => undefined),
    signal: options.signal ?? new AbortController().signal,
  };
}

const HEX_LENGTH: Record<string, number> = {
  sha512: 128,
  sha256: 64,
  sha1: 40,
  md5: 32,
  crc64nvme: 16,
  crc32c: 8,
  crc32: 8,
};

/** `algorithm:hex` in its one canonical form. Throws `INVALID_OPTION`. */
export function digest(text: string): Digest {
  const [algorithm = '', hex = ''] = text.trim().toLowerCase().split(':');
  if (HEX_LENGTH[algorithm] !== hex.length || !/^[0-9a-f]+$/.test(hex))
    throw new ModelFetchError('INVALID_OPTION', `"${text}" is not a checksum`, {
      hint: `Write algorithm:hex with one of ${Object.keys(HEX_LENGTH).join(', ')}, for example sha256:9f86d0…`,
    });
  return `${algorithm}:${hex}` as Digest;
}

function whole(name: string, value: number, least: number, most = Number.MAX_SAFE_INTEGER): number {
  if (Number.isSafeInteger(value) && value >= least && value <= most) return value;
  throw new ModelFetchError(
    'INVALID_OPTION',
    `${name} must be a whole number from ${String(least)}, not ${String(value)}`,
  );
}
