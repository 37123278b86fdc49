/** The story, top to bottom: resolve, list, plan, transfer, verify, unpack, publish. */
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { asModelFetchError, ModelFetchError } from './errors.ts';
import type { Entry, Explanation } from './fetcher.ts';
import type { StagedTarget } from './stage/staged-target.ts';
import { linked } from './linked.ts';
import { stageTarget } from './stage/target.ts';
import type { FetchOptions } from './options.ts';
import { Collisions } from './plan/collisions.ts';
import { makeFilter } from './plan/filter.ts';
import { Fingerprint } from './plan/fingerprint.ts';
import { makePlan, selected } from './plan/plan.ts';
import { knownAs, readManifest } from './publish/manifest.ts';
import { OWN } from './plan/path.ts';
import { targetPath } from './publish/target.ts';
import { untouchedIn, verify } from './publish/verify.ts';
import { redactText } from './redact.ts';
import { parseRef } from './ref.ts';
import type { Registration } from './registry.ts';
import { listPatiently, openRun, type Run } from './run.ts';
import { pool } from './transfer/pool.ts';

/** Each may hold the pieces of an archive in memory. */
const TARGETS_AT_A_TIME = 2;

/** One source and the directory it is wanted in. Pairs that share a directory are merged into one target. */
export interface Pair {
  readonly uri: string;
  readonly dest: string;
}

/** What a target holds now, and what that took. */
export interface FetchResult {
  /** Absolute path of the target. */
  readonly target: string;
  /** Nothing had to be done. */
  readonly unchanged: boolean;
  /** Pinned and redacted. */
  readonly sources: readonly {
    readonly uri: string;
    readonly revision?: string;
    readonly fingerprint: string;
  }[];
  /** Published files and their bytes. */
  readonly files: number;
  readonly bytes: number;
  /** Body bytes that were downloaded. */
  readonly fetchedBytes: number;
  /** Files that were already in place. */
  readonly kept: number;
  /** Stale files removed. */
  readonly removed: number;
  /** How many source files were checked against a digest of the source, by algorithm; `length` where there was none. */
  readonly verified: Readonly<Record<string, number>>;
  readonly retries: number;
  readonly seconds: number;
  /** Absent with `manifest: false`. */
  readonly manifest?: string;
}

/** What a run would do to a target. */
export interface PlannedTarget {
  readonly target: string;
  readonly sources: FetchResult['sources'];
  readonly unchanged: boolean;
  readonly items: readonly {
    readonly path: string;
    readonly size?: number;
    readonly how: 'keep' | 'fetch' | 'unpack';
  }[];
}

/**
 * Fetches every pair. All targets are staged and verified before the first is published, so a failure before that leaves
 * every visible name untouched. Throws `ModelFetchError`.
 */
export async function fetchModels(
  pairs: readonly Pair[],
  options: FetchOptions = {},
): Promise<FetchResult[]> {
  const targets = byTarget(pairs);
  if (targets.size > 1 && typeof options.manifest === 'string')
    throw new ModelFetchError('INVALID_OPTION', 'one manifest path cannot serve several targets', {
      hint: 'Leave it out, or fetch each target by a call of its own.',
    });
  await using run = openRun(options);
  const staged: StagedTarget[] = [];
  try {
    await stageAll(run, targets, (target, index) => {
      staged[index] = target;
    });
    for (const target of staged) await target.confirm();
    const results: FetchResult[] = [];
    for (const target of staged) results.push(await target.publish());
    return results;
  } catch (error) {
    throw explained(run, error, pairs);
  } finally {
    for (const target of staged.filter(Boolean)) await target[Symbol.asyncDispose]();
  }
}

/** Stages targets side by side: their files and ranges share one queue. The first failure stops the others. */
async function stageAll(
  run: Run,
  targets: ReadonlyMap<string, readonly string[]>,
  onStaged: (target: StagedTarget, index: number) => void,
): Promise<void> {
  const stop = new AbortController();
  const signal = linked(run.signal, stop);
  await pool(
    [...targets].entries(),
    TARGETS_AT_A_TIME,
    async ([index, [dest, uris]]) => {
      onStaged(await stageTarget(run, dest, uris, signal), index);
    },
    (error) => {
      stop.abort(new ModelFetchError('ABORTED', 'another target failed', { cause: error }));
    },
  );
}

/** Fetches `uri`, or several sources merged, into the directory `dest`. */
export async function fetchModel(
  uri: string | readonly string[],
  dest: string,
  options: FetchOptions = {},
): Promise<FetchResult> {
  const uris = typeof uri === 'string' ? [uri] : uri;
  const [result] = await fetchModels(
    uris.map((one) => ({ uri: one, dest })),
    options,
  );
  return result!;
}

