/** A target that is whole in staging: confirmed once more, then made visible. */
import { dirname, join } from 'node:path';
import { ModelFetchError } from '../errors.ts';
import type { Fetcher } from '../fetcher.ts';
import type { FetchResult } from '../fetch-model.ts';
import { makeFilter } from '../plan/filter.ts';
import { Fingerprint } from '../plan/fingerprint.ts';
import { takeFingerprint } from '../plan/plan.ts';
import type { Durability } from '../publish/durability.ts';
import { syncDirectories } from '../publish/durable.ts';
import { sameSource, type ManifestHeader, type ManifestSource } from '../publish/manifest.ts';
import { Spool } from '../publish/spool.ts';
import { type Target } from '../publish/target.ts';
import { listPatiently, type Run } from '../run.ts';
import { VERSION } from '../version.ts';

import { writeKeptEntries, writeKeptFiles, type Kept } from './keep.ts';
import { type Tally } from './tally.ts';

/** A target whose model is whole in staging, and not yet visible. */
export interface StagedTarget extends AsyncDisposable {
  /** Throws when a source is not what it was when it was listed. Asked of every target before the first is published. */
  confirm(): Promise<void>;
  publish(): Promise<FetchResult>;
}

/** Errors after which what is staged helps no later run. */
const HOPELESS: ReadonlySet<string> = new Set([
  'DIGEST_MISMATCH',
  'SOURCE_CHANGED',
  'BAD_RESPONSE',
  'UNSAFE_PATH',
  'UNSAFE_ARCHIVE',
  'BAD_ARCHIVE',
  'LIMIT_EXCEEDED',
  'NOT_FOUND',
  'CONFLICT',
  'REFUSED',
  'INVALID_OPTION',
  'INVALID_URI',
  'UNSUPPORTED',
  'UNSUPPORTED_SCHEME',
  'INTERNAL',
  // A full volume is left as it was found; what does not fit now is refused before it is downloaded again.
  'NO_SPACE',
]);

export interface StagedSource extends ManifestSource {
  readonly fetcher: Fetcher;
  /** Something of it was downloaded in this run. */
  readonly moved: boolean;
}

export class Staged implements StagedTarget {
  readonly #run: Run;
  readonly #target: Target;
  readonly #lasting: Durability;
  readonly #sources: readonly StagedSource[];
  readonly #kept: readonly Kept[];
  readonly #tally: Tally;
  readonly #started: number;

  constructor(
    run: Run,
    target: Target,
    lasting: Durability,
    sources: readonly StagedSource[],
    kept: readonly Kept[],
    tally: Tally,
    started: number,
  ) {
    this.#run = run;
    this.#target = target;
    this.#lasting = lasting;
    this.#sources = sources;
    this.#kept = kept;
    this.#tally = tally;
    this.#started = started;
  }

