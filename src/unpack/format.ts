/** Is it an archive, and of which format? KServe's rule by name, then the content. Pure: a name and the first bytes. */
import { gunzipSync, constants, zstdDecompressSync } from 'node:zlib';
import { ModelFetchError } from '../errors.ts';
import type { ArchiveFormat } from '../fetcher.ts';
import { showPath } from '../plan/path.ts';
import { BLOCK, checksumHolds, isZero } from './tar-fields.ts';

/** Source: KServe `_unpack_archive_file`, by way of Python's `mimetypes`; and zstd, which it does not know. */
const ARCHIVE_NAME =
  /[^/]\.(?:tar|tar\.gz|tgz|taz|tz|tar\.bz2|tbz2|tar\.xz|txz|tar\.zst|tzst|zip)$/i;
/** PyTorch checkpoints of old are called this, and are no archives. */
const CHECKPOINT_NAME = /\.(?:pth|pt|ckpt)\.tar$/i;
/** What follows the last dot says what the file is, unless it is the end of a version (`model-1.2`, `bert.v3`). */
const EXTENSION = /[^/]\.(?!v?\d+$)[A-Za-z0-9_-]{1,16}$/;

/** Whether a sole file of that name is unpacked by its name alone; its content then decides the format. */
export function namedLikeArchive(name: string): boolean {
  return ARCHIVE_NAME.test(name);
}

/** Whether KServe would: it does not know zstd, and knows compressions behind `.tar` in lower case only. */
export function unpackedByKserve(name: string): boolean {
  if (/[^/]\.tar\.Z$/i.test(name)) return name.endsWith('.Z');
  if (!namedLikeArchive(name) || /zst$/i.test(name)) return false;
  return !/\.tar\.\w+$/i.test(name) || /\.(?:gz|bz2|xz)$/.test(name);
}

/** As KServe, which takes the name's word for what it is: a zip, or a tar of any compression but zstd. Throws `BAD_ARCHIVE`. */
export function formatForKserve(name: string, head: Uint8Array): ArchiveFormat {
  const format = byContent(head);
  const fits = /\.zip$/i.test(name) ? format === 'zip' : format !== 'zip' && format !== 'tar.zst';
  if (format && fits) return format;
  throw new ModelFetchError(
    'BAD_ARCHIVE',
    `${showPath(name)} is not what it is called: it looks like ${format ?? looksLike(head)}`,
    {
      path: showPath(name),
      hint: 'KServe fails on it too. Without --compat kserve the content decides.',
    },
  );
}

/**
 * The format of the file called `name` that begins with `head` (its first 1,024 bytes, or all), or undefined when it is no
 * archive but the model itself: `.pt`, `.npz`, `.keras`, `.mar`, `.whl` and `.gz` stay as they are whatever is in them.
 * Throws `BAD_ARCHIVE` when it is called an archive and is none.
 */
export function archiveFormat(name: string, head: Uint8Array): ArchiveFormat | undefined {
  if (namedLikeArchive(name)) {
    const format = byContent(head);
    if (CHECKPOINT_NAME.test(name) && !format?.startsWith('tar')) return undefined;
    if (format) return format;
    throw new ModelFetchError(
      'BAD_ARCHIVE',
      `${showPath(name)} is no archive: it looks like ${looksLike(head)}`,
      {
        path: showPath(name),
        hint: 'Check what was uploaded under that name, or fetch it as it is with --unpack never.',
      },
    );
  }
  if (EXTENSION.test(name)) return undefined;
  return unmistakablyTar(head);
}

function byContent(head: Uint8Array): ArchiveFormat | undefined {
  if (starts(head, 0x50, 0x4b, 0x03, 0x04) || starts(head, 0x50, 0x4b, 0x05, 0x06)) return 'zip';
  const compressed = byCompression(head);
  if (compressed) return compressed;
  if (head.length < BLOCK) return undefined;
  // An empty tar is nothing but zeros.
  return checksumHolds(head.subarray(0, BLOCK)) || isZero(head) ? 'tar' : undefined;
}

function byCompression(head: Uint8Array): Exclude<ArchiveFormat, 'tar' | 'zip'> | undefined {
  if (starts(head, 0x1f, 0x8b)) return 'tar.gz';
  if (starts(head, 0x28, 0xb5, 0x2f, 0xfd)) return 'tar.zst';
  // A skippable frame, with which pzstd begins.
  if (
    head.length >= 4 &&
    (head[0]! & 0xf0) === 0x50 &&
    head[1] === 0x2a &&
    head[2] === 0x4d &&
    head[3] === 0x18
  )
    return 'tar.zst';
  if (starts(head, 0x42, 0x5a, 0x68) && head[3]! >= 0x31 && head[3]! <= 0x39) return 'tar.bz2';
  if (starts(head, 0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00)) return 'tar.xz';
  return undefined;
}

/** A name without an extension says nothing; then only a header that can be read as tar counts, never a zip's magic. */
function unmistakablyTar(head: Uint8Array): ArchiveFormat | undefined {
  if (isUstar(head)) return 'tar';
  const format = byCompression(head);
  return format && isUstar(firstBytes(head, format)) ? format : undefined;
}

function isUstar(head: Uint8Array): boolean {
  if (head.length < BLOCK) return false;
  return (
    Buffer.from(head.subarray(257, 262)).toString('latin1') === 'ustar' &&
    checksumHolds(head.subarray(0, BLOCK))
  );
}

/** What the beginning of a compressed file decompresses to. bzip2 and xz give nothing before a whole block is there. */
function firstBytes(head: Uint8Array, format: ArchiveFormat): Uint8Array {
  const maxOutputLength = 4 * 1024 * 1024;
  try {
    if (format === 'tar.gz')
      return gunzipSync(head, { finishFlush: constants.Z_SYNC_FLUSH, maxOutputLength });
    if (format === 'tar.zst')
      return zstdDecompressSync(head, { finishFlush: constants.ZSTD_e_continue, maxOutputLength });
  } catch {
    // Then it is damaged, or something else.
  }
  return new Uint8Array();
}

function looksLike(head: Uint8Array): string {
  if (head.length === 0) return 'an empty file';
  const text = Buffer.from(head).toString('latin1').trimStart();
  if (/^(<!doctype html|<html|<head|<body)/i.test(text))
    return 'an HTML page (a login or error page, perhaps)';
  if (text.startsWith('version https://git-lfs'))
    return 'a Git LFS pointer instead of the file it stands for';
  if (/^<\?xml|^<Error>/i.test(text)) return 'an XML document (an error of the storage, perhaps)';
  if (/^[{[]\s*["{[\]}]/.test(text)) return 'a JSON document (an error message, perhaps)';
  if (starts(head, 0x37, 0x7a, 0xbc, 0xaf, 0x27, 0x1c))
    return 'a 7z archive, which is not supported';
  if (text.startsWith('Rar!')) return 'a RAR archive, which is not supported';
  if (starts(head, 0x1f, 0x9d)) return 'a file made by compress (.Z), which is not supported';
  if (starts(head, 0x50, 0x4b)) return 'one part of a split zip';
  if (starts(head, 0x80)) return 'a Python pickle';
  if (starts(head, 0x4d, 0x5a)) return 'a Windows program';
  return isZero(head) ? 'nothing but zeros' : 'something else';
}

function starts(head: Uint8Array, ...magic: number[]): boolean {
  return head.length >= magic.length && magic.every((byte, at) => head[at] === byte);
}
