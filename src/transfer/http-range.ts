/** Ranges on the wire: the only place where they are inclusive. Source: RFC 9110 section 14. */
import type { ByteRange, HttpLocation } from '../fetcher.ts';

/** What is really requested: the URL and headers of one GET. `accept-encoding: identity` is always sent. */
export function ask(
  location: HttpLocation,
  range: ByteRange | undefined,
): { url: string; headers: Record<string, string> } {
  let { url } = location;
  const headers: Record<string, string> = {
    ...location.headers,
    ...location.pin?.request,
    'accept-encoding': 'identity',
  };
  if (range && location.range === 'offset-length') {
    const part = new URL(url);
    part.searchParams.set('offset', String(range.start));
    part.searchParams.set('length', String(range.end - range.start));
    url = part.href;
  } else if (range && location.range !== 'none') {
    headers['range'] = `bytes=${String(range.start)}-${String(range.end - 1)}`;
  }
  return { url, headers };
}

/** `bytes 0-4/10` as a half-open range and the total, which may be unknown (`*`). Undefined when it is not that. */
export function parseContentRange(
  value: string | undefined,
): { start: number; end: number; total: number | undefined } | undefined {
  const match = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15}|\*)$/.exec(value?.trim() ?? '');
  if (!match) return undefined;
  const start = Number(match[1]);
  const end = Number(match[2]) + 1;
  const total = match[3] === '*' ? undefined : Number(match[3]);
  if (end <= start || (total !== undefined && end > total)) return undefined;
  return { start, end, total };
}
