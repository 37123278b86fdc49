/**
 * Errands and outcomes as flat arrays, the form in which they cross between threads. Objects are cloned property by property:
 * 20 microseconds an errand and 10 an outcome, more than a small file needs otherwise; these take 2 and 1.
 */
import type { Digest, HttpLocation } from '../fetcher.ts';
import type { CrcAlgorithm } from '../verify/crc.ts';
import type { Errand, Outcome, Place } from './errand.ts';
import { fromData, toData, type ErrorData } from './error-data.ts';

export type ErrandData = readonly [
  url: string,
  /** Of a location, as JSON; its headers, its pin, and the rest, which is the same for all of a source. */
  headers: string,
  pin: string,
  rest: string,
  /** Both absent: the whole. */
  start: number | undefined,
  end: number | undefined,
  size: number | undefined,
  stallMs: number,
  /** A descriptor, memory, or nothing: a new file. */
  place: number | SharedArrayBuffer | undefined,
  path: string,
  at: number,
  /** Names with commas between them. */
  crcs: string,
];

export type OutcomeData = readonly [
  bytes: number,
  /** `name:hex` with commas between them. */
  crcs: string,
  /** With commas between them. */
  digests: string,
  mtimeNs: string | undefined,
  ino: string | undefined,
  error: ErrorData | undefined,
];

export function packErrand(errand: Errand): ErrandData {
  const { location, range, size, stallMs, place, at, crcs } = errand;
  return [
    location.url,
    JSON.stringify(location.headers),
    location.pin ? JSON.stringify(location.pin) : '',
    restText(location),
    range?.start,
    range?.end,
    size,
    stallMs,
    place.kind === 'file' ? place.fd : place.kind === 'memory' ? place.bytes : undefined,
    place.kind === 'memory' ? '' : place.path,
    at,
    crcs.join(),
  ];
}

export function unpackErrand(data: ErrandData): Errand {
  const [url, headers, pin, rest, start, end, size, stallMs, place, path, at, crcs] = data;
  return {
    location: {
      kind: 'http',
      url,
      headers: JSON.parse(headers) as HttpLocation['headers'],
      ...(pin !== '' && { pin: JSON.parse(pin) as HttpLocation['pin'] & object }),
      ...restOf(rest),
    },
    range: start === undefined || end === undefined ? undefined : { start, end },
    size,
    stallMs,
    place: placeOf(place, path),
    at,
    crcs: listOf<CrcAlgorithm>(crcs),
  };
}

function placeOf(place: ErrandData[8], path: string): Place {
  if (place === undefined) return { kind: 'new', path };
  return typeof place === 'number'
    ? { kind: 'file', fd: place, path }
    : { kind: 'memory', bytes: place };
}

/** The rest of what a lane looks at. */
type Rest = Pick<HttpLocation, 'range' | 'stored' | 'transport'>;

function restText({ range, stored, transport }: Rest): string {
  return JSON.stringify({ range, stored, transport });
}

let last: { readonly text: string; readonly rest: Rest } | undefined;

function restOf(text: string): Rest {
  if (last?.text === text) return last.rest;
  const rest = JSON.parse(text) as Rest;
  last = { text, rest };
  return rest;
}

export function packOutcome({ bytes, crcs, digests, mark, error }: Outcome): OutcomeData {
  let sums = '';
  for (const [name, value] of crcs)
    sums += `${sums === '' ? '' : ','}${name}:${value.toString(16)}`;
  return [
    bytes,
    sums,
    digests.join(),
    mark?.mtimeNs,
    mark?.ino,
    error === undefined ? undefined : toData(error),
  ];
}

export function unpackOutcome(data: OutcomeData): Outcome {
  const [bytes, sums, digests, mtimeNs, ino, error] = data;
  const crcs = new Map<CrcAlgorithm, bigint>();
  for (const sum of listOf(sums)) {
    const colon = sum.indexOf(':');
    crcs.set(sum.slice(0, colon) as CrcAlgorithm, BigInt(`0x${sum.slice(colon + 1)}`));
  }
  return {
    bytes,
    crcs,
    digests: listOf<Digest>(digests),
    ...(mtimeNs !== undefined && ino !== undefined && { mark: { mtimeNs, ino } }),
    ...(error && { error: fromData(error) }),
  };
}

function listOf<T extends string>(text: string): T[] {
  return text === '' ? [] : (text.split(',') as T[]);
}
