/** Reads a zip: the directory says what is there, the local headers must say the same, and members lie side by side. */
import { FileWriter } from './file-writer.ts';
import type { Budget } from './limits.ts';
import { PieceMemory, Pieces } from './pieces.ts';
import { badArchive } from './refuse.ts';
import type { Guarded } from './source.ts';
import type { Threads } from './threads.ts';
import type { Tree } from './tree.ts';
import { Window } from './window.ts';
import { Batches } from './zip-batch.ts';
import { isSmall, unpackLarge, type ZipContent } from './zip-content.ts';
import { zipDirectory, type ZipMember } from './zip-directory.ts';
import { descriptor, localHeader } from './zip-local.ts';
import { cutStretches, type Stretch } from './zip-stretches.ts';

/** Stretches read, and large members inflated, at a time when there are no threads to tell how many cores there are. */
const ALONE = 1;

interface Job {
  readonly source: Guarded;
  /** Bytes up to the directory. */
  readonly size: number;
  readonly tree: Tree;
  readonly threads: Threads | undefined;
  /** Stretches read at a time. */
  readonly lanes: number;
}

/**
 * Puts the members of a zip into `tree`. From the first byte to the directory every byte must belong to exactly one member. They
 * are read once, in stretches beside each other; small ones are unpacked on `threads`, large ones inflate beside this thread.
 * Throws `BAD_ARCHIVE`, `UNSAFE_ARCHIVE`, `LIMIT_EXCEEDED`.
 */
export async function unpackZip(
  source: Guarded,
  size: number,
  tree: Tree,
  budget: Budget,
  threads: Threads | undefined,
): Promise<void> {
  const { members, end } = await zipDirectory(
    (start, until) => source.read(start, until),
    size,
    budget,
  );
  budget.read(size);
  for (const member of members) {
    budget.member(member.size);
    budget.inflated(member.size);
  }
  const stretches = cutStretches(members, end, source.ordered);
  const lanes = Math.min(stretches.length, threads?.count ?? ALONE);
  const small = members.filter((member) => isSmall(member));
  const helping = threads?.worthwhile(small) === true ? threads : undefined;
  await runLanes({ source, size: end, tree, threads: helping, lanes }, stretches);
}

/** What is left to do with the content of `member`: its name is judged and taken here, whoever writes it. */
function contentOf(member: ZipMember, tree: Tree): ZipContent {
  const path = tree.place(member.directory ? member.name.slice(0, -1) : member.name);
  const { name, method, crc, packed, size, mode, directory } = member;
  const place = path === undefined || directory ? undefined : tree.claimFile(path, mode);
  if (path !== undefined && directory) tree.directory(path);
  return { name, method, crc, packed, size, ...(place && { place }) };
}

/** As many stretches at a time as there are lanes. The first failure ends the others, and is thrown when all are still. */
async function runLanes(job: Job, stretches: Stretch[]): Promise<void> {
  let failed: { readonly error: unknown } | undefined;
  const lane = async (): Promise<void> => {
    const memory = new PieceMemory(job.size, job.lanes);
    for (let next = stretches.shift(); next && !failed; next = stretches.shift())
      try {
        await readStretch(job, next, memory);
      } catch (error) {
        failed ??= { error };
        job.threads?.stop();
        job.source.close();
      }
  };
  await Promise.all(Array.from({ length: job.lanes }, lane));
  if (failed) throw failed.error;
}

async function readStretch(job: Job, stretch: Stretch, memory: PieceMemory): Promise<void> {
  const { tree } = job;
  const done = ({ place, size, crc }: ZipContent): void => {
    if (place) tree.fileDone(place, { size, crc32: crc.toString(16).padStart(8, '0') });
  };
  const batches = new Batches(job.threads, done);
  const pieces = new Pieces(job.source, memory, stretch.start, stretch.end);
  const window = new Window(pieces, stretch.start, () => {
    batches.flush();
  });
  try {
    for (const member of stretch.members) {
      if (member.at !== window.position) throw apart(member.at < window.position);
      await localHeader(member, window);
      const content = contentOf(member, tree);
      if (isSmall(content)) await batches.add(content, await window.hold(content.packed));
      else {
        await large(content, window);
        done(content);
      }
      await descriptor(member, window);
    }
    if (window.position !== stretch.end)
      throw stretch.end === job.size ? beforeDirectory() : apart(false);
    window.close();
    batches.flush();
  } catch (error) {
    job.threads?.stop();
    await batches.settle().catch(() => undefined);
    throw error;
  }
  await batches.settle();
}

async function large(member: ZipContent, window: Window): Promise<void> {
  const writer = new FileWriter();
  try {
    await unpackLarge(member, window.through(member.packed), writer);
  } finally {
    writer.abandon();
  }
}

function apart(overlap: boolean): Error {
  return badArchive(overlap ? 'members of it overlap' : 'there is something between its members');
}

function beforeDirectory(): Error {
  return badArchive('there is something between its members and its directory');
}
