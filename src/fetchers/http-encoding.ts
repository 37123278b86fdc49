/** Answers that are encoded although the identity was asked for, and what is made of them. Pure. */
import type { Entry } from '../fetcher.ts';

/** Names of what is compressed itself: Apache, for one, calls every `.gz` encoded, and means the file as it is. */
const PACKED = /\.(?:t?gz|taz|tz|tar(?:\.\w+)?)$/i;

/** `stored`: the bytes are taken as they come; `encoding`: and inflated when they are here. Empty: such an answer is refused. */
export function takenAs(
  path: string,
  encoding = '',
  compat?: 'kserve',
): Pick<Entry, 'encoding'> & { readonly stored?: true } {
  const said = encoding.trim().toLowerCase();
  if (said === '' || said === 'identity') return {};
  // Whatever it is, KServe writes what arrives.
  if (compat) return { stored: true };
  if (said !== 'gzip' && said !== 'x-gzip') return {};
  return PACKED.test(path) ? { stored: true } : { stored: true, encoding: 'gzip' };
}
