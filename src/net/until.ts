/** Waiting for sockets and lookups, never longer than a signal allows. */
import type { Socket } from 'node:net';
import { timedOut } from './failures.ts';

/** Runs `work` with a signal that ends with `signal` or after `ms`, whichever is first; its reason is then an `ETIMEDOUT`. */
export async function within<T>(
  signal: AbortSignal,
  ms: number,
  what: string,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  const stop = () => {
    controller.abort(signal.reason);
  };
  if (signal.aborted) stop();
  signal.addEventListener('abort', stop, { once: true });
  const timer = setTimeout(() => {
    controller.abort(timedOut(`${what} took longer than ${String(ms)} ms`));
  }, ms);
  try {
    return await work(controller.signal);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', stop);
  }
}

/** `promise`, or the signal's reason as soon as it is aborted; the promise itself goes on unheard. */
export function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      reject(asError(signal.reason));
    };
    if (signal.aborted) {
      stop();
      promise.catch(() => undefined);
      return;
    }
    signal.addEventListener('abort', stop, { once: true });
    promise.then(resolve, reject).finally(() => {
      signal.removeEventListener('abort', stop);
    });
  });
}

/** Resolves on `event`; a socket that fails, closes or is aborted first is destroyed and rejects. */
export function untilEvent(socket: Socket, event: string, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (error?: unknown) => {
      socket.off(event, onEvent).off('error', settle).off('close', onClose);
      signal.removeEventListener('abort', onAbort);
      if (error === undefined) {
        resolve();
        return;
      }
      socket.on('error', () => undefined).destroy();
      reject(asError(error));
    };
    const onEvent = () => {
      settle();
    };
    const onClose = () => {
      settle(Object.assign(new Error('the connection was closed'), { code: 'ECONNRESET' }));
    };
    const onAbort = () => {
      settle(signal.reason);
    };
    socket.once(event, onEvent).once('error', settle).once('close', onClose);
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
  });
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error('aborted', { cause: reason });
}
