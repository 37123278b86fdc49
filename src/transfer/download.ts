/** One entry, downloaded to a file in staging: parallel ranges where the source has them, checked while they arrive. */
import { rmSync } from 'node:fs';
import type { ByteRange, Digest, PartDigest } from '../fetcher.ts';
import { crcAlgorithm, crcDigest, type CrcAlgorithm } from '../verify/crc.ts';
import { CrcLine } from '../verify/crc-line.ts';
import { crcsOnDisk, FileDigester } from '../verify/digester.ts';
import { chooseDigests, mustMatch, parts } from '../verify/expected.ts';
import { allOf, cutAtParts, partsMustMatch } from '../verify/parts.ts';
import { RangeIgnored } from './lane.ts';
import { PartFile } from './part-file.ts';
import { cutRanges, rangeSize } from './ranges.ts';
import { inOnePass, type Downloaded } from './one-pass.ts';
import { read, type Transfer } from './read.ts';

import { Source } from './source.ts';
import type { Stretch } from './stretch.ts';
import { Stretches } from './stretches.ts';

/** Ranges of an earlier, interrupted run that are already in the part file, and where new ones are noted. */
export interface PartJournal {
  readonly done: readonly (ByteRange & { readonly crc: Digest })[];
  note(range: ByteRange, crc: Digest): void;
}

/** Bytes; smaller files are one plain GET, whose answer may also bring the source's checksums. */
const WHOLE_UP_TO = 16 * 1024 * 1024;

/** Ranges for each long request, of which the first is awaited by a digest: enough to have some waiting. */
const AHEAD = 1.5;

/** Connections for which ranges are cut, four for each: more have fewer. */
const SPREAD = 16;

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
  const inParts = await source.parts();
  const file = new PartFile(path, {
    reuse: journal !== undefined && journal.done.length > 0,
    sync: transfer.sync,
  });
  const digester = new FileDigester(
    against.map((digest) => parts(digest).algorithm),
    (into, at) => file.read(into, at),
    (ordered) => transfer.hashing.file(file.fd, ordered),
    inParts,
  );
  try {
    const resumed = journal ? await trusted(file, journal, digester, inParts) : [];
    file.truncate(size);
    // Where a digest waits for the first, small ones; otherwise fewer, each of which costs a server something.
    const spread = digester.inOrder ? width : Math.min(width, SPREAD);
    const ranges = cutRanges(size, spread, resumed, inParts);
    const { slots } = transfer;
    const stretches = new Stretches(
      ranges,
      () => !slots.saturated,
      digester.inOrder ? () => AHEAD * slots.longWidth * rangeSize(size, spread) : undefined,
    );
    const lane = async (): Promise<void> => {
      for (let next = await stretches.next(); next; next = await stretches.next()) {
        const { start } = next;
        const note: Note = (end, crcs) =>
          journal?.note({ start, end }, crcDigest(digester.crcs[0], crcs.get(digester.crcs[0])!));
        const crcs = await oneRange(transfer, source, file, next, digester.crcs, note);
        stretches.done(next);
        digester.add({ start, end: next.end, crcs });
        note(next.end, crcs);
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
    const details = { uri: fetcher.uri, path: entry.path };
    mustMatch(against, found, details);
    partsMustMatch(inParts, digester.partsFound, details);
    await file.finish();
    return { size, crc: digester.recorded(found), against: allOf(against, inParts) };
  } finally {
    await Promise.all([digester.idle(), file.idle()]);
    file.close();
  }
}

/** What lies in the file from the start of a range up to `end`, for a run that finds this one interrupted. */
type Note = (end: number, crcs: ReadonlyMap<CrcAlgorithm, bigint>) => void;

/** How often what there is of a range is noted: the part that a killed run loses of each. */
const NOTES = 8;

async function oneRange(
  transfer: Transfer,
  source: Source,
  file: PartFile,
  range: Stretch,
  algorithms: Iterable<CrcAlgorithm>,
  note: Note,
): Promise<ReadonlyMap<CrcAlgorithm, bigint>> {
  const line = new CrcLine(algorithms);
  let at = range.start;
  let noted = range.start;
  const noteFrom = (
    end: number,
    least: number,
    crcs: () => ReturnType<CrcLine['values']>,
  ): void => {
    if (end - noted < least) return;
    noted = end;
    note(end, crcs());
  };
  const soFar = (): ReturnType<CrcLine['values']> => line.values();
  const step = (range.end - range.start) / NOTES;
  try {
    await read(transfer, source, {
      range,
      sink: (chunk) => {
        file.write(chunk, at);
        line.update(chunk);
        at += chunk.length;
        noteFrom(at, step, soFar);
      },
      errand: {
        place: { kind: 'file', fd: file.fd, path: file.path },
        at: range.start,
        crcs: [...algorithms],
        took: (bytes, crcs) => {
          line.append(bytes, crcs);
          at += bytes;
        },
        reached: (bytes, crcs) => {
          noteFrom(at + bytes, step, () => line.valuesWith(bytes, crcs));
        },
      },
    });
  } catch (error) {
    noteFrom(at, 1, soFar);
    throw error;
  }
  return soFar();
}

/** What the journal says is done, as far as the bytes on disk bear it out: nothing was fsynced, so nothing is believed. */
async function trusted(
  file: PartFile,
  journal: PartJournal,
  digester: FileDigester,
  inParts: readonly PartDigest[],
): Promise<ByteRange[]> {
  const good: ByteRange[] = [];
  for (const { start, end, crc } of journal.done) {
    const noted = crcAlgorithm(crc);
    if (noted === undefined || cutAtParts({ start, end }, inParts).length > 1) continue;
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
