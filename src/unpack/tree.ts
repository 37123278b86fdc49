/** The confined writer: everything an archive becomes, below one private directory, and nowhere else. */
import fs from 'node:fs';
import { join } from 'node:path';
import { foldPath, safePath } from '../plan/path.ts';
import { FileWriter, type Written } from './file-writer.ts';
import type { Budget } from './limits.ts';
import { leadsTo } from './links.ts';
import { onDisk, tooMuch, unsafeMember } from './refuse.ts';

/** A file or link that was unpacked. Directories are not reported. */
export interface UnpackedFile {
  /** Relative to the staging directory. */
  readonly path: string;
  /** Bytes; 0 for a symbolic link. */
  readonly size: number;
  /** Eight lower-case hex digits; `00000000` for a symbolic link. */
  readonly crc32: string;
  /** 0o644 or 0o755. */
  readonly mode: number;
  /** Where a symbolic link leads, relative to its own folder. */
  readonly link?: string;
}

/** Where a file of the archive goes, once its name is taken. */
export interface Place {
  readonly path: string;
  /** On the disk; its folder is there. */
  readonly full: string;
  /** 0o644 or 0o755. */
  readonly mode: number;
}

export interface TreeOptions {
  /** An existing, empty, private directory. */
  readonly into: string;
  /** Leading path that is dropped; members outside of it are left out. */
  readonly strip?: string;
  readonly budget: Budget;
  onFile(file: UnpackedFile): void;
}

/** What stands under a name. Links know where they lead; files, what was written. */
export type Node =
  | { readonly kind: 'directory'; readonly path: string }
  | { readonly kind: 'file'; readonly path: string; readonly file: UnpackedFile }
  | { readonly kind: 'link'; readonly path: string; readonly target: string };

/**
 * Takes members in archive order. Files and folders appear at once, created exclusively below folders that this object
 * created itself; symbolic links appear in `finish`, when the whole tree is known, so nothing is ever written through one.
 */
export class Tree {
  readonly #options: TreeOptions;
  readonly #strip: readonly string[];
  /** By folded path, so that twins are found; `''` is the root. */
  readonly #nodes = new Map<string, Node>([['', { kind: 'directory', path: '' }]]);
  readonly #links: Extract<Node, { kind: 'link' }>[] = [];
  readonly #writer = new FileWriter();
  #current: Place | undefined;
  #files = 0;
  #bytes = 0;

  constructor(options: TreeOptions) {
    this.#options = options;
    this.#strip = (options.strip ?? '').split('/').filter((part) => part !== '' && part !== '.');
  }

