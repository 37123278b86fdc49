/** How long a server asks to be left alone. Source: RFC 9110 section 10.2.3. */

/** Milliseconds from a `Retry-After` of seconds or an HTTP date; undefined when there is none that can be read. */
export function retryAfterMs(value: string | undefined, now = Date.now()): number | undefined {
  const text = value?.trim() ?? '';
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1000;
  if (!/^[A-Za-z]{3}/.test(text)) return undefined;
  const at = Date.parse(text);
  return Number.isNaN(at) ? undefined : Math.max(0, at - now);
}
