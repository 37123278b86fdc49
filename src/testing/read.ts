/** Reads an entry as the engine does: the same lane, the same checks, and `locate` again when a location is refused. */
import { open } from 'node:fs/promises';
import { ModelFetchError } from '../errors.ts';
import type {
  ByteRange,
  Entry,
  FailedLocation,
  Fetcher,
  HttpLocation,
  Location,
} from '../fetcher.ts';
import { Refusal, type Lane } from '../transfer/lane.ts';

/** How often a refused location is asked for again. */
const ATTEMPTS = 3;
const STALL_MS = 10_000;

/** All bytes of `entry`, or of the range. Throws what the engine would throw; never answers fewer or more bytes. */
export async function readEntry(
  fetcher: Fetcher,
  entry: Entry,
  lane: Lane,
  range?: ByteRange,
): Promise<Buffer> {
  let failed: FailedLocation | undefined;
  for (let attempt = 0; attempt <= ATTEMPTS; attempt++) {
    const location = await fetcher.locate(entry, failed ? { failed } : {});
    try {
      return await readLocation(location, entry, lane, range);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      failed = { location, ...error.head, body: error.body };
    }
  }
  throw new ModelFetchError(
    'BAD_RESPONSE',
    `still refused after ${String(ATTEMPTS)} fresh locations (HTTP ${String(failed?.status)})`,
    { uri: fetcher.uri, path: entry.path },
  );
}

async function readLocation(
  location: Location,
  entry: Entry,
  lane: Lane,
  range: ByteRange | undefined,
): Promise<Buffer> {
  switch (location.kind) {
    case 'http':
      return readHttp(location, entry, lane, range);
    case 'file':
      return readFile(location.path, entry, range);
    case 'stream':
      return exactly(await collect(await location.open(range)), entry, range);
  }
}

async function readHttp(
  location: HttpLocation,
  entry: Entry,
  lane: Lane,
  range: ByteRange | undefined,
): Promise<Buffer> {
  const chunks: Buffer[] = [];
  await lane({
    location,
    ...(range && { range }),
    ...(entry.size !== undefined && { size: entry.size }),
    // The lane may use its buffer again after the call: copied, not kept.
    sink: (chunk) => void chunks.push(Buffer.from(chunk)),
    signal: new AbortController().signal,
    stallMs: STALL_MS,
  });
  return exactly(Buffer.concat(chunks), entry, range);
}

async function readFile(path: string, entry: Entry, range: ByteRange | undefined): Promise<Buffer> {
  const handle = await open(path, 'r');
  try {
    const { start, end } = range ?? { start: 0, end: (await handle.stat()).size };
    const buffer = Buffer.alloc(end - start);
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, start);
    return exactly(buffer.subarray(0, bytesRead), entry, range);
  } finally {
    await handle.close();
  }
}

async function collect(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = [];
  for await (const chunk of chunks) all.push(Uint8Array.from(chunk));
  return Buffer.concat(all);
}

function exactly(bytes: Buffer, entry: Entry, range: ByteRange | undefined): Buffer {
  const expected = range ? range.end - range.start : entry.size;
  if (expected === undefined || expected === bytes.length) return bytes;
  throw new ModelFetchError(
    bytes.length < expected ? 'TRUNCATED' : 'BAD_RESPONSE',
    `${String(bytes.length)} bytes instead of ${String(expected)}`,
    { path: entry.path },
  );
}
