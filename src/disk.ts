/** What the operating system's errors on our own side mean. */
import { ModelFetchError } from './errors.ts';

/** `error` as `NO_SPACE` or `NOT_WRITABLE` when the target's file system is at fault; else as it is. */
export function asDiskError(error: unknown, path: string): unknown {
  const code = (error as NodeJS.ErrnoException | undefined)?.code ?? '';
  switch (code) {
    case 'ENOSPC':
    case 'EDQUOT':
    case 'EFBIG':
      return new ModelFetchError(
        'NO_SPACE',
        `cannot write ${path}: ${code === 'EDQUOT' ? 'the quota is used up' : 'no space left on the volume'}`,
        {
          path,
          cause: error,
          hint: "Give the volume more room (emptyDir's sizeLimit counts too).",
        },
      );
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return new ModelFetchError(
        'NOT_WRITABLE',
        `cannot write ${path}: ${code === 'EROFS' ? 'the file system is read-only' : 'permission denied'}`,
        {
          path,
          cause: error,
          hint: 'Check the mount, and the user the container runs as (fsGroup makes a volume writable for it).',
        },
      );
    case 'EIO':
    case 'ESTALE':
    case 'ENAMETOOLONG':
      return new ModelFetchError('NOT_WRITABLE', `cannot write ${path}: ${code}`, {
        path,
        cause: error,
      });
    default:
      return error;
  }
}

/** Runs `work`; its file-system errors become ours. */
export function onDisk<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw asDiskError(error, path);
  }
}
