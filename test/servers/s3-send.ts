/** Writing answers, and breaking them when a fault says so. */
import type { ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { S3Error } from './s3-error.ts';
import type { Bends, ObjectAnswer } from './s3-object.ts';

/** What goes wrong with one request. */
export interface Fault extends Bends {
  /** Milliseconds before anything is answered. */
  readonly delayMs?: number;
  /** Nothing is ever answered. */
  readonly hang?: boolean;
  /** Answered instead of the truth, as an S3 error. */
  readonly status?: number;
  /** Default: `SlowDown` for 503, else `InternalError`. */
  readonly code?: string;
  readonly message?: string;
  /** Seconds, as `Retry-After`. */
  readonly retryAfter?: number;
  /** Added to whatever is answered. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as it is, with `status` (default 200): a captive portal, say. */
  readonly body?: string;
  /** The connection is cut before the head. */
  readonly refuse?: boolean;
  /** The connection is cut after so many bytes of the body. */
  readonly dropAfter?: number;
  /** Nothing more is sent after so many bytes of the body; the connection stays. */
  readonly stallAfter?: number;
  /** The body comes at this pace. */
  readonly bytesPerSecond?: number;
}

/** The part of a logged request that is filled in while it is answered. */
interface Progress {
  readonly method: string;
  status: number;
  sent: number;
}

const CHUNK = 256 * 1024;

/** Answers what a fault dictates. True: the request is done with. Throws an S3 error it is to be answered with. */
export async function sendRaw(
  response: ServerResponse,
  progress: Progress,
  fault: Fault,
): Promise<boolean> {
  if (fault.delayMs !== undefined) await sleep(fault.delayMs);
  if (fault.hang) return true;
  if (fault.refuse) {
    response.destroy();
    return true;
  }
  for (const [name, value] of Object.entries(fault.headers ?? {})) response.setHeader(name, value);
  if (fault.retryAfter !== undefined) response.setHeader('retry-after', String(fault.retryAfter));
  if (fault.body !== undefined) {
    end(response, progress, fault.status ?? 200, fault.body);
    return true;
  }
  if (fault.status !== undefined)
    throw new S3Error(
      fault.status,
      fault.code ?? (fault.status === 503 ? 'SlowDown' : 'InternalError'),
      fault.message ??
        (fault.status === 503
          ? 'Please reduce your request rate.'
          : 'We encountered an internal error. Please try again.'),
    );
  return false;
}

/** A 200 with an XML body; without one for HEAD. */
export function answerXml(response: ServerResponse, progress: Progress, xml: string): void {
  response.setHeader('content-type', 'application/xml');
  end(response, progress, 200, xml);
}

/** An error's head, and its body unless the request was a HEAD. */
export function badHead(
  response: ServerResponse,
  progress: Progress & { url: string },
  error: S3Error,
  requestId: string,
): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  for (const [name, value] of Object.entries(error.headers)) response.setHeader(name, value);
  response.setHeader('content-type', 'application/xml');
  end(response, progress, error.status, error.body(progress.url.split('?')[0]!, requestId));
}

function end(response: ServerResponse, progress: Progress, status: number, body: string): void {
  const bytes = Buffer.from(body);
  progress.status = response.statusCode = status;
  if (progress.method === 'HEAD') {
    response.end();
    return;
  }
  progress.sent = bytes.length;
  response.setHeader('content-length', bytes.length);
  response.end(bytes);
}

/** The head of an object and its bytes, at the reader's pace. */
export async function sendObject(
  response: ServerResponse,
  progress: Progress,
  answer: ObjectAnswer,
  fault: Fault,
): Promise<void> {
  progress.status = answer.status;
  response.writeHead(answer.status, answer.headers);
  if (progress.method === 'HEAD' || answer.status === 304) {
    response.end();
    return;
  }
  const length = answer.end - answer.start;
  const stop = Math.min(length, fault.dropAfter ?? length, fault.stallAfter ?? length);
  for (let at = 0; at < stop && !response.destroyed; at += CHUNK) {
    const from = answer.start + at;
    const chunk = answer.object.content.slice(from, answer.start + Math.min(at + CHUNK, stop));
    progress.sent += chunk.length;
    if (!response.write(chunk)) await drained(response);
    if (fault.bytesPerSecond !== undefined)
      await sleep((chunk.length / fault.bytesPerSecond) * 1000);
  }
  if (fault.stallAfter !== undefined && stop < length) {
    response.flushHeaders();
    return;
  }
  if (stop < length) response.socket?.end(() => response.destroy());
  else response.end();
}

async function drained(response: ServerResponse): Promise<void> {
  await new Promise<void>((resolve) => {
    const done = (): void => {
      response.off('drain', done).off('close', done);
      resolve();
    };
    response.on('drain', done).on('close', done);
  });
}
