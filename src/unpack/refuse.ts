/** The errors of unpacking. Each says what is wrong with which member, and what a person can do about it. */
import { ModelFetchError } from '../errors.ts';
import { showPath } from '../plan/path.ts';

/** `BAD_ARCHIVE`: broken, cut short, or of a kind that cannot be read with certainty. */
export function badArchive(what: string, hint = UPLOAD_AGAIN, cause?: unknown): ModelFetchError {
  return new ModelFetchError('BAD_ARCHIVE', `the archive cannot be read: ${what}`, {
    hint,
    ...(cause !== undefined && { cause }),
  });
}

/** `UNSAFE_ARCHIVE`: readable, but a member must not be written. */
export function unsafeMember(member: string, why: string, hint = PACK_AGAIN): ModelFetchError {
  return new ModelFetchError(
    'UNSAFE_ARCHIVE',
    `the member ${showPath(member)} is refused: ${why}`,
    {
      path: showPath(member),
      hint,
    },
  );
}

/** `LIMIT_EXCEEDED`: more than this program is willing to unpack. */
export function tooMuch(what: string): ModelFetchError {
  return new ModelFetchError('LIMIT_EXCEEDED', `the archive is refused: ${what}`, {
    hint: 'If the archive is meant to be like this, publish its files instead of the archive.',
  });
}

const UPLOAD_AGAIN =
  'Check the archive with its own tool (tar -tf, unzip -t), then upload it again.';
const PACK_AGAIN = 'Make the archive again from plain files and folders with relative names.';

/** What a failed system call on our side means. */
const SYSTEM_CODES: Readonly<Record<string, 'NO_SPACE' | 'NOT_WRITABLE' | 'UNSAFE_ARCHIVE'>> = {
  ENOSPC: 'NO_SPACE',
  EDQUOT: 'NO_SPACE',
  EFBIG: 'NO_SPACE',
  EROFS: 'NOT_WRITABLE',
  EACCES: 'NOT_WRITABLE',
  EPERM: 'NOT_WRITABLE',
  // Staging is empty and private: what is already there can only be another spelling of a member's name.
  EEXIST: 'UNSAFE_ARCHIVE',
  ELOOP: 'UNSAFE_ARCHIVE',
  ENOTDIR: 'UNSAFE_ARCHIVE',
  ENAMETOOLONG: 'UNSAFE_ARCHIVE',
};

/** Runs `call`; what the system refuses is told as an error about `member`. */
export function onDisk<T>(member: string, call: () => T): T {
  try {
    return call();
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    const ours = SYSTEM_CODES[code];
    if (!ours) throw error;
    throw new ModelFetchError(ours, `cannot write ${showPath(member)}: ${code}`, {
      path: showPath(member),
      hint: SYSTEM_HINTS[ours],
      cause: error,
    });
  }
}

const SYSTEM_HINTS = {
  NO_SPACE: 'Make the volume larger, or free space on it.',
  NOT_WRITABLE:
    'Check that the volume is mounted read-write and belongs to the user that runs this.',
  UNSAFE_ARCHIVE: 'Give the members names that this file system can tell apart.',
} as const;
