/** One entry, downloaded to a file in staging: parallel ranges where the source has them, checked while they arrive. */
import { rmSync } from 'node:fs';
import { ModelFetchError } from '../errors.ts';
import type { ByteRange, Digest, DigestAlgorithm, Fetcher } from '../fetcher.ts';
import { crcAlgorithm, crcDigest, crcHex, isCrc, type CrcAlgorithm } from '../verify/crc.ts';
import { CrcLine } from '../verify/crc-line.ts';
import { crcsOnDisk, FileDigester } from '../verify/digester.ts';
import { chooseDigests, mustMatch, parts } from '../verify/expected.ts';
import { digestsOf } from '../verify/learn.ts';
import type { FileMark } from './errand.ts';
import { RangeIgnored } from './lane.ts';
import { PartFile } from './part-file.ts';
import { cutRanges } from './ranges.ts';
import { read, type Transfer } from './read.ts';
import { Source } from './source.ts';
import type { Stretch } from './stretch.ts';
import { Stretches } from './stretches.ts';

/** A file that is whole in staging. */
export interface Downloaded {
  readonly size: number;
  /** The source's own, if it was checked against one; else CRC-32. */
  readonly crc: Digest;
  /** What it was checked against; empty when the source vouches for nothing but the length. */
  readonly against: readonly Digest[];
  /** When whoever wrote it knows. */
  readonly mark?: FileMark;
}

/** Ranges of an earlier, interrupted run that are already in the part file, and where new ones are noted. */
export interface PartJournal {
  readonly done: readonly (ByteRange & { readonly crc: Digest })[];
  note(range: ByteRange, crc: Digest): void;
}

/** Bytes; smaller files are one plain GET, whose answer may also bring the source's checksums. */
const WHOLE_UP_TO = 16 * 1024 * 1024;

export async function download(
  transfer: Transfer,
  source: Source,
  path: string,
  required: readonly Digest[],
  width: number,
  journal?: PartJournal,
): Promise<Downloaded> {
  const { entry } = source;
  try {
    if (entry.size !== undefined && entry.size > WHOLE_UP_TO && entry.ranges !== false)
      return await byRanges(transfer, source, path, required, width, journal);
  } catch (error) {
    if (!(error instanceof RangeIgnored)) throw error;
    rmSync(path, { force: true });
    const whole = new Source(source.fetcher, { ...entry, ranges: false }, transfer.signal);
    return inOnePass(transfer, whole, path, required);
  }
  if (journal?.done.length) rmSync(path, { force: true });
  return inOnePass(transfer, source, path, required);
}

async function byRanges(
  transfer: Transfer,
  source: Source,
  path: string,
  required: readonly Digest[],
  width: number,
  journal?: PartJournal,
): Promise<Downloaded> {
  const { entry, fetcher } = source;
  const size = entry.size!;
  const location = await source.location();
  const learnt = location.kind === 'http' ? (location.digests ?? []) : [];
  const against = chooseDigests(required, [...(entry.digests ?? []), ...learnt]);
  const file = new PartFile(path, {
    reuse: journal !== undefined && journal.done.length > 0,
    sync: transfer.sync,
  });
  const digester = new FileDigester(
    against.map((digest) => parts(digest).algorithm),
    (into, at) => file.read(into, at),
    (ordered) => transfer.hashing.file(file.fd, ordered),
  );
  try {
    const resumed = journal ? await trusted(file, journal, digester) : [];
    file.truncate(size);
    const ranges = cutRanges(size, width, resumed);
    const stretches = new Stretches(ranges, () => !transfer.slots.saturated);
    const lane = async (): Promise<void> => {
      for (let next = await stretches.next(); next; next = await stretches.next()) {
        const crcs = await oneRange(transfer, source, file, next, digester.crcs);
        stretches.done(next);
        const { start, end } = next;
        digester.add({ start, end, crcs });
        journal?.note({ start, end }, crcDigest(digester.crcs[0], crcs.get(digester.crcs[0])!));
        file.writeBack();
      }
    };
    await allOrFirstError(
      Array<() => Promise<void>>(Math.min(width, ranges.length)).fill(lane),
      () => {
        stretches.close();
      },
    );
    const found = await digester.result();
    mustMatch(against, found, { uri: fetcher.uri, path: entry.path });
    await file.finish();
    return { size, crc: digester.recorded(found), against };
  } finally {
    await Promise.all([digester.idle(), file.idle()]);
    file.close();
  }
}

async function oneRange(
  transfer: Transfer,
  source: Source,
  file: PartFile,
  range: Stretch,
  algorithms: Iterable<CrcAlgorithm>,
): Promise<ReadonlyMap<CrcAlgorithm, bigint>> {
  const line = new CrcLine(algorithms);
  let at = range.start;
  await read(transfer, source, {
    range,
    sink: (chunk) => {
      file.write(chunk, at);
      line.update(chunk);
      at += chunk.length;
    },
    errand: {
      place: { kind: 'file', fd: file.fd, path: file.path },
      at: range.start,
      crcs: [...algorithms],
      took: (bytes, crcs) => {
        line.append(bytes, crcs);
        at += bytes;
      },
    },
  });
  return line.values();
}

