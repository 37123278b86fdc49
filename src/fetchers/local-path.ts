/** Paths of this machine as sources: where they really lead, where none may lead, and what the system's errors mean. */
import { realpath } from 'node:fs/promises';
import { resolve, sep } from 'node:path';
import { ModelFetchError, type ErrorCode } from '../errors.ts';

/** The machine's own, and the pod's credentials: a model from here would carry them into the mount. */
const FORBIDDEN = ['/proc', '/sys', '/dev', '/var/run/secrets', '/run/secrets'];

/** True when `path` is `folder` or below it. Both absolute and free of `.` and `..`. */
export function isWithin(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder.endsWith(sep) ? folder : folder + sep);
}

/** Throws `REFUSED` where no model may be read from, links or not. */
export function refuseForbidden(path: string, uri: string): void {
  const place = FORBIDDEN.find((folder) => isWithin(path, folder));
  if (place === undefined) return;
  throw new ModelFetchError('REFUSED', `${path} lies in ${place}, where no model is read from`, {
    uri,
    path,
    hint: 'Copy or mount the model somewhere else, for example under /mnt.',
  });
}

/**
 * Where `path` really leads, forbidden places refused on the way in and on the way out (`/proc/self/root` leads to `/`).
 * Throws `NOT_FOUND`, `PERMISSION_DENIED`, `REFUSED`. By the system's own realpath: the one in JavaScript
 * (`fs.realpath`) takes `link/..` lexically, and answers wrongly.
 */
export async function realPlace(path: string, uri: string): Promise<string> {
  const absolute = resolve(path);
  refuseForbidden(absolute, uri);
  try {
    const real = await realpath(absolute);
    refuseForbidden(real, uri);
    return real;
  } catch (error) {
    throw localError(error, { uri, path: absolute, gone: 'NOT_FOUND' });
  }
}

/** An error of the file system in our words; `gone` is what a missing file means at that point. */
export function localError(
  error: unknown,
  about: { uri: string; path: string; gone: 'NOT_FOUND' | 'SOURCE_CHANGED' },
): ModelFetchError {
  if (error instanceof ModelFetchError) return error;
  const { uri, path } = about;
  const failed = (code: ErrorCode, what: string, hint: string) =>
    new ModelFetchError(code, `${path} ${what}`, { uri, path, hint, cause: error });
  switch ((error as NodeJS.ErrnoException).code) {
    case 'ENOENT':
    case 'ENOTDIR':
      return about.gone === 'NOT_FOUND'
        ? failed(
            'NOT_FOUND',
            'does not exist',
            'Is the volume mounted in this container, and the path spelt right?',
          )
        : failed(
            'SOURCE_CHANGED',
            'went away while it was read',
            'Run again once nothing writes there any more.',
          );
    case 'EACCES':
    case 'EPERM':
      return failed(
        'PERMISSION_DENIED',
        'may not be read',
        'Run as a user or group that may read it (in a pod: runAsUser, fsGroup), or change its mode.',
      );
    case 'ELOOP':
      return failed(
        'UNSAFE_PATH',
        'is a link that leads in a circle',
        'Remove the link, or point it at a file.',
      );
    case 'ENAMETOOLONG':
    case 'ERR_INVALID_ARG_VALUE':
      return failed('INVALID_URI', 'is no path of a file', 'Check the URI.');
    case undefined:
    default:
      return failed(
        'UNAVAILABLE',
        `cannot be read: ${error instanceof Error ? error.message : String(error)}`,
        'Check the disk or the network volume behind it.',
      );
  }
}
