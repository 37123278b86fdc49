/** Unpacks bytes inside a sandbox and tells everything that happened: the tree, or the error, and any escape. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { crc32 } from 'node:zlib';
import { ModelFetchError, type ErrorCode } from '../../src/errors.ts';
import type { ArchiveFormat } from '../../src/fetcher.ts';
import { createThreads, type Threads } from '../../src/unpack/threads.ts';
import {
  defaultLimits,
  unpack,
  type ArchiveSource,
  type UnpackedFile,
  type UnpackOptions,
} from '../../src/unpack/unpack.ts';

const sandbox = fs.mkdtempSync(join(os.tmpdir(), 'unpack-'));
const into = join(sandbox, 'deep', 'into');
fs.mkdirSync(into, { recursive: true });
fs.mkdirSync(join(sandbox, 'deep', 'into2'));
fs.writeFileSync(join(sandbox, 'deep', 'sentinel'), 'untouched');
after(() => {
  fs.rmSync(sandbox, { recursive: true });
});

/** Path to what is there: a file's content, `->target`, or `/` for a folder. */
export type Found = Readonly<Record<string, string>>;

export interface Outcome {
  readonly tree?: Found;
  readonly reported?: readonly UnpackedFile[];
  readonly error?: unknown;
}

export interface HarnessOptions extends Partial<
  Pick<UnpackOptions, 'strip' | 'limits' | 'signal'>
> {
  /** `tar` unless said otherwise. */
  readonly format?: ArchiveFormat;
  /** Bytes per chunk of the stream. */
  readonly step?: number;
}

/**
 * What came of unpacking `bytes`; a zip is unpacked twice, on this thread alone and with others, and the same must come of it.
 * Fails when anything outside of the staging directory changed, or the report is not the tree. */
export async function outcome(bytes: Buffer, options: HarnessOptions = {}): Promise<Outcome> {
  const alone = await outcomeWith(bytes, options);
  if (options.format !== 'zip') return alone;
  const threads = createThreads({ count: 2, leastMs: 0 });
  try {
    const beside = await outcomeWith(bytes, options, threads);
    assert.deepEqual(beside.tree, alone.tree);
    assert.deepEqual(told(beside.error), told(alone.error));
  } finally {
    await threads.close();
  }
  return alone;
}

/** What a person would see of it. */
function told(error: unknown): unknown {
  if (!(error instanceof ModelFetchError)) return error;
  const { code, message, path, hint, cause } = error;
  return { code, message, path, hint, cause: cause instanceof Error ? cause.message : cause };
}

async function outcomeWith(
  bytes: Buffer,
  options: HarnessOptions,
  threads?: Threads,
): Promise<Outcome> {
  const before = around();
  const reported: UnpackedFile[] = [];
  try {
    const totals = await unpack(sourceOf(bytes, options.step), {
      into,
      format: options.format ?? 'tar',
      limits: options.limits ?? defaultLimits,
      signal: options.signal ?? new AbortController().signal,
      ...(threads && { threads }),
      ...(options.strip !== undefined && { strip: options.strip }),
      onFile: (file) => reported.push(file),
    });
    const tree = readTree(into);
    checkReport(tree, reported, totals);
    return { tree, reported };
  } catch (error) {
    if (error instanceof assert.AssertionError) throw error;
    return { error };
  } finally {
    assert.deepEqual(around(), before, 'something outside of the staging directory changed');
    for (const name of fs.readdirSync(into)) fs.rmSync(join(into, name), { recursive: true });
  }
}

/** The tree that must come out. */
export async function treeOf(bytes: Buffer, options?: HarnessOptions): Promise<Found> {
  const { tree, error } = await outcome(bytes, options);
  if (!tree) throw new Error('was expected to unpack', { cause: error });
  return tree;
}

/** The typed error that must come out. */
export async function refused(
  bytes: Buffer,
  code: ErrorCode,
  message?: RegExp,
  options?: HarnessOptions,
): Promise<ModelFetchError> {
  const { tree, error } = await outcome(bytes, options);
  assert.ok(
    error !== undefined,
    `was unpacked although it should be refused: ${JSON.stringify(tree)}`,
  );
  if (!(error instanceof ModelFetchError)) throw error as Error;
  assert.equal(error.code, code, error.message);
  if (message) assert.match(error.message, message);
  assert.ok(error.hint, 'the error has a hint');
  assert.equal(error.uri, 'https://models.test/model');
  return error;
}

/** `bytes` as the engine serves them: chunks that are overwritten as soon as the next one is asked for. */
export function sourceOf(bytes: Buffer, step = 65_536): ArchiveSource {
  return {
    name: 'model',
    uri: 'https://models.test/model',
    size: bytes.length,
    async *stream() {
      const chunk = Buffer.alloc(step);
      for (let at = 0; at < bytes.length; at += step) {
        yield chunk.subarray(0, bytes.copy(chunk, 0, at, at + step));
        chunk.fill(0xee);
      }
    },
    read: async (start, end) => Buffer.from(bytes.subarray(start, end)),
  };
}

/** Walks by itself: `readdir` with `recursive` goes through links to folders. */
export function readTree(root: string, below = '', found: Record<string, string> = {}): Found {
  for (const entry of fs.readdirSync(join(root, below), { withFileTypes: true })) {
    const path = below === '' ? entry.name : `${below}/${entry.name}`;
    const full = join(root, path);
    if (entry.isSymbolicLink()) found[path] = `->${fs.readlinkSync(full)}`;
    else if (entry.isFile()) found[path] = fs.readFileSync(full, 'latin1');
    else if (!entry.isDirectory()) found[path] = '?';
    else {
      found[path] = '/';
      readTree(root, path, found);
    }
  }
  return found;
}

function around(): Found {
  return Object.fromEntries(
    Object.entries(readTree(sandbox)).filter(
      ([path]) => !join(sandbox, path).startsWith(`${into}/`),
    ),
  );
}

/** Every file and link is reported once, as it stands on the disk. */
function checkReport(
  tree: Found,
  reported: readonly UnpackedFile[],
  totals: { files: number; bytes: number },
): void {
  const expected = Object.keys(tree).filter((path) => tree[path] !== '/');
  assert.deepEqual(reported.map(({ path }) => path).sort(), expected.sort());
  assert.equal(totals.files, reported.length);
  assert.equal(
    totals.bytes,
    reported.reduce((sum, { size }) => sum + size, 0),
  );
  for (const file of reported) {
    const full = join(into, file.path);
    const stat = fs.lstatSync(full);
    assert.equal(stat.isSymbolicLink(), file.link !== undefined);
    if (file.link !== undefined) continue;
    assert.equal(stat.mode & 0o7777, file.mode, file.path);
    assert.equal(stat.size, file.size);
    assert.equal(crc32(fs.readFileSync(full)).toString(16).padStart(8, '0'), file.crc32);
  }
}