/** What the journal says is done, as far as the bytes on disk bear it out: nothing was fsynced, so nothing is believed. */
async function trusted(
  file: PartFile,
  journal: PartJournal,
  digester: FileDigester,
): Promise<ByteRange[]> {
  const good: ByteRange[] = [];
  for (const { start, end, crc } of journal.done) {
    const noted = crcAlgorithm(crc);
    if (noted === undefined) continue;
    const crcs = await crcsOnDisk({ start, end }, [...digester.crcs, noted], (into, at) =>
      file.read(into, at),
    );
    if (!crcs || crcDigest(noted, crcs.get(noted)!) !== crc) continue;
    digester.add({ start, end, crcs });
    journal.note({ start, end }, crc);
    good.push({ start, end });
  }
  return good;
}

/** Which checksums the answers of a source turned out to carry: from the second file on they are computed on the fly. */
const learntBefore = new WeakMap<Fetcher, ReadonlySet<CrcAlgorithm>>();

async function inOnePass(
  transfer: Transfer,
  source: Source,
  path: string,
  required: readonly Digest[],
): Promise<Downloaded> {
  const { entry, fetcher } = source;
  const location = await source.location();
  const declared: Digest[] = [
    ...(entry.digests ?? []),
    ...(location.kind === 'http' ? (location.digests ?? []) : []),
  ];
  const likely = [
    ...crcsOf(chooseDigests(required, declared)),
    ...(learntBefore.get(fetcher) ?? []),
  ];
  const line = new CrcLine(likely);
  let file: PartFile | undefined;
  // A thread makes the file itself; here it is made with its first byte.
  const own = (reuse = false): PartFile =>
    (file ??= new PartFile(path, { sync: transfer.sync, reuse }));
  try {
    let at = 0;
    let mark: FileMark | undefined;
    let learnt: Digest[] = [];
    await read(transfer, source, {
      onHead: (head) => {
        learnt = digestsOf(head.headers, head.status === 200);
      },
      sink: (chunk) => {
        own().write(chunk, at);
        line.update(chunk);
        at += chunk.length;
      },
      errand: {
        place: { kind: 'new', path },
        at: 0,
        crcs: likely,
        took: (bytes, crcs, made) => {
          line.append(bytes, crcs);
          at += bytes;
          mark = made;
        },
      },
      restart: () => {
        at = 0;
        line.reset();
        file?.close();
        file = undefined;
        rmSync(path, { force: true });
      },
    });
    if (entry.size !== undefined && at !== entry.size)
      throw new ModelFetchError('TRUNCATED', `${entry.path} ended at byte ${at} of ${entry.size}`, {
        uri: fetcher.uri,
        path: entry.path,
      });
    const against = chooseDigests(required, [...declared, ...learnt]);
    const wanted = crcsOf(against);
    learntBefore.set(fetcher, new Set(wanted));
    const known = line.values();
    const ordered = against.length > wanted.length;
    // What a thread has made is opened again only for what could not be known before.
    const complete = mark && !ordered && wanted.every((name) => known.has(name)) && !transfer.sync;
    const { found, crc } = complete
      ? recorded(known, wanted)
      : await digestsOfWhole(own(mark !== undefined), at, known, against);
    mustMatch(against, found, { uri: fetcher.uri, path: entry.path });
    await file?.finish();
    return { size: at, crc, against, ...(mark && { mark }) };
  } finally {
    file?.close();
  }
}

/** What is known already, and of it what the manifest is to say. */
function recorded(
  known: ReadonlyMap<CrcAlgorithm, bigint>,
  [wanted]: readonly CrcAlgorithm[],
): { found: ReadonlyMap<DigestAlgorithm, string>; crc: Digest } {
  const name = wanted ?? [...known.keys()][0]!;
  return {
    found: new Map([...known].map(([one, value]) => [one, crcHex(one, value)])),
    crc: crcDigest(name, known.get(name)!),
  };
}

function crcsOf(digests: readonly Digest[]): CrcAlgorithm[] {
  return digests.map((digest) => parts(digest).algorithm).filter(isCrc);
}

/** Digests of a file that came in one piece; what was not computed on the way is read back from the page cache. */
async function digestsOfWhole(
  file: PartFile,
  size: number,
  known: ReadonlyMap<CrcAlgorithm, bigint>,
  against: readonly Digest[],
): Promise<{ found: ReadonlyMap<DigestAlgorithm, string>; crc: Digest }> {
  const readBack = (into: Uint8Array, at: number): number => file.read(into, at);
  const asked = against.map((digest) => parts(digest).algorithm);
  // Where no CRC is checked, the one that came along is as good as any.
  const digester = new FileDigester(
    asked.some(isCrc) ? asked : [...asked, ...known.keys()],
    readBack,
  );
  const complete = digester.crcs.every((name) => known.has(name));
  const crcs = complete
    ? known
    : await crcsOnDisk({ start: 0, end: size }, digester.crcs, readBack);
  digester.add({ start: 0, end: size, crcs: crcs ?? known });
  const found = await digester.result();
  return { found, crc: digester.recorded(found) };
}

/** Waits for all; the first failure stops the others, and is thrown once they have stopped. */
async function allOrFirstError(
  work: readonly (() => Promise<void>)[],
  stop: () => void,
): Promise<void> {
  let first: { error: unknown } | undefined;
  await Promise.all(
    work.map(async (one) => {
      try {
        await one();
      } catch (error) {
        first ??= { error };
        stop();
      }
    }),
  );
  if (first) throw first.error;
}