  get totals(): { files: number; bytes: number } {
    return { files: this.#files, bytes: this.#bytes };
  }

  /**
   * Where the member called `name` goes: undefined for what lies outside of `strip`, `''` for the root itself.
   * Throws `UNSAFE_ARCHIVE`. Trailing slashes must have been taken off.
   */
  place(name: string): string | undefined {
    if (name === '.' || name === './') return this.#strip.length === 0 ? '' : undefined;
    const parts = name.replace(/^(\.\/)+/, '').split('/');
    for (const [index, part] of this.#strip.entries())
      if (parts[index] !== part && parts[0] !== '') return undefined;
    const whole = safePath(name, 'member');
    if (this.#strip.length === 0) return this.#shallow(whole);
    const rest = parts.slice(this.#strip.length).join('/');
    return rest === '' ? '' : this.#shallow(safePath(rest, 'member'));
  }

  /** A folder; naming one twice is fine. */
  directory(path: string): void {
    if (path === '') return;
    const key = foldPath(path);
    const known = this.#nodes.get(key);
    if (!known) {
      this.#parents(path, key);
      this.#makeDirectory(path, key);
    } else if (known.kind !== 'directory') {
      throw unsafeMember(path, `a ${known.kind} of that name came before this folder`);
    } else if (known.path !== path) throw twins(path, known.path);
  }

  /** Takes the name of a file that somebody else writes; `fileDone` follows. `mode` is any mode: only its execute bits are looked at. */
  claimFile(path: string, mode: number): Place {
    const key = this.#claim(path);
    const kept = (mode & 0o111) === 0 ? 0o644 : 0o755;
    // Claimed before its bytes are there: what comes in between is a bug, and would be a conflict.
    this.#nodes.set(key, {
      kind: 'file',
      path,
      file: { path, size: 0, crc32: '00000000', mode: kept },
    });
    return { path, full: join(this.#options.into, path), mode: kept };
  }

  /** The file at `place` is whole. */
  fileDone({ path, mode }: Place, written: Written): UnpackedFile {
    const file: UnpackedFile = { path, mode, ...written };
    this.#nodes.set(foldPath(path), { kind: 'file', path, file });
    this.#report(file);
    return file;
  }

  /** Starts a file; `write` and `closeFile` follow. */
  openFile(path: string, mode: number): void {
    const place = this.claimFile(path, mode);
    this.#writer.open(place.full, path, place.mode);
    this.#current = place;
  }

  write(chunk: Uint8Array): void {
    this.#writer.write(chunk);
  }

  /** Ends the file and reports it. */
  closeFile(): UnpackedFile {
    const place = this.#current!;
    this.#current = undefined;
    return this.fileDone(place, this.#writer.close());
  }

  /** A second name for a file that came earlier. */
  hardLink(path: string, target: string): void {
    const known = this.#nodes.get(foldPath(target));
    if (known?.kind !== 'file' || known.path !== target)
      throw unsafeMember(
        path,
        'it is a hard link to something that is no earlier file of the archive',
      );
    const key = this.#claim(path);
    const [from, to] = [join(this.#options.into, target), join(this.#options.into, path)];
    this.#options.budget.bytes(known.file.size);
    onDisk(path, () => {
      try {
        fs.linkSync(from, to);
      } catch {
        // Many file systems have no hard links, or only so many of them.
        fs.copyFileSync(from, to, fs.constants.COPYFILE_EXCL);
      }
    });
    const file = { ...known.file, path };
    this.#nodes.set(key, { kind: 'file', path, file });
    this.#report(file);
  }

  /** A symbolic link, made and checked in `finish`. */
  symbolicLink(path: string, target: string): void {
    const key = this.#claim(path);
    const link = { kind: 'link', path, target } as const;
    this.#nodes.set(key, link);
    this.#links.push(link);
  }

  /** Checks where every symbolic link leads in the finished tree, then makes them. */
  finish(): void {
    for (const link of this.#links) leadsTo(link, (path) => this.#at(path));
    for (const { path, target } of this.#links) {
      onDisk(path, () => {
        fs.symlinkSync(target, join(this.#options.into, path));
      });
      this.#report({ path, size: 0, crc32: '00000000', mode: 0o644, link: target });
    }
  }

  /** Lets go of the file that is being written, if there is one. */
  abandon(): void {
    this.#writer.abandon();
  }

  /** The node of exactly that name: the tree is built on a file system that tells cases apart. */
  #at(path: string): Node | undefined {
    const node = this.#nodes.get(foldPath(path));
    return node?.path === path ? node : undefined;
  }

  #report(file: UnpackedFile): void {
    this.#files++;
    this.#bytes += file.size;
    this.#options.onFile(file);
  }

  /** Makes sure that `path` is free and its parents are folders. Answers its key. */
  #claim(path: string): string {
    if (path === '') throw unsafeMember('.', 'the root of an archive is a folder');
    const key = foldPath(path);
    const known = this.#nodes.get(key);
    if (known) {
      if (known.path !== path) throw twins(path, known.path);
      throw unsafeMember(
        path,
        known.kind === 'directory' ? 'a folder of that name came before' : 'it is there twice',
      );
    }
    this.#parents(path, key);
    return key;
  }

  /** Folding changes no separators, so the parents of a key are the keys of the parents. */
  #parents(path: string, key: string): void {
    const keyEnd = key.lastIndexOf('/');
    if (keyEnd === -1) return;
    const parent = path.slice(0, path.lastIndexOf('/'));
    const parentKey = key.slice(0, keyEnd);
    const known = this.#nodes.get(parentKey);
    if (!known) {
      this.#parents(parent, parentKey);
      this.#makeDirectory(parent, parentKey);
    } else if (known.kind !== 'directory') {
      throw unsafeMember(path, `its folder ${known.path} is a ${known.kind}`);
    } else if (known.path !== parent) throw twins(parent, known.path);
  }

  #makeDirectory(path: string, key: string): void {
    onDisk(path, () => {
      fs.mkdirSync(join(this.#options.into, path), 0o755);
    });
    this.#nodes.set(key, { kind: 'directory', path });
  }

  #shallow(path: string): string {
    if (path.split('/').length > this.#options.budget.limits.depth)
      throw tooMuch(`a member lies more than ${this.#options.budget.limits.depth} folders deep`);
    return path;
  }
}

function twins(path: string, other: string): Error {
  return unsafeMember(path, `some file systems cannot tell it from ${JSON.stringify(other)}`);
}
