/** What is published, and from what: written last, read first. The form is a contract: docs/contract.md. */
import type { Digest } from '../fetcher.ts';
import { readLines } from './spool.ts';

/** The first line. */
export interface ManifestHeader {
  readonly manifest: 1;
  readonly tool: string;
  readonly layout: 'flat';
  /** RFC 3339. */
  readonly publishedAt: string;
  /** Not everything was synced: the files are sure to be on disk only as long as this boot of the kernel lasts. */
  readonly boot?: string;
  readonly sources: readonly ManifestSource[];
  readonly files: number;
  readonly bytes: number;
}

export interface ManifestSource {
  /** As asked for, redacted. */
  readonly from: string;
  /** Pinned, redacted. */
  readonly uri: string;
  readonly revision?: string;
  /** Of the entries that were selected. */
  readonly fingerprint: string;
  readonly entries: number;
}

/** One file of a source, as listed. `id` is its position among the entry lines. */
export interface ManifestEntry {
  readonly id: number;
  /** Index into `sources`. */
  readonly source: number;
  readonly path: string;
  readonly size?: number;
  readonly version?: string;
  /** `lookalike`: named like an archive, and left as the file it is because its content is none. */
  readonly as: 'file' | 'archive' | 'lookalike';
  /** What the bytes were checked against. */
  readonly against?: readonly Digest[];
}

/** One published file. */
export interface ManifestFile {
  readonly path: string;
  readonly size: number;
  /** `crc64nvme:…` and the like: the source's own if it was checked against one, else CRC-32. Absent for links to, and hard links of, files that are not ours to read. */
  readonly crc?: Digest;
  /** Target of a symbolic link. */
  readonly link?: string;
  /** Nanoseconds, and inode: a cheap look says whether the file is still ours. */
  readonly mtimeNs: string;
  readonly ino: string;
  /** `id` of the entry it came from. */
  readonly entry: number;
}

/** An empty folder that an archive brought. */
export interface ManifestFolder {
  readonly path: string;
  readonly entry: number;
}

export type ManifestLine =
  | ManifestHeader
  | { readonly entry: ManifestEntry }
  | { readonly file: ManifestFile }
  | { readonly folder: ManifestFolder }
  | { readonly end: { readonly files: number } };

/** A manifest in memory, indexed for the plan. */
export interface Manifest {
  readonly header: ManifestHeader;
  /** By source as asked for, then by path. */
  readonly entries: ReadonlyMap<string, ReadonlyMap<string, ManifestEntry>>;
  readonly files: ReadonlyMap<string, ManifestFile>;
  readonly filesOf: ReadonlyMap<number, readonly ManifestFile[]>;
  readonly folders: readonly ManifestFolder[];
}

/** The name by which `manifest` knows a source, which may have been written otherwise then: `/m` and `file:///m` are one. */
export function knownAs(manifest: Manifest | undefined, from: string, uri: string): string {
  const same = manifest?.header.sources.find((source) => sameSource(source, { from, uri }));
  return same?.from ?? from;
}

export function sameSource(
  a: Pick<ManifestSource, 'from' | 'uri'>,
  b: Pick<ManifestSource, 'from' | 'uri'>,
): boolean {
  return a.from === b.from || a.uri === b.uri;
}

/** What a manifest that may be damaged says. */
export type ReadManifest = Omit<Manifest, 'header'> & {
  readonly header: ManifestHeader | undefined;
};

/**
 * Reads a manifest; undefined when there is none. One that is damaged has an `undefined` header: nothing in it is believed, but
 * the files that its readable lines name count as ours, so that the next run may put right what is there.
 */
export async function readManifest(path: string): Promise<ReadManifest | undefined> {
  const reading = new Reading();
  try {
    await readLines(
      path,
      (value) => {
        reading.take(value);
      },
      () => {
        reading.damaged = true;
      },
    );
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  return reading.result();
}

/** A manifest as its lines come in. */
class Reading {
  damaged = false;
  #header: ManifestHeader | undefined;
  #whole = false;
  readonly #entries = new Map<string, Map<string, ManifestEntry>>();
  readonly #files = new Map<string, ManifestFile>();
  readonly #filesOf = new Map<number, ManifestFile[]>();
  readonly #folders: ManifestFolder[] = [];

  take(value: unknown): void {
    try {
      this.#line(value as ManifestLine);
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
      this.damaged = true;
    }
  }

  result(): ReadManifest {
    return {
      header: this.#whole && !this.damaged ? this.#header : undefined,
      entries: this.#entries,
      files: this.#files,
      filesOf: this.#filesOf,
      folders: this.#folders,
    };
  }

  #line(line: ManifestLine): void {
    if ('manifest' in line) this.#header = line;
    else if ('entry' in line) this.#entry(line.entry);
    else if ('file' in line) {
      this.#files.set(line.file.path, line.file);
      const siblings = this.#filesOf.get(line.file.entry);
      if (siblings) siblings.push(line.file);
      else this.#filesOf.set(line.file.entry, [line.file]);
    } else if ('folder' in line) this.#folders.push(line.folder);
    else this.#whole = line.end.files === this.#files.size;
  }

  #entry(entry: ManifestEntry): void {
    const from = this.#header?.sources[entry.source]?.from ?? '';
    let ofSource = this.#entries.get(from);
    if (!ofSource) this.#entries.set(from, (ofSource = new Map<string, ManifestEntry>()));
    ofSource.set(entry.path, entry);
  }
}
