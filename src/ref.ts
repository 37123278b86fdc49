/** A URI taken apart, and no further: what the parts mean is the fetcher's business. */
import { ModelFetchError } from './errors.ts';

/**
 * Not a WHATWG `URL`: that would turn half of an object key into a fragment and its spaces into `%20`.
 * `?` and `#` stay in `path`, as they are legal in object keys; fetchers that give them a meaning split there.
 */
export interface Ref {
  /** As given. May hold credentials: never logged without `redactText`. */
  readonly raw: string;
  /** Lower case. A bare path has scheme `file`. */
  readonly scheme: string;
  /** Between `//` and the next `/`; empty where there is none. */
  readonly authority: string;
  /** The rest, with its leading `/` where there is one. */
  readonly path: string;
}

const SCHEME = /^([A-Za-z][A-Za-z0-9+.-]*):(.*)$/s;

/** Takes `uri` apart. Throws `INVALID_URI`. Source: RFC 3986 section 3, read as loosely as model URIs are written. */
export function parseRef(uri: string): Ref {
  if (uri.trim() === '') throw invalid(uri, 'it is empty');

  if (/[\u0000-\u001f\u007f]/.test(uri)) throw invalid(uri, 'it holds a control character');
  const match = SCHEME.exec(uri);
  if (!match || /^[A-Za-z]:[\\/]/.test(uri)) {
    if (uri.startsWith('://') || uri.startsWith(':')) throw invalid(uri, 'it has no scheme');
    if (uri.includes('://')) throw invalid(uri, 'its scheme is not one');
    return { raw: uri, scheme: 'file', authority: '', path: uri };
  }
  const scheme = match[1]!.toLowerCase();
  const rest = match[2]!;
  if (!rest.startsWith('//')) {
    if (rest === '') throw invalid(uri, 'nothing follows its scheme');
    return { raw: uri, scheme, authority: '', path: rest };
  }
  const slash = rest.indexOf('/', 2);
  const authority = slash === -1 ? rest.slice(2) : rest.slice(2, slash);
  const path = slash === -1 ? '' : rest.slice(slash);
  if (authority === '' && path === '') throw invalid(uri, 'nothing follows its scheme');
  return { raw: uri, scheme, authority, path };
}

function invalid(uri: string, why: string): ModelFetchError {
  return new ModelFetchError('INVALID_URI', `${JSON.stringify(uri)} is not a model URI: ${why}`, {
    hint: 'Write scheme://place/path, for example s3://bucket/model or https://host/model.tar.gz',
  });
}
