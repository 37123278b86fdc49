/** Is this answer exactly what was asked for? One check for both lanes; nothing is written before it has passed. */
import { ModelFetchError } from '../errors.ts';
import type { HttpLocation } from '../fetcher.ts';
import { parseContentRange } from './http-range.ts';
import { RangeIgnored, type Head, type LaneJob } from './lane.ts';

/** A body that may be taken. `length` is absent for a chunked whole of unknown size. */
export interface Accepted {
  readonly length?: number;
}

/**
 * Judges a 200 or 206. Servers that lie are known by name: rclone's S3 answers a range with 200 and the part, and ignores
 * `If-Match`; proxies ignore `Range`; caches serve another version. Throws `RangeIgnored`, `SOURCE_CHANGED`, `BAD_RESPONSE`.
 */
export function judge(job: LaneJob, head: Head): Accepted {
  const { location, range, size } = job;
  const { headers, status } = head;
  if (status !== 200 && status !== 206) throw bad(location, `status ${String(status)} is no body`);
  checkPin(location, headers);
  const encoding = headers['content-encoding'] ?? '';
  if (location.stored !== true && encoding !== '' && encoding.toLowerCase() !== 'identity')
    throw bad(location, `the body is ${encoding}-encoded although identity was asked for`);
  const length = contentLength(location, headers);

  if (!range || location.range === 'none') return judgeWhole(job, head, length);

  const expected = range.end - range.start;
  if (location.range === 'offset-length') {
    if (length !== undefined && length !== expected)
      throw bad(location, `${String(length)} bytes instead of the ${String(expected)} asked for`);
    return { length: expected };
  }
  const said = parseContentRange(headers['content-range']);
  if (!said) {
    if (status === 200) throw new RangeIgnored(`${location.url} ignores ranges`);
    throw bad(
      location,
      `206 without a usable Content-Range (${headers['content-range'] ?? 'none'})`,
    );
  }
  if (size !== undefined && said.total !== undefined && said.total !== size)
    throw changed(location, `it has ${String(said.total)} bytes now, not ${String(size)}`);
  if (said.start !== range.start || said.end !== range.end)
    throw bad(
      location,
      `bytes ${String(said.start)}-${String(said.end)} instead of ${String(range.start)}-${String(range.end)}`,
    );
  if (length !== undefined && length !== expected)
    throw bad(
      location,
      `Content-Length ${String(length)} beside a range of ${String(expected)} bytes`,
    );
  return { length: expected };
}

function judgeWhole(job: LaneJob, head: Head, length: number | undefined): Accepted {
  const { location, size } = job;
  if (head.status === 206) {
    const said = parseContentRange(head.headers['content-range']);
    if (said?.start !== 0 || said.end !== said.total)
      throw bad(location, 'a part although the whole was asked for');
  }
  if (length === undefined) return {};
  if (size !== undefined && length !== size)
    throw changed(location, `it has ${String(length)} bytes now, not ${String(size)}`);
  return { length };
}

/** The validator that was pinned is in the answer, unchanged. A server that drops it half-way proves nothing. */
function checkPin(location: HttpLocation, headers: Head['headers']): void {
  const pinned = location.pin?.response ?? {};
  for (const name of Object.keys(pinned)) {
    const value = pinned[name]!;
    const found = headers[name];
    if (found === undefined)
      throw bad(location, `no ${name} in the answer, so nothing proves the version`);
    if (found !== value) throw changed(location, `${name} is ${found} now, not ${value}`);
  }
}

function contentLength(location: HttpLocation, headers: Head['headers']): number | undefined {
  const value = headers['content-length'];
  if (value === undefined) return undefined;
  if (!/^\d{1,15}$/.test(value)) throw bad(location, `Content-Length ${value}`);
  return Number(value);
}

function bad(location: HttpLocation, what: string): ModelFetchError {
  return new ModelFetchError('BAD_RESPONSE', `the server's answer cannot be used: ${what}`, {
    uri: location.url,
  });
}

function changed(location: HttpLocation, what: string): ModelFetchError {
  return new ModelFetchError('SOURCE_CHANGED', `the source changed while it was read: ${what}`, {
    uri: location.url,
    hint: 'Run again once the upload has finished, or pin a version.',
  });
}
