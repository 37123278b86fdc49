/** One entry, downloaded to a file in staging by one GET, or by one and what is missing after breaks. */
import { rmSync } from 'node:fs';
import { ModelFetchError } from '../errors.ts';
import type { Digest, DigestAlgorithm, Fetcher, PartDigest } from '../fetcher.ts';
import { crcHex, isCrc, type CrcAlgorithm } from '../verify/crc.ts';
import { CrcLine } from '../verify/crc-line.ts';
import { crcsOnDisk, FileDigester } from '../verify/digester.ts';
import { chooseDigests, mustMatch, parts } from '../verify/expected.ts';
import { allOf, cutAtParts, partsMustMatch } from '../verify/parts.ts';
import { PartFile, type FileMark } from './part-file.ts';
import { read, type Transfer } from './read.ts';
import type { Source } from './source.ts';

/** A file that is whole in staging. */
export interface Downloaded {
  readonly size: number;
  /** The source's own, if it was checked against one; else CRC-32. */
  readonly crc: Digest;
  /** What it was checked against; empty when the source vouches for nothing but the length. */
  readonly against: readonly Digest[];
  /** Where whoever wrote it knows. */
  readonly mark?: FileMark;
}

/** Which checksums the answers of a source turned out to carry: from the second file on they are computed on the fly. */
const learntBefore = new WeakMap<Fetcher, readonly CrcAlgorithm[]>();

export async function inOnePass(
  transfer: Transfer,
  source: Source,
  path: string,
  required: readonly Digest[],
): Promise<Downloaded> {
  const { entry, fetcher } = source;
  const location = await source.location();
  const declared = together(
    entry.digests ?? [],
    location.kind === 'http' ? (location.digests ?? []) : [],
  );
  const likely = together(
    crcsOf(chooseDigests(required, declared)),
    learntBefore.get(fetcher) ?? [],
  );
  const line = new CrcLine(likely);
  let file: PartFile | undefined;
  // A thread makes the file itself; here it is made with its first byte.
  const own = (reuse = false): PartFile =>
    (file ??= new PartFile(path, { sync: transfer.sync, reuse }));
  try {
    let at = 0;
    let mark: FileMark | undefined;
    let learnt: readonly Digest[] = [];
    await read(transfer, source, {
      onDigests: (digests) => {
        learnt = digests;
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
    const against = chooseDigests(required, together(declared, learnt));
    const inParts = await source.parts();
    const wanted = crcsOf(against);
    learntBefore.set(fetcher, wanted);
    const known = line.values();
    const ordered = against.length > wanted.length;
    // What a thread has made is opened again only for what could not be known before.
    const complete = !ordered && inParts.length === 0 && wanted.every((name) => known.has(name));
    const { found, crc, partsFound } = complete
      ? recorded(known, wanted)
      : await digestsOfWhole(own(mark !== undefined), at, known, against, inParts);
    const details = { uri: fetcher.uri, path: entry.path };
    mustMatch(against, found, details);
    partsMustMatch(inParts, partsFound, details);
    if (transfer.sync) await own(mark !== undefined).finish();
    else mark ??= own().mark();
    return { size: at, crc, against: allOf(against, inParts), ...(mark && { mark }) };
  } finally {
    file?.close();
  }
}

/** Digests in hex: of the whole, what the manifest is to say of it, and of its parts. */
interface Found {
  readonly found: ReadonlyMap<DigestAlgorithm, string>;
  readonly crc: Digest;
  readonly partsFound: readonly string[];
}

/** What is known already, and of it what the manifest is to say. */
function recorded(
  known: ReadonlyMap<CrcAlgorithm, bigint>,
  [wanted]: readonly CrcAlgorithm[],
): Found {
  const [first] = known.keys();
  const name = wanted ?? first!;
  const found = new Map<DigestAlgorithm, string>();
  for (const [one, value] of known) found.set(one, crcHex(one, value));
  return { found, crc: `${name}:${found.get(name)!}`, partsFound: [] };
}

/** Mostly there is nothing in one of them, or in both. */
function together<T>(some: readonly T[], others: readonly T[]): readonly T[] {
  if (others.length === 0) return some;
  return some.length === 0 ? others : [...some, ...others];
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
  inParts: readonly PartDigest[],
): Promise<Found> {
  const readBack = (into: Uint8Array, at: number): number => file.read(into, at);
  const asked = against.map((digest) => parts(digest).algorithm);
  // Where no CRC is checked, the one that came along is as good as any.
  const digester = new FileDigester(
    asked.some(isCrc) ? asked : [...asked, ...known.keys()],
    readBack,
    undefined,
    inParts,
  );
  const complete = inParts.length === 0 && digester.crcs.every((name) => known.has(name));
  for (const range of cutAtParts({ start: 0, end: size }, inParts)) {
    const crcs = complete ? known : await crcsOnDisk(range, digester.crcs, readBack);
    digester.add({ ...range, crcs: crcs ?? known });
  }
  const found = await digester.result();
  return { found, crc: digester.recorded(found), partsFound: digester.partsFound };
}
