/** Everything for one target: its sources become one plan, one staging area, one publish. */
import { statfsSync } from 'node:fs';
import { ModelFetchError } from '../errors.ts';
import type { Fetcher } from '../fetcher.ts';
import { fileSystemType } from '../file-systems.ts';
import { linked } from '../linked.ts';
import type { LinkMode } from '../options.ts';
import { Collisions } from '../plan/collisions.ts';
import { makeFilter } from '../plan/filter.ts';
import { Fingerprint } from '../plan/fingerprint.ts';
import { makePlan, type PlanItem } from '../plan/plan.ts';
import { durability, type Durability } from '../publish/durability.ts';
import { knownAs } from '../publish/manifest.ts';
import { obstacles, type Obstacles } from '../publish/in-the-way.ts';
import { openTarget, type Target } from '../publish/target.ts';
import { untouchedIn } from '../publish/verify.ts';
import { redactText } from '../redact.ts';
import { listPatiently, type Run } from '../run.ts';
import { resumeKey } from './bring.ts';
import type { StageContext } from './context.ts';
import { keep, type Kept } from './keep.ts';
import { stageItem } from './stage.ts';
import { pool } from '../transfer/pool.ts';
import type { Transfer } from '../transfer/read.ts';

import { count, type Tally } from './tally.ts';
import {
  discardIfHopeless,
  letGo,
  Staged,
  unexpected,
  type StagedSource,
  type StagedTarget,
} from './staged-target.ts';

/** Ranges of one file begun at a time; how many really run is for the slots to say. */
const MOST_RANGES = 64;

/** Each may hold the pieces of an archive in memory. */
const SOURCES_AT_A_TIME = 2;

/** Everything of `uris`, whole and checked in the staging area of `dest`. Throws, and leaves no visible trace. */
export async function stageTarget(
  run: Run,
  dest: string,
  uris: readonly string[],
  signal: AbortSignal,
): Promise<StagedTarget> {
  const started = performance.now();
  const { settings } = run;
  const target = await openTarget(dest, {
    manifest: settings.manifest,
    lockTimeoutMs: settings.lockTimeoutMs,
    keepStale: settings.stale === 'keep',
    signal,
  });
  const tally: Tally = { files: 0, bytes: 0, kept: 0, fetchedBytes: 0, retries: 0, verified: {} };
  const fetchers: Fetcher[] = [];
  const kept: Kept[] = [];
  try {
    const lasting = durability(settings.fsync, fileSystemType(target.dir), settings.boot);
    const staged = await stageSources(run, target, lasting, uris, {
      tally,
      kept,
      fetchers,
      signal,
    });
    return new Staged(run, target, lasting, staged, kept, tally, started);
  } catch (error) {
    discardIfHopeless(target, error);
    await letGo(fetchers, target);
    throw error;
  }
}

/** What all sources of a target share while it is staged. */
interface Shared {
  readonly run: Run;
  readonly target: Target;
  readonly tally: Tally;
  readonly kept: Kept[];
  readonly transfer: Transfer;
  readonly collisions: Collisions;
  readonly obstacles: Obstacles;
  readonly tree: string;
  /** Throws `NO_SPACE` when these bytes more do not fit. */
  readonly reserve: (bytes: number) => void;
  /** Gives out the ids of entries. */
  readonly nextId: () => number;
  /** Ends what is under way after a failure. */
  readonly stop: (error: unknown) => void;
}

