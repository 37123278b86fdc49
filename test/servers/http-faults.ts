/** The ways in which servers, caches and proxies go wrong. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import {
  answerFile,
  fieldsOf,
  rangeOf,
  sendBytes,
  sizeOf,
  sliceOf,
  type ServedFile,
} from './http-files.ts';
import type { SeenRequest } from './http.ts';

/** Exactly one kind of trouble, for the requests that `on`, `skip` and `times` select. */
export type Fault = FaultScope & Trouble;

export interface FaultScope {
  /** Path without query, or a predicate. Absent: every request. */
  readonly on?: string | ((request: SeenRequest) => boolean);
  /** Requests let through first. */
  skip?: number;
  /** How often, then the server is well again. Absent: for ever. */
  times?: number;
}

export type Trouble =
  | {
      readonly kind: 'status';
      readonly status: number;
      readonly headers?: Readonly<Record<string, string>>;
      readonly body?: string;
    }
  | {
      readonly kind: 'redirect';
      readonly status?: 301 | 302 | 303 | 307 | 308;
      readonly to: string;
    }
  /** The head says all, then after so many bytes of the body the connection is cut. */
  | { readonly kind: 'cut'; readonly after: number }
  /** The same, but the connection stays open and silent. */
  | { readonly kind: 'stall'; readonly after: number }
  /** No answer at all. */
  | { readonly kind: 'silence' }
  /** The connection is cut before any answer. */
  | { readonly kind: 'reset' }
  /** `Transfer-Encoding: chunked`, no length. */
  | { readonly kind: 'chunked'; readonly cutAfter?: number; readonly extra?: string }
  /** No length; the body ends when the connection does. */
  | { readonly kind: 'close-delimited'; readonly cutAfter?: number }
  /** A range is answered with 200 and the whole. */
  | { readonly kind: 'whole-for-range' }
  /** A range is answered with 200 and the part, as if it were the whole. */
  | { readonly kind: 'part-as-whole' }
  /** `Content-Range` says what was not asked for. */
  | { readonly kind: 'wrong-range' }
  /** The answer is right, but conditions are ignored and the validators are those of other bytes. */
  | { readonly kind: 'other-version'; readonly etag: string }
  /** The body is gzip-encoded by name. */
  | { readonly kind: 'encoded' }
  /** Bytes exactly as given, then the end. */
  | { readonly kind: 'raw'; readonly bytes: string; readonly keepOpen?: boolean };

/** Whether `fault` is for this request; counts it. */
export function applies(fault: Fault, request: SeenRequest): boolean {
  const { on } = fault;
  if (typeof on === 'string' ? request.target.split('?')[0] !== on : on && !on(request))
    return false;
  if ((fault.times ?? 1) <= 0) return false;
  if ((fault.skip ?? 0) > 0) {
    fault.skip = fault.skip! - 1;
    return false;
  }
  if (fault.times !== undefined) fault.times--;
  return true;
}

interface Spoiled {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly file: ServedFile;
  readonly start: number;
  readonly end: number;
  readonly status: 200 | 206;
  readonly fields: Readonly<Record<string, string>>;
  readonly length: Readonly<Record<string, string>>;
  readonly part: Readonly<Record<string, string>> | undefined;
}

const NO_FILE: ServedFile = { content: new Uint8Array(0) };

/** Answers with the trouble. */
export function spoil(
  fault: Fault,
  request: IncomingMessage,
  response: ServerResponse,
  file: ServedFile = NO_FILE,
): void {
  const size = sizeOf(file);
  const asked = rangeOf(request, size);
  const range = asked === 'unsatisfiable' ? undefined : asked;
  const { start, end } = range ?? { start: 0, end: size };
  const spoiled: Spoiled = {
    request,
    response,
    file,
    start,
    end,
    status: range ? 206 : 200,
    fields: fieldsOf(file),
    length: { 'content-length': String(end - start) },
    part: range && { 'content-range': `bytes ${start}-${end - 1}/${size}` },
  };
  const act = TROUBLES[fault.kind] as (fault: Trouble, spoiled: Spoiled) => void;
  act(fault, spoiled);
}

type Troubles = {
  [Kind in Trouble['kind']]: (fault: Extract<Trouble, { kind: Kind }>, spoiled: Spoiled) => void;
};

const TROUBLES: Troubles = {
  status: (fault, { response }) => {
    response.writeHead(fault.status, fault.headers).end(fault.body ?? '');
  },
  redirect: (fault, { response }) => {
    response.writeHead(fault.status ?? 302, { location: fault.to }).end();
  },
  silence: () => undefined,
  reset: (_fault, { request }) => {
    request.socket.destroy();
  },
  raw: (fault, { request }) => {
    if (fault.keepOpen) request.socket.write(fault.bytes, 'latin1');
    else request.socket.end(fault.bytes, 'latin1');
  },
  cut: (fault, spoiled) => {
    begin(spoiled, fault.after, () => spoiled.request.socket.destroySoon());
  },
  stall: (fault, spoiled) => {
    begin(spoiled, fault.after, () => undefined);
  },
  chunked: (fault, { request, response, file, start, end, status, fields, part }) => {
    response.writeHead(status, { ...fields, ...part });
    if (fault.cutAfter !== undefined) {
      response.write(sliceOf(file, start, Math.min(end, start + fault.cutAfter)), () =>
        request.socket.destroySoon(),
      );
      return;
    }
    response.write(sliceOf(file, start, end));
    response.end(fault.extra);
  },
  'close-delimited': (fault, { response, file, start, end, status, fields, part }) => {
    response.shouldKeepAlive = false;
    response.useChunkedEncodingByDefault = false;
    response.writeHead(status, { ...fields, ...part, connection: 'close' });
    response.end(sliceOf(file, start, Math.min(end, start + (fault.cutAfter ?? end))));
  },
  'whole-for-range': (_fault, { response, file, fields }) => {
    response.writeHead(200, { ...fields, 'content-length': String(sizeOf(file)) });
    void sendBytes(response, file, 0, sizeOf(file));
  },
  'part-as-whole': (_fault, { response, file, start, end, fields, length }) => {
    response.writeHead(200, { ...fields, ...length });
    void sendBytes(response, file, start, end);
  },
  'wrong-range': (_fault, { response, file, start, end, fields, length }) => {
    const lie = `bytes ${start + 1}-${end}/${sizeOf(file) + 1}`;
    response.writeHead(206, { ...fields, ...length, 'content-range': lie });
    void sendBytes(response, file, start, end);
  },
  'other-version': (fault, { response, file, start, end, status, fields, length, part }) => {
    response.writeHead(status, { ...fields, ...length, ...part, etag: fault.etag });
    void sendBytes(response, file, start, end);
  },
  encoded: (_fault, { request, response, file }) => {
    void answerFile(request, response, {
      ...file,
      headers: { ...file.headers, 'content-encoding': 'gzip' },
    });
  },
};

/** The whole head and some of the body. */
function begin(
  { response, file, start, end, status, fields, length, part }: Spoiled,
  bytes: number,
  then: () => void,
): void {
  response.writeHead(status, { ...fields, ...length, ...part });
  response.flushHeaders();
  if (bytes === 0) setImmediate(then);
  else response.write(sliceOf(file, start, Math.min(end, start + bytes)), then);
}
