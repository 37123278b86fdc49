/**
 * URLs that are already what parsing would make of them. There is one for every object of a model, and parsing costs more than
 * anything else that is done with it.
 */

/** Percent-encoded dots count as dots for a parser. */
const PLAIN_PATH = /^(?:\/(?!\.)(?:[\w.~-]|%(?!2[Ee]))+)+$/;

/** Whether `path` is one that a URL keeps as it is: unreserved characters and percent-encoding, no segment of dots, none empty. */
export function isPlainPath(path: string): boolean {
  return PLAIN_PATH.test(path);
}

/** A URL as a request needs it. */
export interface UrlParts {
  /** Of the origin alone. */
  readonly origin: URL;
  /** Path and query. */
  readonly rest: string;
}

/** A run knows a few. */
const origins = new Map<string, URL>();
const MOST_ORIGINS = 64;

/** Throws a `TypeError` for what is no URL. */
export function urlParts(url: string): UrlParts {
  const slash = url.indexOf('/', 'https://'.length);
  const known = slash === -1 ? undefined : origins.get(url.slice(0, slash));
  if (known && isPlainPath(url.slice(slash))) return { origin: known, rest: url.slice(slash) };
  const parsed = new URL(url);
  const origin = new URL(parsed.origin === 'null' ? url : parsed.origin);
  if (url.startsWith(`${parsed.origin}/`) && origins.size < MOST_ORIGINS)
    origins.set(parsed.origin, origin);
  return { origin, rest: parsed.pathname + parsed.search };
}