async function stageSources(
  run: Run,
  target: Target,
  lasting: Durability,
  uris: readonly string[],
  {
    tally,
    kept,
    fetchers,
    signal,
  }: { tally: Tally; kept: Kept[]; fetchers: Fetcher[]; signal: AbortSignal },
): Promise<StagedSource[]> {
  let entries = 0;
  const stop = new AbortController();
  const transfer = run.transfer(linked(signal, stop), lasting.sync);
  const shared: Shared = {
    run,
    target,
    tally,
    kept,
    transfer: {
      ...transfer,
      report: (event) => {
        count(tally, event);
        transfer.report(event);
      },
    },
    collisions: new Collisions(),
    obstacles: obstacles(target.dir, target.ours, run.settings.overwrite, target.damaged),
    tree: target.staging.newTree(),
    reserve: roomCheck(target.dir),
    nextId: () => entries++,
    stop: (error) => {
      stop.abort(error);
    },
  };
  const sources: StagedSource[] = [];
  await pool(
    uris.entries(),
    SOURCES_AT_A_TIME,
    async ([index, uri]) => {
      const fetcher = await run.resolve(uri, scratchIn(target));
      fetchers.push(fetcher);
      announce(run, fetcher);
      sources[index] = await stageSource(shared, fetcher, uri, index);
    },
    shared.stop,
  );
  return sources;
}

async function stageSource(
  shared: Shared,
  fetcher: Fetcher,
  uri: string,
  index: number,
): Promise<StagedSource> {
  const { run, target } = shared;
  const { settings } = run;
  const context = contextOf(shared, fetcher, uri, index);
  const fingerprint = new Fingerprint();
  const plan = makePlan(listPatiently(run, fetcher), {
    from: knownAs(target.current, context.from, redactText(fetcher.uri)),
    uri: fetcher.uri,
    wanted: makeFilter(settings, fetcher),
    unpack: settings.unpack,
    required: context.required,
    previous: target.current,
    collisions: shared.collisions,
    fingerprint,
    nextId: shared.nextId,
    untouched: untouchedIn(target.dir, target.current?.header, settings.boot, run.signal),
  });
  let moved = false;
  const listed = { files: 0, bytes: 0, kept: 0, keptBytes: 0 };
  const toBring = async function* (): AsyncGenerator<PlanItem> {
    for await (const item of plan) {
      const { how, entry } = item;
      const size = entry.size ?? 0;
      listed.files++;
      listed.bytes += size;
      if (how === 'keep') {
        context.transfer.signal.throwIfAborted();
        listed.kept++;
        listed.keptBytes += size;
        shared.kept.push(keep(context, item));
      } else {
        moved = true;
        const { staging } = target;
        const held = staging.resumes ? staging.held(resumeKey(context.from, entry)) : 0;
        shared.reserve(size - held);
      }
      // Given out is only what is left to do: there may be a million kept files.
      if (how !== 'keep' || context.syncKept) yield item;
    }
    settings.report({ type: 'listed', uri: redactText(fetcher.uri), ...listed });
  };
  await pool(toBring(), shared.transfer.most, (item) => stageItem(context, item), shared.stop);
  return {
    from: context.from,
    uri: redactText(fetcher.uri),
    ...(fetcher.revision !== undefined && { revision: fetcher.revision }),
    fingerprint: fingerprint.value(),
    entries: fingerprint.count,
    fetcher,
    moved,
  };
}

function contextOf(shared: Shared, fetcher: Fetcher, uri: string, index: number): StageContext {
  const { run, target, tally, collisions } = shared;
  const { settings } = run;
  return {
    transfer: shared.transfer,
    fetcher,
    source: index,
    from: redactText(uri),
    staging: target.staging,
    target: target.dir,
    syncKept: shared.transfer.sync && target.current?.header.boot !== undefined,
    tree: shared.tree,
    obstacles: shared.obstacles,
    required: settings.checksum ? [settings.checksum] : [],
    link: linkMode(settings.link, uri),
    unpack: settings.unpack,
    width: Math.min(shared.transfer.most, MOST_RANGES),
    claim: (path) => {
      collisions.add(path, fetcher.uri);
    },
    release: (path) => {
      collisions.release(path);
    },
    onFile: ({ size, kept }) => {
      tally.files++;
      tally.bytes += size;
      if (kept) tally.kept++;
    },
  };
}

/** KServe's own mount of a claim is there for the server too, at the same path: its files are linked, as KServe does. */
function linkMode(link: LinkMode, uri: string): LinkMode {
  return link === 'auto' && /^(?:file:\/\/)?\/mnt\/pvc\//.test(uri) ? 'symlink' : link;
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
