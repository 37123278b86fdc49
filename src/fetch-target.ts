/** Everything for one target: its sources become one plan, one staging area, one publish. */
import { statfsSync } from 'node:fs';
import { join } from 'node:path';
import { drain } from './drain.ts';
import { ModelFetchError } from './errors.ts';
import type { Fetcher } from './fetcher.ts';
import type { FetchResult } from './fetch-model.ts';
import { Collisions } from './plan/collisions.ts';
import { makeFilter } from './plan/filter.ts';
import { Fingerprint } from './plan/fingerprint.ts';
import { makePlan, selected, type PlanItem } from './plan/plan.ts';
import { obstacles } from './publish/in-the-way.ts';
import { syncDirectories } from './publish/durable.ts';
import type { ManifestHeader, ManifestSource } from './publish/manifest.ts';
import { Spool } from './publish/spool.ts';
import { openTarget, type Target } from './publish/target.ts';
import { bytesUntouched, looksUntouched } from './publish/verify.ts';
import { redactText } from './redact.ts';
import { listPatiently, type Run } from './run.ts';
import { stageItem, type StageContext } from './stage.ts';
import { pool } from './transfer/pool.ts';
import type { Transfer } from './transfer/read.ts';
import { VERSION } from './version.ts';

/** A target whose model is whole in staging, and not yet visible. */
export interface StagedTarget extends AsyncDisposable {
  publish(): Promise<FetchResult>;
}

interface Tally {
  files: number;
  bytes: number;
  kept: number;
  fetchedBytes: number;
  retries: number;
  verified: Record<string, number>;
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
]);

export async function stageTarget(
  run: Run,
  dest: string,
  uris: readonly string[],
): Promise<StagedTarget> {
  const started = performance.now();
  const { settings } = run;
  const target = await openTarget(dest, {
    manifest: settings.manifest,
    lockTimeoutMs: settings.lockTimeoutMs,
    signal: run.signal,
  });
  const tally: Tally = { files: 0, bytes: 0, kept: 0, fetchedBytes: 0, retries: 0, verified: {} };
  try {
    const staged = await stageSources(run, target, uris, tally);
    return new Staged(run, target, staged, tally, started);
  } catch (error) {
    if (error instanceof ModelFetchError && HOPELESS.has(error.code)) target.discard();
    await target[Symbol.asyncDispose]();
    throw error;
  }
}

interface StagedSource extends ManifestSource {
  readonly fetcher: Fetcher;
  /** Something of it was downloaded in this run. */
  readonly moved: boolean;
}

async function stageSources(
  run: Run,
  target: Target,
  uris: readonly string[],
  tally: Tally,
): Promise<StagedSource[]> {
  const { settings } = run;
  const stop = new AbortController();
  const transfer = run.transfer(linked(run.signal, stop));
  const counted: Transfer = {
    ...transfer,
    report: (event) => {
      count(tally, event);
      transfer.report(event);
    },
  };
  const collisions = new Collisions();
  const inTheWay = obstacles(target.dir, target.ours, settings.overwrite);
  const tree = target.staging.newTree();
  const room = roomCheck(target.dir);
  const sources: StagedSource[] = [];
  let nextId = 0;
  for (const [index, uri] of uris.entries()) {
    const fetcher = await run.resolve(uri, scratchIn(target));
    const from = redactText(uri);
    announce(run, fetcher);
    const fingerprint = new Fingerprint();
    const context: StageContext = {
      transfer: counted,
      fetcher,
      source: index,
      from,
      staging: target.staging,
      tree,
      obstacles: inTheWay,
      required: settings.checksum ? [settings.checksum] : [],
      link: settings.link,
      unpack: settings.unpack,
      width: Math.min(settings.concurrency, 16),
      claim: (path) => {
        collisions.add(path, fetcher.uri);
      },
      onFile: ({ size, kept }) => {
        tally.files++;
        tally.bytes += size;
        if (kept) tally.kept++;
      },
    };
    const plan = makePlan(listPatiently(run, fetcher), {
      from,
      uri: fetcher.uri,
      wanted: makeFilter(settings.include, settings.exclude),
      unpack: settings.unpack,
      required: context.required,
      previous: target.current,
      collisions,
      fingerprint,
      firstId: nextId,
      untouched: async (file) =>
        looksUntouched(target.dir, file) || bytesUntouched(target.dir, file, run.signal),
    });
    const before = { files: tally.files, bytes: tally.bytes, kept: tally.kept };
    let moved = false;
    const watched = watchPlan(plan, (item) => {
      nextId = item.id + 1;
      if (item.how === 'keep') return;
      moved = true;
      room(item.entry.size ?? 0);
    });
    await pool(
      watched,
      settings.concurrency,
      (item) => stageItem(context, item),
      (error) => {
        stop.abort(error);
      },
    );
    sources.push({
      from,
      uri: redactText(fetcher.uri),
      ...(fetcher.revision !== undefined && { revision: fetcher.revision }),
      fingerprint: fingerprint.value(),
      entries: fingerprint.count,
      fetcher,
      moved,
    });
    settings.report({
      type: 'listed',
      uri: fetcher.uri,
      files: tally.files - before.files,
      bytes: tally.bytes - before.bytes,
      kept: tally.kept - before.kept,
    });
  }
  return sources;
}

