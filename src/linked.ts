/**
 * The signal of `inner`, which is aborted with `outer` and can be aborted alone. By hand: `AbortSignal.any` keeps what it made
 * for as long as the longest-lived of its parents lives.
 */
export function linked(outer: AbortSignal, inner: AbortController): AbortSignal {
  if (outer.aborted) inner.abort(outer.reason);
  outer.addEventListener(
    'abort',
    () => {
      inner.abort(outer.reason);
    },
    { once: true, signal: inner.signal },
  );
  return inner.signal;
}