  async confirm(): Promise<void> {
    try {
      for (const source of this.#sources) await this.#stillTheSame(source);
    } catch (error) {
      discardIfHopeless(this.#target, error);
      throw error;
    }
  }

  async publish(): Promise<FetchResult> {
    const { settings, signal } = this.#run;
    signal.throwIfAborted();
    const { files, bytes } = this.#tally;
    const { dir } = this.#target;
    if (this.#unchanged()) {
      await this.#renew();
      this.#target.discard();
      settings.report({ type: 'unchanged', target: dir, files, bytes });
      return this.#result(true, 0);
    }
    await this.#composeManifest(new Date().toISOString());
    await this.#syncFolders();
    signal.throwIfAborted();
    const removed = await this.#target.publish();
    settings.report({ type: 'published', target: dir, files, bytes, removed });
    return this.#result(false, removed);
  }

  /** Sources without revisions are listed once more: an upload that went on while we read shows. */
  async #stillTheSame({ fetcher, moved, fingerprint }: StagedSource): Promise<void> {
    const { settings } = this.#run;
    if (
      fetcher.revision === undefined &&
      settings.expectRevision !== undefined &&
      settings.expectRevision !== fingerprint
    )
      throw unexpected(fetcher, settings.expectRevision, fingerprint);
    if (fetcher.revision !== undefined || !moved) return;
    const now = new Fingerprint();
    await takeFingerprint(listPatiently(this.#run, fetcher), {
      wanted: makeFilter(settings, fetcher),
      fingerprint: now,
      uri: fetcher.uri,
    });
    if (now.value() === fingerprint) return;
    throw new ModelFetchError(
      'SOURCE_CHANGED',
      'the source changed while it was fetched: its listing is not the same as before',
      {
        uri: fetcher.uri,
        hint: 'Nothing was published. Run again once the upload has finished.',
      },
    );
  }

  #unchanged(): boolean {
    const header = this.#target.current?.header;
    return (
      header !== undefined &&
      this.#tally.kept === this.#tally.files &&
      header.files === this.#tally.files &&
      header.sources.length === this.#sources.length &&
      header.sources.every(
        (old, i) =>
          sameSource(old, this.#sources[i]!) && old.fingerprint === this.#sources[i]!.fingerprint,
      )
    );
  }

  /**
   * Nothing changed, but the manifest says of another boot, or of none of ours, what has just been found out or seen to: it is
   * replaced in one step, so that the next run need not read every file again.
   */
  async #renew(): Promise<void> {
    const { boot, publishedAt } = this.#target.current!.header;
    if (boot === undefined || boot === this.#lasting.boot) return;
    await this.#composeManifest(publishedAt);
    await this.#syncFolders();
    this.#run.signal.throwIfAborted();
    this.#target.renewManifest();
  }

  /** What the renames to come stand in: with the rest of the model, or for the manifest alone. */
  async #syncFolders(): Promise<void> {
    const { staging } = this.#target;
    if (this.#lasting.sync) await syncDirectories(staging.folders);
    await syncDirectories([staging.dir, dirname(staging.dir)]);
  }

  /** Header, entries, files and the end mark, in staging: publishing only renames it. */
  async #composeManifest(publishedAt: string): Promise<void> {
    const { staging } = this.#target;
    const manifest = new Spool(join(staging.dir, 'manifest.jsonl'));
    const header: ManifestHeader = {
      manifest: 1,
      tool: `model-fetch/${VERSION}`,
      layout: 'flat',
      publishedAt,
      ...(this.#lasting.boot !== undefined && { boot: this.#lasting.boot }),
      sources: this.#sources.map(({ from, uri, revision, fingerprint, entries }) => ({
        from,
        uri,
        ...(revision !== undefined && { revision }),
        fingerprint,
        entries,
      })),
      files: this.#tally.files,
      bytes: this.#tally.bytes,
    };
    try {
      manifest.line(header);
      await manifest.append(staging.entries);
      writeKeptEntries(manifest, this.#kept);
      await manifest.append(staging.files);
      writeKeptFiles(manifest, this.#kept);
      manifest.line({ end: { files: this.#tally.files } });
      manifest.finish();
    } finally {
      manifest.close();
    }
  }

  #result(unchanged: boolean, removed: number): FetchResult {
    const { manifestPath, dir } = this.#target;
    return {
      target: dir,
      unchanged,
      sources: this.#sources.map(({ uri, revision, fingerprint }) => ({
        uri,
        ...(revision !== undefined && { revision }),
        fingerprint,
      })),
      ...this.#tally,
      removed,
      seconds: Math.round(performance.now() - this.#started) / 1000,
      ...(manifestPath !== undefined && { manifest: manifestPath }),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await letGo(
      this.#sources.map(({ fetcher }) => fetcher),
      this.#target,
    );
  }
}

export function discardIfHopeless(target: Target, error: unknown): void {
  if (error instanceof ModelFetchError && HOPELESS.has(error.code)) target.discard();
}

/** The target is given back whatever a fetcher's own clean-up does. */
export async function letGo(fetchers: readonly Fetcher[], target: Target): Promise<void> {
  try {
    for (const fetcher of fetchers) await fetcher[Symbol.asyncDispose]?.();
  } finally {
    await target[Symbol.asyncDispose]();
  }
}

export function unexpected(fetcher: Fetcher, expected: string, found: string): ModelFetchError {
  return new ModelFetchError('REFUSED', `the source is at revision ${found}, not ${expected}`, {
    uri: fetcher.uri,
    hint: 'Pass the revision you mean, or leave --expect-revision out.',
  });
}
