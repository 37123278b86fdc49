/** The checks of `model-fetch doctor` that concern one URI: who answers, the credentials, the clock, a first look. */
import { ModelFetchError } from '../errors.ts';
import type { Explanation } from '../fetcher.ts';
import type { FetchOptions } from '../options.ts';
import { redactText } from '../redact.ts';
import type { Env } from '../registry.ts';
import { hintOf, type Finding } from './doctor.ts';
import { formatBytes, formatSeconds } from './format.ts';

/** Milliseconds for each check: a doctor who keeps one waiting is no help. */
export const CHECK_MS = 5000;

/** Signatures fail from about five minutes on (S3: 15); a minute is worth a word. */
const SKEW_WARN_SEC = 60;
const SKEW_FAIL_SEC = 300;

/** Asks the scheme of `uri` for its credentials' source. `needed`: failing is a failure, not just a warning. */
export async function checkCredentials(
  uri: string,
  options: FetchOptions,
  needed: boolean,
): Promise<{ finding: Finding; explanation?: Explanation }> {
  const signal = AbortSignal.any([options.signal!, AbortSignal.timeout(CHECK_MS)]);
  try {
    const { explainModel } = await import('../fetch-model.ts');
    const { registration, explanation } = await bounded(
      explainModel(uri, { ...options, signal }),
      signal,
    );
    const check = `${registration.name} credentials`;
    const detail = redactText(explanation?.credentials ?? 'the scheme does not say');
    return {
      finding: { check, status: 'ok', detail },
      ...(explanation !== undefined && { explanation }),
    };
  } catch (error) {
    const check = `${uri.split(':', 1)[0]!} credentials`;
    return { finding: failed(check, error, signal, needed) };
  }
}

/** Lists `uri` up to its first file. */
export async function checkListing(uri: string, options: FetchOptions): Promise<Finding> {
  const { listModel } = await import('../fetch-model.ts');
  const signal = AbortSignal.any([options.signal!, AbortSignal.timeout(CHECK_MS)]);
  // Patience is for fetching: here the first answer counts, and a refused connection is one.
  const hasty = { ...options, signal, connectGraceMs: 0, attempts: 1 };
  const listing = listModel(uri, hasty);
  try {
    const first = await bounded(listing.next(), signal);
    if (first.done)
      return {
        check: 'listing',
        status: 'fail',
        exit: 10,
        detail: 'there is no file',
        hint: 'Check the path.',
      };
    const { path, size } = first.value;
    const detail = `the first file is ${path}${size === undefined ? '' : `, ${formatBytes(size)}`}`;
    return { check: 'listing', status: 'ok', detail };
  } catch (error) {
    return failed('listing', error, signal, true);
  } finally {
    listing.return(undefined).catch(() => undefined);
  }
}

/** Our clock against the `Date` of the server at `url` (RFC 9110 section 6.6.1). */
export async function checkClock(url: string, options: FetchOptions, env: Env): Promise<Finding> {
  const { createNetwork } = await import('../net/create-network.ts');
  const { createHttpClient } = await import('../http/client.ts');
  const network = createNetwork({ env, policy: options.netPolicy ?? 'default' });
  const signal = AbortSignal.any([options.signal!, AbortSignal.timeout(CHECK_MS)]);
  try {
    const http = createHttpClient({ network, responseMs: CHECK_MS, backoffMs: 50 });
    const request = { method: 'HEAD', redirect: 'manual', answer: 'discard', signal } as const;
    const { headers } = await bounded(http.request(new URL(url).origin, request), signal);
    const theirs = Date.parse(headers['date'] ?? '');
    if (Number.isNaN(theirs))
      return { check: 'clock', status: 'warn', detail: 'the server does not tell its time' };
    return skewFinding((Date.now() - theirs) / 1000);
  } catch (error) {
    return failed('clock', error, signal, false);
  } finally {
    network.close();
  }
}

/** What a difference of clocks means; `seconds` is positive when ours is ahead. */
export function skewFinding(seconds: number): Finding {
  const off = Math.abs(seconds);
  // `Date` has whole seconds.
  if (off < 3) return { check: 'clock', status: 'ok', detail: "agrees with the server's" };
  const detail = `${formatSeconds(off)} ${seconds > 0 ? 'ahead of' : 'behind'} the server's`;
  if (off < SKEW_WARN_SEC) return { check: 'clock', status: 'ok', detail };
  const hint = 'Set the clock of the node: signed requests and certificates depend on it.';
  return { check: 'clock', status: off < SKEW_FAIL_SEC ? 'warn' : 'fail', exit: 11, detail, hint };
}

/** `work`, or the end of `signal`: not everything below heeds its signal at once. */
function bounded<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const stop = (): void => {
    reject(signal.reason as Error);
  };
  if (signal.aborted) stop();
  else signal.addEventListener('abort', stop, { once: true });
  return Promise.race([work, promise]);
}

function failed(check: string, error: unknown, signal: AbortSignal, needed: boolean): Finding {
  const timedOut = signal.aborted && (signal.reason as Error | undefined)?.name === 'TimeoutError';
  const message = timedOut
    ? `no answer within ${formatSeconds(CHECK_MS / 1000)}`
    : error instanceof Error
      ? error.message
      : String(error);
  const exit = timedOut ? 12 : error instanceof ModelFetchError ? error.exitStatus : 1;
  return {
    check,
    status: needed ? 'fail' : 'warn',
    exit,
    detail: redactText(message),
    ...hintOf(error),
  };
}