function announce(run: Run, fetcher: Fetcher): void {
  const { expectRevision, report } = run.settings;
  report({
    type: 'resolved',
    uri: redactText(fetcher.uri),
    ...(fetcher.revision !== undefined && { revision: fetcher.revision }),
  });
  if (
    expectRevision !== undefined &&
    fetcher.revision !== undefined &&
    fetcher.revision !== expectRevision
  )
    throw unexpected(fetcher, expectRevision, fetcher.revision);
}

function unexpected(fetcher: Fetcher, expected: string, found: string): ModelFetchError {
  return new ModelFetchError('REFUSED', `the source is at revision ${found}, not ${expected}`, {
    uri: fetcher.uri,
    hint: 'Pass the revision you mean, or leave --expect-revision out.',
  });
}

class Staged implements StagedTarget {
  readonly #run: Run;
  readonly #target: Target;
  readonly #sources: readonly StagedSource[];
  readonly #tally: Tally;
  readonly #started: number;

  constructor(
    run: Run,
    target: Target,
    sources: readonly StagedSource[],
    tally: Tally,
    started: number,
  ) {
    this.#run = run;
    this.#target = target;
    this.#sources = sources;
    this.#tally = tally;
    this.#started = started;
  }

  async publish(): Promise<FetchResult> {
    const { settings, signal } = this.#run;
    for (const source of this.#sources) await this.#stillTheSame(source);
    signal.throwIfAborted();
    const { files, bytes } = this.#tally;
    const { dir } = this.#target;
    if (this.#unchanged()) {
      this.#target.discard();
      settings.report({ type: 'unchanged', target: dir, files, bytes });
      return this.#result(true, 0);
    }
    await this.#composeManifest();
    await syncDirectories(this.#target.staging.folders);
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
    const again = selected(listPatiently(this.#run, fetcher), {
      wanted: makeFilter(settings.include, settings.exclude),
      collisions: new Collisions(),
      fingerprint: now,
      uri: fetcher.uri,
    });
    await drain(again);
    if (now.value() === fingerprint) return;
    this.#target.discard();
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
          old.from === this.#sources[i]!.from && old.fingerprint === this.#sources[i]!.fingerprint,
      )
    );
  }

  /** Header, entries, files and the end mark, in staging: publishing only renames it. */
  async #composeManifest(): Promise<void> {
    const { staging } = this.#target;
    const manifest = new Spool(join(staging.dir, 'manifest.jsonl'));
    const header: ManifestHeader = {
      manifest: 1,
      tool: `model-fetch/${VERSION}`,
      layout: 'flat',
      publishedAt: new Date().toISOString(),
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
      await manifest.append(staging.files);
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
    for (const { fetcher } of this.#sources) await fetcher[Symbol.asyncDispose]?.();
    await this.#target[Symbol.asyncDispose]();
  }
}

function count(tally: Tally, event: Parameters<Transfer['report']>[0]): void {
  if (event.type === 'progress') tally.fetchedBytes += event.bytes;
  if (event.type === 'retry') tally.retries++;
  if (event.type !== 'verified') return;
  const names = event.against.map((digest) => digest.slice(0, digest.indexOf(':')));
  for (const name of names.length > 0 ? names : ['length'])
    tally.verified[name] = (tally.verified[name] ?? 0) + 1;
}

async function* watchPlan(
  plan: AsyncIterable<PlanItem>,
  look: (item: PlanItem) => void,
): AsyncGenerator<PlanItem> {
  for await (const item of plan) {
    look(item);
    yield item;
  }
}

/** Refuses as soon as what was listed cannot fit, long before the disk is full. */
function roomCheck(dir: string): (bytes: number) => void {
  const { bavail, bsize } = statfsSync(dir);
  const room = bavail * bsize;
  let needed = 0;
  return (bytes) => {
    needed += bytes;
    if (needed > room)
      throw new ModelFetchError(
        'NO_SPACE',
        `the model needs at least ${String(needed)} bytes, and ${String(room)} are free in ${dir}`,
        {
          path: dir,
          hint: "Give the volume more room (emptyDir's sizeLimit counts too).",
        },
      );
  };
}

function scratchIn(target: Target): () => Promise<string> {
  return () => Promise.resolve(target.staging.newScratch());
}

function linked(outer: AbortSignal, inner: AbortController): AbortSignal {
  if (outer.aborted) inner.abort(outer.reason);
  outer.addEventListener(
    'abort',
    () => {
      inner.abort(outer.reason);
    },
    { once: true, signal: inner.signal },
  );
  return inner.signal;
}
