/** Reads a tar: our frame and `tar`'s parser side by side. Where they disagree about a member, nothing of it is written. */
import type { ReadEntry } from 'tar';
import type { Budget } from './limits.ts';
import { badArchive, unsafeMember } from './refuse.ts';
import { TarBlocks, type Member } from './tar-blocks.ts';
import type { Tree } from './tree.ts';

/** What the parser calls each kind; files of old archives end in a slash where they mean folders. */
const PARSER_TYPES: Readonly<Record<Member['kind'], readonly string[]>> = {
  file: ['File', 'OldFile', 'Directory'],
  directory: ['Directory'],
  symlink: ['SymbolicLink'],
  hardlink: ['Link'],
};

interface Seen {
  /** By the frame, not yet confirmed by the parser. */
  announced: Member | undefined;
  /** By the parser: the two zero blocks. */
  end: boolean;
}

/**
 * Puts the members of an uncompressed tar into `tree`. The parser runs synchronously inside `write`, so whatever it or
 * the tree throws comes out here and nothing happens afterwards. Throws `BAD_ARCHIVE`, `UNSAFE_ARCHIVE`, `LIMIT_EXCEEDED`.
 */
export async function unpackTar(
  chunks: AsyncIterable<Uint8Array>,
  tree: Tree,
  budget: Budget,
): Promise<void> {
  const { Parser } = await import('tar');
  const parser = new Parser({
    strict: true,
    brotli: false,
    zstd: false,
    maxDecompressionRatio: Infinity,
  });
  const seen: Seen = { announced: undefined, end: false };

  parser.on('error', (error: Error) => {
    throw badArchive(error.message, undefined, error);
  });
  parser.on('ignoredEntry', (entry: ReadEntry) => {
    throw unsafeMember(entry.path, 'its type is not supported');
  });
  parser.on('eof', () => {
    seen.end = true;
  });
  parser.on('entry', (entry: ReadEntry) => {
    const member = seen.announced;
    seen.announced = undefined;
    if (member?.size !== entry.size || !PARSER_TYPES[member.kind].includes(entry.type))
      throw ambiguous(entry.path);
    take(entry, member, tree);
  });

  const frame = new TarBlocks(
    {
      member: (member) => {
        if (seen.announced) throw ambiguous('?');
        seen.announced = member;
      },
      blocks: (blocks) => {
        parser.write(blocks);
        if (seen.announced) throw ambiguous('?');
      },
    },
    budget,
  );
  for await (const chunk of chunks) frame.write(chunk);
  frame.end();
  // `tar` says so only when it has seen the two zero blocks; its own `end` calls an empty archive no archive.
  if (!seen.end) throw badArchive('it ends early');
}

function take(entry: ReadEntry, member: Member, tree: Tree): void {
  const name = entry.type === 'Directory' ? entry.path.replace(/\/+$/, '') || '/' : entry.path;
  if (name.includes('\ufffd')) throw unsafeMember(name, 'its name is not UTF-8');
  const path = tree.place(name);
  // Listening makes the entry flow, at once and synchronously; without a listener the parser would hold its body.
  if (path === undefined) {
    entry.resume();
    return;
  }
  if (member.kind === 'symlink') tree.symbolicLink(path, entry.linkpath ?? '');
  else if (member.kind === 'hardlink') hardLink(path, entry.linkpath ?? '', tree);
  else if (entry.type === 'Directory') tree.directory(path);
  else {
    tree.openFile(path, entry.mode ?? 0o644);
    entry.on('end', () => {
      if (tree.closeFile().size !== member.size) throw ambiguous(path);
    });
    entry.on('data', (chunk: Buffer) => {
      tree.write(chunk);
    });
    return;
  }
  entry.resume();
}

function hardLink(path: string, linkpath: string, tree: Tree): void {
  const target = tree.place(linkpath);
  if (target === undefined)
    throw unsafeMember(path, 'it is a hard link to something outside of what is unpacked');
  tree.hardLink(path, target);
}

function ambiguous(name: string): Error {
  return badArchive(`two readers understand the header of ${JSON.stringify(name)} differently`);
}