/** What `fetchModels` would do; writes nothing. */
export async function planModels(
  pairs: readonly Pair[],
  options: FetchOptions = {},
): Promise<PlannedTarget[]> {
  await using run = openRun(options);
  try {
    const planned: PlannedTarget[] = [];
    for (const [dest, uris] of byTarget(pairs)) planned.push(await planTarget(run, dest, uris));
    return planned;
  } catch (error) {
    throw explained(run, error, pairs);
  }
}

async function planTarget(run: Run, dest: string, uris: readonly string[]): Promise<PlannedTarget> {
  const { settings } = run;
  const path =
    settings.manifest === false
      ? undefined
      : resolve(settings.manifest ?? join(dest, OWN, 'manifest.jsonl'));
  const read = path !== undefined && existsSync(path) ? await readManifest(path) : undefined;
  const previous = read?.header && { ...read, header: read.header };
  const collisions = new Collisions();
  const items: { path: string; size?: number; how: 'keep' | 'fetch' | 'unpack' }[] = [];
  const sources: { uri: string; revision?: string; fingerprint: string }[] = [];
  for (const uri of uris) {
    const fetcher = await run.resolve(uri, noScratch);
    const fingerprint = new Fingerprint();
    const plan = makePlan(listPatiently(run, fetcher), {
      from: knownAs(previous, redactText(uri), redactText(fetcher.uri)),
      uri: fetcher.uri,
      wanted: makeFilter(settings, fetcher),
      unpack: settings.unpack,
      required: settings.checksum ? [settings.checksum] : [],
      previous,
      collisions,
      fingerprint,
      nextId: () => items.length,
      untouched: untouchedIn(dest, previous?.header, settings.boot, run.signal),
    });
    for await (const { entry, how } of plan)
      items.push({ path: entry.path, ...(entry.size !== undefined && { size: entry.size }), how });
    sources.push({
      uri: redactText(fetcher.uri),
      ...(fetcher.revision !== undefined && { revision: fetcher.revision }),
      fingerprint: fingerprint.value(),
    });
    await fetcher[Symbol.asyncDispose]?.();
  }
  const unchanged =
    previous !== undefined &&
    items.every(({ how }) => how === 'keep') &&
    [...previous.entries.values()].reduce((sum, { size }) => sum + size, 0) === items.length;
  return { target: dest, sources, unchanged, items };
}

/** Lists `uri` after `include` and `exclude`. */
export async function* listModel(uri: string, options: FetchOptions = {}): AsyncGenerator<Entry> {
  await using run = openRun(options);
  try {
    const fetcher = await run.resolve(uri, noScratch);
    try {
      yield* selected(listPatiently(run, fetcher), {
        wanted: makeFilter(run.settings, fetcher),
        fingerprint: new Fingerprint(),
        uri: fetcher.uri,
      });
    } finally {
      await fetcher[Symbol.asyncDispose]?.();
    }
  } catch (error) {
    throw explained(run, error, [{ uri, dest: '' }]);
  }
}

/** Who would answer for `uri`, and with which credentials. No secret is in it. */
export async function explainModel(
  uri: string,
  options: FetchOptions = {},
): Promise<{ registration: Registration; explanation?: Explanation }> {
  await using run = openRun(options);
  try {
    const { ref, registration, resolver } = await run.settings.registry.resolver(parseRef(uri));
    const explanation = await resolver.explain?.(ref, run.context(noScratch));
    return { registration, ...(explanation && { explanation }) };
  } catch (error) {
    throw explained(run, error, [{ uri, dest: '' }]);
  }
}

/** The published files against the manifest: every size and every CRC. Throws `TARGET_CHANGED` naming the first that differs. */
export async function verifyTarget(
  dest: string,
  options: { manifest?: string; signal?: AbortSignal } = {},
): Promise<{ files: number; bytes: number; manifest: string }> {
  return verify(dest, options);
}

/** Destinations in the order they were first named, each with its sources. */
function byTarget(pairs: readonly Pair[]): Map<string, string[]> {
  if (pairs.length === 0) throw new ModelFetchError('INVALID_OPTION', 'no source was given');
  const targets = new Map<string, string[]>();
  for (const { uri, dest } of pairs) {
    parseRef(uri);
    if (dest === '')
      throw new ModelFetchError('INVALID_OPTION', 'the destination is empty', { uri });
    const path = targetPath(dest);
    targets.set(path, [...(targets.get(path) ?? []), uri]);
  }
  return targets;
}

function noScratch(): Promise<string> {
  return Promise.reject(
    new ModelFetchError('UNSUPPORTED', 'this source must be fetched before it can be listed'),
  );
}

/** An interruption is told as such, whatever it broke; every error names a source. */
function explained(run: Run, error: unknown, pairs: readonly Pair[]): ModelFetchError {
  const { signal } = run;
  const cause: unknown = signal.aborted ? signal.reason : error;
  return asModelFetchError(cause, 'INTERNAL', pairs.length === 1 ? { uri: pairs[0]!.uri } : {});
}
