/** One file into staging, whole and checked: from an interrupted run, this machine, or the network. */
import { lstatSync, rmSync } from 'node:fs';
import { drain } from '../drain.ts';
import type { Digest, Entry } from '../fetcher.ts';
import { syncFiles } from '../publish/durable.ts';
import { hasCrc } from '../publish/verify.ts';
import { download } from '../transfer/download.ts';
import type { Downloaded } from '../transfer/one-pass.ts';
import { localBytes, placeLocal } from '../transfer/place-local.ts';
import type { Transfer } from '../transfer/read.ts';
import type { Source } from '../transfer/source.ts';
import { checkedStream } from '../verify/checked-stream.ts';
import type { StageContext } from './context.ts';

/** The file at `to`, whole and checked: from an interrupted run, this machine, or the network. */
export async function bring(
  context: StageContext,
  source: Source,
  to: string,
): Promise<Omit<Downloaded, 'crc'> & { crc?: Digest; link?: string }> {
  const { staging, transfer, required } = context;
  const { entry } = source;
  const key = resumeKey(context.from, entry);
  const location = await source.location();
  if (location.kind === 'file') {
    const placed = await placeLocal(entry, location.path, to, context.link, {
      signal: transfer.signal,
      threads: transfer.threads !== undefined,
    });
    if (transfer.sync && placed.link === undefined) await syncFiles([to]);
    transfer.report({ type: 'progress', path: entry.path, bytes: placed.size });
    if (context.link === 'hard' && placed.how === 'copy')
      transfer.report({
        type: 'warning',
        message: `${entry.path} was copied: a hard link is not possible here`,
      });
    const against = await checkPlaced(context, entry, to, required);
    return {
      size: placed.size,
      against,
      ...(placed.crc !== undefined && { crc: placed.crc }),
      ...(placed.link !== undefined && { link: placed.link }),
    };
  }
  const leftover = key === undefined ? undefined : staging.adopt(key, to);
  if (leftover?.done && key !== undefined) {
    const resumed = await finished(entry, to, leftover.done, required);
    if (resumed) {
      // The run that finished it may have left the disk to the kernel.
      if (transfer.sync) await syncFiles([to]);
      staging.noteDone(key, to, resumed);
      return reportVerified(transfer, entry, resumed);
    }
  }
  if (leftover && (leftover.done !== undefined || leftover.ranges.size === 0))
    rmSync(to, { force: true });
  const journal =
    key === undefined
      ? undefined
      : {
          done: leftover?.done ? [] : [...(leftover?.ranges.values() ?? [])],
          note: (range: { start: number; end: number }, crc: Digest) => {
            staging.noteRange(key, to, range, crc);
          },
        };
  const done = await download(transfer, source, to, required, context.width, journal);
  if (key !== undefined) staging.noteDone(key, to, done);
  return reportVerified(transfer, entry, done);
}

/** Only what has a version can be resumed by another run. */
export function resumeKey(from: string, entry: Entry): string | undefined {
  if (entry.version === undefined || entry.size === undefined) return undefined;
  return JSON.stringify([from, entry.path, entry.version, entry.size]);
}

/** A file that an earlier run had finished: believed if its bytes still say so. */
async function finished(
  entry: Entry,
  file: string,
  done: { crc: Digest; against: readonly Digest[] },
  required: readonly Digest[],
): Promise<Downloaded | undefined> {
  if (
    lstatSync(file).size !== entry.size ||
    !required.every((digest) => done.against.includes(digest))
  )
    return undefined;
  return (await hasCrc(file, done.crc)) ? { size: entry.size, ...done } : undefined;
}

/** A local file is checked only when somebody vouches for its digest: its own disk is not asked twice otherwise. */
export async function checkPlaced(
  context: StageContext,
  entry: Entry,
  file: string,
  required: readonly Digest[],
): Promise<readonly Digest[]> {
  const declared = entry.digests ?? [];
  if (required.length === 0 && declared.length === 0) return [];
  const checked = checkedStream(
    localBytes(entry, file, context.transfer.signal),
    required,
    () => declared,
    { uri: context.fetcher.uri, path: entry.path },
  );
  await drain(checked.bytes);
  return checked.result().against;
}

function reportVerified(transfer: Transfer, entry: Entry, done: Downloaded): Downloaded {
  transfer.report({
    type: 'verified',
    path: entry.path,
    bytes: done.size,
    crc: done.crc,
    against: done.against,
  });
  return done;
}
