/** A fetcher over files of this machine: for `file`, `pvc`, and every scheme that ends in a folder. */
import type { BigIntStats } from 'node:fs';
import { access, constants, lstat, opendir, realpath, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { ModelFetchError, type ErrorCode } from '../errors.ts';
import type { CallOptions, Entry, Fetcher, Location } from '../fetcher.ts';
import { isWithin, localError, refuseForbidden } from './local-path.ts';
import { QuickLooks, type Found } from './quick-looks.ts';

export interface DirectoryOptions {
  /** What the fetcher says it is. */
  readonly uri: string;
  /** A folder, or one file. Absolute, links resolved. */
  readonly path: string;
  /** The name of the one file, when its entry is not to be called as `path` is. */
  readonly name?: string;
  /** Links may lead anywhere inside this folder. Absolute, links resolved. Default: `path`. */
  readonly within?: string;
  /** What a link that leads out of it is. Default `UNSAFE_PATH`. */
  readonly outside?: Extract<ErrorCode, 'UNSAFE_PATH' | 'REFUSED'>;
}

/** Files looked at together: on a network volume each look is a round trip. */
const BATCH = 64;
/** Folders in folders. Links inside the root can make a small tree look endless. */
const MAX_DEPTH = 100;

/**
 * Lists the regular files below `path`, dotfiles and empty ones included, and locates them where they lie. Links that
 * stay inside are followed; those that leave, lead in a circle or to nothing, and whatever is neither file nor folder,
 * are refused. Nothing is opened, so that a FIFO cannot hold it up.
 */
export function fromDirectory(options: DirectoryOptions): Fetcher {
  const walk = new Walk(options);
  return {
    uri: options.uri,
    list: (call = {}) => walk.list(call),
    locate: (entry, call = {}) => walk.locate(entry, call),
  };
}

/** One listing under way. */
interface Walking {
  readonly quick: QuickLooks;
  readonly signal: AbortSignal | undefined;
}

class Walk {
  readonly #options: DirectoryOptions;
  readonly #within: string;

  constructor(options: DirectoryOptions) {
    this.#options = options;
    this.#within = options.within ?? options.path;
  }

  async *list({ signal }: CallOptions): AsyncGenerator<Entry> {
    signal?.throwIfAborted();
    const { path, uri, name } = this.#options;
    const root = await this.#look(path, 'NOT_FOUND');
    if (root.stats.isFile()) {
      yield entryOf(name ?? basename(path), root.stats);
      return;
    }
    let found = false;
    const walk = { quick: new QuickLooks(), signal };
    for await (const entries of this.#folder(root, '', [root.real], walk))
      for (const entry of entries) {
        found = true;
        yield entry;
      }
    if (found) return;
    throw new ModelFetchError('NOT_FOUND', `${path} holds no file`, {
      uri,
      path,
      hint: 'Check that this is the folder of the model, and that its volume is mounted.',
    });
  }

  async locate(entry: Entry, { signal }: CallOptions): Promise<Location> {
    signal?.throwIfAborted();
    const { path, uri } = this.#options;
    const root = await this.#look(path, 'SOURCE_CHANGED');
    // Resolved as a whole: a folder on the way may have become a link since it was listed.
    const place = root.stats.isFile()
      ? root
      : await this.#look(join(path, entry.path), 'SOURCE_CHANGED', true);
    if (
      !place.stats.isFile() ||
      (entry.version !== undefined && versionOf(place.stats) !== entry.version)
    )
      throw new ModelFetchError('SOURCE_CHANGED', `${entry.path} has changed since it was listed`, {
        uri,
        path: entry.path,
        hint: 'Run again once nothing writes there any more.',
      });
    try {
      await access(place.real, constants.R_OK);
    } catch (error) {
      throw localError(error, { uri, path: place.real, gone: 'SOURCE_CHANGED' });
    }
    return { kind: 'file', path: place.real };
  }

  /** In pieces, as there may be a million. `ancestors`: the real folders from the root down to this one. */
  async *#folder(
    folder: Found,
    prefix: string,
    ancestors: readonly string[],
    walk: Walking,
  ): AsyncGenerator<readonly Entry[]> {
    const quick = (await walk.quick.mayAsk(folder)) ? walk.quick : undefined;
    const names = await this.#names(folder.real, quick);
    for (let start = 0; start < names.length; start += BATCH) {
      await quick?.turn();
      walk.signal?.throwIfAborted();
      const batch = names.slice(start, start + BATCH);
      const plain = quick?.firstOf(folder.real, batch) ?? [];
      // Settled, so that the one reported is the first in order, and none is left unhandled.
      const others = await Promise.allSettled(
        batch
          .slice(plain.length)
          .map((name) => this.#look(join(folder.real, name), 'SOURCE_CHANGED')),
      );
      let entries: Entry[] = [];
      for (const [index, name] of batch.entries()) {
        const { real, stats } = plain[index] ?? value(others[index - plain.length]!);
        const path = prefix + name;
        if (stats.isFile()) {
          entries.push(entryOf(path, stats));
          continue;
        }
        if (entries.length > 0) yield entries;
        entries = [];
        this.#checkDescent(path, real, ancestors);
        yield* this.#folder({ real, stats }, `${path}/`, [...ancestors, real], walk);
      }
      if (entries.length > 0) yield entries;
    }
  }
  /** Sorted: the order of a directory is the file system's whim. Only the names of one folder are held at a time. */
  async #names(folder: string, quick: QuickLooks | undefined): Promise<string[]> {
    const { uri } = this.#options;
    let names: string[] = [];
    try {
      if (quick) names = await quick.names(folder);
      else
        for await (const { name } of await opendir(folder, { bufferSize: 256 })) names.push(name);
    } catch (error) {
      throw localError(error, { uri, path: folder, gone: 'SOURCE_CHANGED' });
    }
    const broken = names.find((name) => name.includes('\ufffd'));
    if (broken !== undefined)
      throw this.#unsafe(join(folder, broken), 'has a name that is not UTF-8');
    return names.sort();
  }

  /** What is at `path`, links followed as far as they may be; `wary` also of those on the way there. */
  async #look(path: string, gone: 'NOT_FOUND' | 'SOURCE_CHANGED', wary = false): Promise<Found> {
    const { uri } = this.#options;
    try {
      let found: Found = { real: path, stats: await lstat(path, { bigint: true }) };
      if (wary || found.stats.isSymbolicLink()) found = await this.#follow(path);
      const { stats } = found;
      if (!stats.isFile() && !stats.isDirectory())
        throw this.#unsafe(path, `is a ${kindOf(stats)}, neither a file nor a folder`);
      return found;
    } catch (error) {
      throw localError(error, { uri, path, gone });
    }
  }

  async #follow(link: string): Promise<Found> {
    const real = await realpath(link).catch((error: unknown) => {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT')
        throw this.#unsafe(link, 'is a link to nothing');
      throw error;
    });
    if (!isWithin(real, this.#within)) {
      const { uri, outside = 'UNSAFE_PATH' } = this.#options;
      throw new ModelFetchError(outside, `${link} leads out of ${this.#within}`, {
        uri,
        path: link,
        hint: 'Put the file itself there, or name a folder that holds both the link and its target.',
      });
    }
    return { real, stats: await stat(real, { bigint: true }) };
  }

  #checkDescent(path: string, real: string, ancestors: readonly string[]): void {
    const { uri } = this.#options;
    refuseForbidden(real, uri);
    if (ancestors.includes(real)) throw this.#unsafe(path, 'is a link that leads in a circle');
    if (ancestors.length >= MAX_DEPTH)
      throw new ModelFetchError(
        'LIMIT_EXCEEDED',
        `${path} lies more than ${String(MAX_DEPTH)} folders deep`,
        { uri, path },
      );
  }

  #unsafe(path: string, what: string): ModelFetchError {
    return new ModelFetchError('UNSAFE_PATH', `${path} ${what}`, {
      uri: this.#options.uri,
      path,
      hint: 'Remove it from the model, or name a folder without it.',
    });
  }
}

function value<T>(settled: PromiseSettledResult<T>): T {
  if (settled.status === 'rejected') throw settled.reason;
  return settled.value;
}

function entryOf(path: string, stats: BigIntStats): Entry {
  return { path, size: Number(stats.size), version: versionOf(stats) };
}

/** Not the ctime: a hard link made to the file, which is one way of publishing it, changes that. */
function versionOf(stats: BigIntStats): string {
  return `${String(stats.size)}-${String(stats.mtimeNs)}-${String(stats.ino)}`;
}

function kindOf(stats: BigIntStats): string {
  if (stats.isFIFO()) return 'FIFO';
  if (stats.isSocket()) return 'socket';
  return 'device';
}
