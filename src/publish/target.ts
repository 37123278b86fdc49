/** The directory a model server reads, held for one run: its lock, its manifest, its staging area. */
import { lstatSync, mkdirSync, realpathSync, rmdirSync, rmSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { onDisk } from '../disk.ts';
import { OWN } from '../plan/path.ts';
import { ModelFetchError } from '../errors.ts';
import { moveDurably } from './durable.ts';
import { acquireLock } from './lock.ts';
import { readManifest, type Manifest, type ManifestFile } from './manifest.ts';
import { makeTarget, publish, recover, type Paths } from './publish.ts';
import { Staging } from './staging.ts';

export interface Target extends AsyncDisposable {
  readonly dir: string;
  /** Where the manifest is or will be; undefined: nowhere. */
  readonly manifestPath: string | undefined;
  /** What is published now, when it can be believed. */
  readonly current: Manifest | undefined;
  /** Every file the current manifest names, believed or not: ours to replace. */
  readonly ours: ReadonlyMap<string, ManifestFile>;
  /** There is a manifest that cannot be believed: files of ours may be missing in it. */
  readonly damaged: boolean;
  readonly staging: Staging;
  /** Makes what is staged visible. Answers how many stale files went. */
  publish(): Promise<number>;
  /** Puts the staged manifest in the place of the current one, beside files that are the same. */
  renewManifest(): void;
  /** Staging is worth nothing to a later run. */
  discard(): void;
}

export interface TargetOptions {
  readonly manifest: string | false | undefined;
  readonly lockTimeoutMs: number;
  /** What the new model no longer has stays, but for what stands in its way. Default false. */
  readonly keepStale?: boolean;
  readonly signal: AbortSignal;
}

/** The path by which a target is known: absolute, links in it resolved as far as it exists. */
export function targetPath(dest: string): string {
  const absolute = resolve(dest);
  try {
    return realpathSync.native(absolute);
  } catch {
    const parent = dirname(absolute);
    return parent === absolute
      ? absolute
      : join(targetPath(parent), absolute.slice(parent.length).replace(/^\/+/, ''));
  }
}

/** Makes and locks the target, and finishes what an interrupted run began to publish. */
export async function openTarget(dest: string, options: TargetOptions): Promise<Target> {
  const dir = targetPath(dest);
  if (isSomethingElse(dir))
    throw new ModelFetchError('CONFLICT', `${dir} is not a directory`, {
      path: dir,
      hint: 'The destination is the directory that receives the model.',
    });
  const made = makeTarget(dir);
  const paths: Paths = { target: dir, own: join(dir, OWN) };
  if (isSomethingElse(paths.own))
    throw new ModelFetchError('CONFLICT', `${paths.own} is not a directory`, { path: paths.own });
  const release = await lockOwn(paths, options);
  try {
    await recover(paths);
    const manifestPath =
      options.manifest === false
        ? undefined
        : resolve(options.manifest ?? join(paths.own, 'manifest.jsonl'));
    if (manifestPath !== undefined) {
      const folder = dirname(manifestPath);
      onDisk(folder, () => mkdirSync(folder, { recursive: true, mode: 0o755 }));
    }
    const read = manifestPath === undefined ? undefined : await readManifest(manifestPath);
    const staging = await Staging.open(join(paths.own, 'staging'));
    const how = { manifest: manifestPath, keepStale: options.keepStale === true };
    return new OpenTarget(paths, how, read, staging, release, made);
  } catch (error) {
    release();
    throw error;
  }
}

/** Another run that has just ended removes our folder when it is empty: perhaps between our making it and our lock. */
async function lockOwn(paths: Paths, options: TargetOptions): Promise<() => void> {
  for (let attempt = 1; ; attempt++) {
    onDisk(paths.own, () => mkdirSync(paths.own, { recursive: true, mode: 0o755 }));
    try {
      return await acquireLock(join(paths.own, 'lock'), options.lockTimeoutMs, options.signal);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || attempt === 5) throw error;
    }
  }
}

class OpenTarget implements Target {
  readonly #paths: Paths;
  readonly #release: () => void;
  readonly #made: string | undefined;
  readonly manifestPath: string | undefined;
  readonly current: Manifest | undefined;
  readonly ours: ReadonlyMap<string, ManifestFile>;
  readonly damaged: boolean;
  readonly staging: Staging;
  readonly #keepStale: boolean;
  #keepStaging = true;

  constructor(
    paths: Paths,
    { manifest, keepStale }: { manifest: string | undefined; keepStale: boolean },
    read: Awaited<ReturnType<typeof readManifest>>,
    staging: Staging,
    release: () => void,
    made: string | undefined,
  ) {
    this.#paths = paths;
    this.#release = release;
    this.#made = made;
    this.manifestPath = manifest;
    this.#keepStale = keepStale;
    this.current = read?.header && { ...read, header: read.header };
    this.damaged = read !== undefined && read.header === undefined;
    this.ours = read?.files ?? new Map<string, ManifestFile>();
    this.staging = staging;
  }

  get dir(): string {
    return this.#paths.target;
  }

  async publish(): Promise<number> {
    this.staging.close();
    const removed = await publish(this.#paths, {
      staging: this.staging.id,
      manifest: this.manifestPath ?? null,
      ...(this.#keepStale && { keepStale: true }),
    });
    this.#keepStaging = false;
    return removed;
  }

  renewManifest(): void {
    this.staging.close();
    moveDurably(join(this.staging.dir, 'manifest.jsonl'), this.manifestPath!);
  }

  discard(): void {
    this.#keepStaging = false;
  }

  /** Gives the target back; what is not worth keeping goes, down to folders we made ourselves. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.staging.close();
      if (!this.#keepStaging || this.staging.worthless)
        rmSync(join(this.#paths.own, 'staging'), { recursive: true, force: true });
    } finally {
      this.#release();
    }
    const folders = [this.#paths.own];
    if (this.#made !== undefined)
      for (let at = this.#paths.target; at.startsWith(this.#made); at = dirname(at))
        folders.push(at);
    try {
      for (const folder of folders) rmdirSync(folder);
    } catch {
      // Not empty: the manifest, what is kept for a resume, or another run is in there.
    }
    await Promise.resolve();
  }
}

/** Something is there, be it a link to nothing, and it is no directory. */
function isSomethingElse(path: string): boolean {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  return stats !== undefined && !stats.isDirectory();
}
