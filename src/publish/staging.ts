/** Where a model is put together: private folders inside the target, hence on its file system, so that publishing is rename. */
import { randomUUID } from 'node:crypto';
import { existsSync, lstatSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { onDisk } from '../disk.ts';
import type { ByteRange, Digest } from '../fetcher.ts';
import { readLines, Spool } from './spool.ts';

/** A file that an interrupted run had finished or begun, keyed by source, path, version and size. */
interface Leftover {
  readonly path: string;
  done?: { readonly crc: Digest; readonly against: readonly Digest[] };
  /** By their starts: what is noted last of a range reaches furthest. */
  readonly ranges: Map<number, ByteRange & { readonly crc: Digest }>;
}

type JournalLine =
  | {
      readonly key: string;
      readonly path: string;
      readonly done: { readonly crc: Digest; readonly against: readonly Digest[] };
    }
  | {
      readonly key: string;
      readonly path: string;
      readonly range: readonly [number, number];
      readonly crc: Digest;
    };

/** Milliseconds: of small files there may be thousands a second. */
const FLUSH_MS = 100;

export class Staging {
  readonly dir: string;
  readonly id: string;
  readonly entries: Spool;
  readonly files: Spool;
  readonly #journal: Spool;
  readonly #folders = new Set<string>();
  readonly #leftovers: ReadonlyMap<string, Leftover>;
  #trees = 0;
  #flushing: NodeJS.Timeout | undefined;
  #noted = false;

  private constructor(root: string, leftovers: ReadonlyMap<string, Leftover>) {
    this.id = randomUUID();
    this.dir = join(root, this.id);
    onDisk(this.dir, () => mkdirSync(join(this.dir, 'trees'), { recursive: true, mode: 0o755 }));
    this.entries = new Spool(join(this.dir, 'entries.jsonl'));
    this.files = new Spool(join(this.dir, 'files.jsonl'));
    this.#journal = new Spool(join(this.dir, 'journal.jsonl'));
    this.#leftovers = leftovers;
  }

  /** A new staging area under `root`; what interrupted runs left there may be taken over, file by file. */
  static async open(root: string): Promise<Staging> {
    onDisk(root, () => mkdirSync(root, { recursive: true, mode: 0o755 }));
    const leftovers = new Map<string, Leftover>();
    for (const name of readdirSync(root)) {
      const dir = join(root, name);
      await readJournal(dir, leftovers);
      const worth = [...leftovers.values()].some(({ path }) => path.startsWith(`${dir}/`));
      if (!worth)
        onDisk(dir, () => {
          rmSync(dir, { recursive: true, force: true });
        });
    }
    return new Staging(root, leftovers);
  }

  /** A folder of its own under the staging area; published trees are laid over each other in order. */
  newTree(): string {
    const tree = join(this.dir, 'trees', String(this.#trees++));
    onDisk(tree, () => {
      mkdirSync(tree, { mode: 0o755 });
    });
    this.#folders.add(tree);
    return tree;
  }

  /** A private folder for a resolver; it goes with the staging area. */
  newScratch(): string {
    const folder = join(this.dir, `scratch-${randomUUID()}`);
    onDisk(folder, () => {
      mkdirSync(folder, { mode: 0o700 });
    });
    return folder;
  }

  /** Where `path` (safe, relative) lies in `tree`; its folders are made. */
  place(tree: string, path: string): string {
    const file = `${tree}/${path}`;
    this.#makeFolder(file.slice(0, file.lastIndexOf('/')), tree);
    return file;
  }

  /** Folders made by `place` and those added, to be synced before publishing where everything is. */
  get folders(): ReadonlySet<string> {
    return this.#folders;
  }

  addFolder(folder: string): void {
    this.#folders.add(folder);
  }

  /** Whether interrupted runs left anything: if not, nobody need ask for it file by file. */
  get resumes(): boolean {
    return this.#leftovers.size > 0;
  }

  /** Bytes on disk that `adopt` would give. */
  held(key: string | undefined): number {
    const leftover = key === undefined ? undefined : this.#leftovers.get(key);
    const stats = leftover && lstatSync(leftover.path, { throwIfNoEntry: false });
    return stats ? Math.min(stats.size, stats.blocks * 512) : 0;
  }

  /** Takes over what an interrupted run had of this file: moves it to `to`. */
  adopt(key: string, to: string): Leftover | undefined {
    const leftover = this.#leftovers.get(key);
    if (!leftover) return undefined;
    try {
      renameSync(leftover.path, to);
      return leftover;
    } catch {
      return undefined;
    }
  }

  noteDone(key: string, path: string, done: { crc: Digest; against: readonly Digest[] }): void {
    this.#note({ key, path, done: { crc: done.crc, against: done.against } });
    this.#flushing ??= setTimeout(() => {
      this.#flush();
    }, FLUSH_MS).unref();
  }

  noteRange(key: string, path: string, range: ByteRange, crc: Digest): void {
    this.#note({ key, path, range: [range.start, range.end], crc });
    this.#flush();
  }

  close(): void {
    this.#flush();
    this.entries.close();
    this.files.close();
    this.#journal.close();
  }

  /** Nothing in it would save a later run a download. */
  get worthless(): boolean {
    return !this.#noted && this.#leftovers.size === 0;
  }

  /** Not synced: what is noted is checked again. */
  #note(line: JournalLine): void {
    this.#noted = true;
    this.#journal.line(line);
  }

  /** What is not written through is fetched again by the next run. */
  #flush(): void {
    clearTimeout(this.#flushing);
    this.#flushing = undefined;
    this.#journal.flush();
  }

  #makeFolder(folder: string, tree: string): void {
    if (this.#folders.has(folder)) return;
    if (folder !== tree) this.#makeFolder(dirname(folder), tree);
    onDisk(folder, () => mkdirSync(folder, { mode: 0o755, recursive: true }));
    this.#folders.add(folder);
  }
}

async function readJournal(dir: string, leftovers: Map<string, Leftover>): Promise<void> {
  try {
    await readLines(
      join(dir, 'journal.jsonl'),
      (value) => {
        const line = value as JournalLine;
        let leftover = leftovers.get(line.key);
        // A later run took it over: its journal tells the rest.
        if (leftover?.path !== line.path && !existsSync(line.path)) return;
        if (leftover?.path !== line.path)
          leftovers.set(line.key, (leftover = { path: line.path, ranges: new Map() }));
        if ('done' in line) leftover.done = line.done;
        else {
          const [start, end] = line.range;
          leftover.ranges.set(start, { start, end, crc: line.crc });
        }
      },
      () => undefined,
    );
  } catch {
    // No journal, or one with a line that is not ours: what was read before it still holds.
  }
}
